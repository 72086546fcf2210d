//! Finds a canary in whatever a program can cheaply make of it. On purpose not with the product's own code.

/// Every form of `canary` that is looked for: plain, backwards, base64 at each alignment, hexadecimal.
fn forms(canary: &str) -> Vec<String> {
    let mut forms = vec![canary.to_owned(), canary.chars().rev().collect(), hex::encode(canary)];
    for skipped in 0..3 {
        let padded = format!("{}{canary}", "\0".repeat(skipped));
        let encoded = base64(padded.as_bytes());
        // What hangs together with neighbours is left out at both ends.
        let start = [0, 2, 3][skipped];
        forms.push(encoded[start..encoded.len() - 2].to_owned());
    }
    forms.into_iter().map(|form| squeezed(&form)).collect()
}

/// Letters and digits alone, in lower case: so no line break, case, separator or percent sign hides anything.
fn squeezed(text: &str) -> String {
    text.replace("%2D", "-").chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect()
}

/// The first of `canaries` that is in `text` in any form.
pub fn found<'c>(text: &str, canaries: &[&'c str]) -> Option<&'c str> {
    let text = squeezed(text);
    canaries.iter().copied().find(|canary| forms(canary).iter().any(|form| text.contains(form)))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digits = (0..=chunk.len()).map(|digit| char::from(ALPHABET[(bits >> (18 - 6 * digit)) as usize & 63]));
        encoded.extend(digits);
    }
    encoded
}

#[test]
fn a_canary_is_found_however_it_is_written() {
    let canary = "kX9vQ2mL7pRt4wZs8nBc";
    for text in [
        "key=kX9vQ2mL7pRt4wZs8nBc;",
        "KX9VQ2ML7PRT4WZS8NBC",
        "k X 9 v Q 2 m L 7 p R t 4 w Z s 8 n B c",
        "cBn8sZw4tRp7Lm2Qv9Xk",
        "a1g5dlEybUw3cFJ0NHdaczhuQmM=",
        "6b58 3976 5132 6d4c\n3770 5274 3477 5a73 386e 4263",
    ] {
        assert_eq!(found(text, &[canary]), Some(canary), "{text}");
    }
    assert_eq!(found("kX9vQ2mL7pRt4wZs8nB is one short", &[canary]), None);
}
