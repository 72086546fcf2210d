//! The forms in which a secret is searched for.

use std::collections::BTreeSet;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

/// Shorter secrets are not searched for: they would eat ordinary words.
const LEAST_BYTES: usize = 8;
/// From here on a secret needs no variety of characters.
const SURE_BYTES: usize = 16;
/// The shortest piece of a longer secret that is found: what a cut in the middle, a wrapped dump or somebody who sends
/// halves leaves of it. More than the constant beginning of any vendor's keys.
const PIECE_BYTES: usize = 16;
/// Every piece of secrets up to this length is searched for, of longer ones every eighth: a run of 24 bytes holds one.
const ALL_PIECES: usize = 96;

/// Whether a secret can be searched for without finding it where it is not: `test` or `postgres` cannot.
pub(crate) fn is_strong(secret: &str) -> bool {
    let bytes: Vec<u8> = squeezed(secret);
    let classes: [fn(&u8) -> bool; 4] =
        [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit, |byte| !byte.is_ascii_alphanumeric()];
    let classes = classes.iter().filter(|class| bytes.iter().any(class)).count();
    let distinct = bytes.iter().collect::<BTreeSet<_>>().len();
    distinct >= 5 && (bytes.len() >= SURE_BYTES || bytes.len() >= LEAST_BYTES && classes >= 2)
}

/// Everything to look for in a text without white space, whatever its case, to find `secret` in it: plain, reversed,
/// base64 (standard and URL-safe, however it is aligned), hexadecimal, URL-encoded, and as strings of JSON and of
/// programs have it; each whole or as pieces of [`PIECE_BYTES`] bytes of the secret.
pub(crate) fn needles(secret: &str) -> BTreeSet<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut reversed: Vec<u8> = bytes.to_vec();
    reversed.reverse();
    let mut needles = BTreeSet::new();
    let mut add = |form: &[u8], per_byte: usize| pieces(form, per_byte, &mut needles);
    add(bytes, 1);
    add(&reversed, 1);
    add(secret.chars().rev().collect::<String>().as_bytes(), 1);
    add(hex::encode(bytes).as_bytes(), 2);
    add(hex::encode(&reversed).as_bytes(), 2);
    add(percent_encoded(bytes, |byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)).as_bytes(), 1);
    add(percent_encoded(bytes, |byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)).as_bytes(), 1);
    add(percent_encoded(bytes, |byte| byte.is_ascii_alphanumeric()).as_bytes(), 1);
    add(percent_encoded(bytes, |_| false).as_bytes(), 3);
    add(bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>().as_bytes(), 4);
    add(bytes.iter().map(|byte| format!("0x{byte:02x},")).collect::<String>().as_bytes(), 5);
    // Twice, since `Debug` of a string may stand in a string of JSON.
    let (once, twice) = (escaped(secret), escaped(&escaped(secret)));
    add(once.as_bytes(), 1);
    add(twice.as_bytes(), 1);
    for source in [bytes, &reversed] {
        for alphabet in [STANDARD, URL_SAFE] {
            for alignment in 0..3 {
                base64_pieces(source, &GeneralPurpose::new(&alphabet, NO_PAD), alignment, &mut needles);
            }
        }
    }
    needles
}

/// `form` without white space, or its pieces that stand for [`PIECE_BYTES`] bytes where it is longer.
fn pieces(form: &[u8], per_byte: usize, needles: &mut BTreeSet<Vec<u8>>) {
    let form: Vec<u8> = form.iter().copied().filter(|byte| !is_space(*byte)).collect();
    let width = PIECE_BYTES * per_byte;
    if form.len() <= width {
        needles.insert(form);
        return;
    }
    let stride = if form.len() <= ALL_PIECES * per_byte { 1 } else { 8 * per_byte };
    let last = form.len() - width;
    needles.extend((0..last).step_by(stride).chain([last]).map(|start| form[start..start + width].to_vec()));
}

/// What base64 makes of `bytes` where they begin `alignment` bytes after a multiple of three, without the characters at
/// both ends that depend on what stands beside them.
fn base64_pieces(bytes: &[u8], engine: &GeneralPurpose, alignment: usize, needles: &mut BTreeSet<Vec<u8>>) {
    let mut padded = vec![0; alignment];
    padded.extend_from_slice(bytes);
    let encoded = engine.encode(&padded);
    // 8 bits of a byte fill 6-bit characters from the left: 0, 2 or 3 characters hold bits of what stands before, and an
    // incomplete last character holds bits of what follows.
    let start = [0, 2, 3][alignment];
    let end = if padded.len().is_multiple_of(3) { encoded.len() } else { encoded.len() - 1 };
    let form = &encoded.as_bytes()[start..end];
    // Of 16 bytes, 20 characters are whole at the least.
    let width = PIECE_BYTES * 4 / 3 - 1;
    if form.len() <= width {
        needles.insert(form.to_vec());
        return;
    }
    let stride = if form.len() <= ALL_PIECES * 4 / 3 { 1 } else { 8 };
    let last = form.len() - width;
    needles.extend((0..last).step_by(stride).chain([last]).map(|start| form[start..start + width].to_vec()));
}

/// What a string of JSON has between its quotation marks.
fn escaped(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap_or_default();
    json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

fn percent_encoded(bytes: &[u8], plain: impl Fn(u8) -> bool) -> String {
    bytes.iter().map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What a search passes over: a secret is found through line breaks and between columns.
pub(crate) fn is_space(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

fn squeezed(text: &str) -> Vec<u8> {
    text.bytes().filter(|byte| !is_space(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_no_secrets_to_search_for() {
        for weak in ["", "test", "postgres", "password", "aaaaaaaaaaaaaaaaaaaaaaaa", "hunter2", "1212121212121212"] {
            assert!(!is_strong(weak), "{weak}");
        }
        for strong in ["hunter2hunter2", "tr0ub4dor&3", "correct horse battery", "0f8fad5bd9cb469fa16570867728950e"] {
            assert!(is_strong(strong), "{strong}");
        }
    }

    #[test]
    fn base64_is_known_by_what_its_neighbours_cannot_change() {
        // The second is so short that no piece of it would do, and has the characters in which the alphabets differ.
        for (secret, alphabet) in
            ["kX9vQ2mL7pRt4wZs8nBc", "~?9>Q?~>x~?"].into_iter().flat_map(|secret| [(secret, STANDARD), (secret, URL_SAFE)])
        {
            let needles = needles(secret);
            for before in ["", "a", "ab", "abc", "\u{ff}\u{fe}"] {
                for after in ["", "z", "zz", "\u{ff}"] {
                    let encoded = GeneralPurpose::new(&alphabet, NO_PAD).encode(format!("{before}{secret}{after}"));
                    let found = needles.iter().any(|needle| encoded.as_bytes().windows(needle.len()).any(|window| window == needle));
                    assert!(found, "{before:?} {secret} {after:?}: {encoded}");
                }
            }
        }
    }
}
