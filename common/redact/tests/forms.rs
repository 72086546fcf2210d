//! Random secrets in every form, in random surroundings.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use domain::Secret;
use proptest::prelude::*;
use redact::{Redactor, has_mark};
use serde_json::json;

/// Secrets as vendors and people make them.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9]{20,64}",
        "[A-Za-z0-9+/]{40}",
        "[0-9a-f]{32}",
        "[!-~]{12,40}",
        "[a-z]{3,8}-[A-Z0-9]{6,10}",
        "sk-ant-api03-[A-Za-z0-9_-]{90}",
        "[A-Za-z0-9]{300,600}",
        "[a-zé日]{10}[0-9]{8}",
    ]
    .prop_filter("strong enough to be searched for", |secret| {
        let redactor = Redactor::new();
        redactor.register("S", &Secret::new(secret.clone()));
        redactor.weak().is_empty()
    })
}

fn wrapped(text: &str, columns: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(columns).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

/// Everything that a program can cheaply make of `secret`, with what comes before and after it.
fn forms(secret: &str, before: &str, after: &str) -> Vec<(&'static str, String)> {
    let bytes = secret.as_bytes();
    let around = format!("{before}{secret}{after}");
    let form: String = url_encoded(secret);
    vec![
        ("plain", around.clone()),
        ("reversed", around.chars().rev().collect()),
        ("base64", STANDARD.encode(&around)),
        ("base64 url", URL_SAFE.encode(&around)),
        ("base64 wrapped", wrapped(&STANDARD.encode(&around), 76)),
        ("base64 narrow", wrapped(&STANDARD_NO_PAD.encode(&around), 7)),
        ("base64 reversed", STANDARD_NO_PAD.encode(bytes.iter().rev().copied().collect::<Vec<u8>>())),
        ("hex", hex::encode(&around)),
        ("HEX", hex::encode_upper(&around)),
        ("hex reversed", hex::encode(bytes.iter().rev().copied().collect::<Vec<u8>>())),
        ("hex wrapped", wrapped(&hex::encode(&around), 60)),
        ("od", bytes.iter().map(|byte| format!(" {byte:02x}")).collect::<String>()),
        ("url", format!("{before}{form}{after}")),
        ("escaped bytes", bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>()),
        ("wrapped", wrapped(&around, 10)),
        ("a character a line", wrapped(&around, 1)),
        ("upper case", around.to_ascii_uppercase()),
        ("json", json!({ "key": around }).to_string()),
        ("a string in a string", json!(json!(around).to_string()).to_string()),
        ("zero-width", around.chars().flat_map(|char| [char, '\u{200b}']).collect()),
    ]
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_form_of_a_live_secret_passes(secret in secret(), before in "[ -~]{0,9}", after in "[ -~]{0,9}") {
        let redactor = Redactor::new();
        redactor.register("DEPLOY_KEY", &Secret::new(secret.clone()));
        for (name, text) in forms(&secret, &before, &after) {
            let (redacted, found) = redactor.redact(&text);
            prop_assert!(found.iter().any(|(kind, _)| kind == "DEPLOY_KEY"), "{name}: {text:?} passes as {redacted:?}");
            prop_assert!(redactor.find(&redacted).is_empty(), "{name}: once more finds something in {redacted:?}");
            prop_assert!(has_mark(&redacted));
            // What is left is what stood around it, at most three characters for each of its, and the characters of base64
            // that hold bits of both.
            let left = redacted.replace("[redacted: DEPLOY_KEY]", "").chars().filter(|char| !char.is_whitespace()).count();
            let around = 4 * (before.len() + after.len());
            prop_assert!(left <= around + 14, "{name}: {left} characters of {text:?} are left: {redacted:?}");
        }
    }

    #[test]
    fn a_piece_of_sixteen_bytes_does_not_pass(secret in "[A-Za-z0-9]{40,64}", start in 0_usize..24) {
        let redactor = Redactor::new();
        redactor.register("DEPLOY_KEY", &Secret::new(secret.clone()));
        let piece = &secret[start..start + 16];
        prop_assert_eq!(redactor.text(piece), "[redacted: DEPLOY_KEY]");
        let piece = hex::encode(piece);
        prop_assert_eq!(redactor.text(&piece), "[redacted: DEPLOY_KEY]");
    }

    #[test]
    fn any_text_is_taken_and_none_without_a_secret_is_changed(text in "\\PC{0,200}") {
        let redactor = Redactor::new();
        redactor.register("DEPLOY_KEY", &Secret::new("kX9vQ2mL7pRt4wZs8nBc"));
        let redacted = redactor.text(&text);
        prop_assert_eq!(redactor.text(&redacted), redacted.clone());
    }
}

#[test]
fn a_mark_names_the_secret_and_values_keep_their_shape() {
    let redactor = Redactor::new();
    redactor.register("DATABASE_URL", &Secret::new(format!("postgres://app:{}@db/app", "kX9vQ2mL7pRt")));
    redactor.register("SHORT", &Secret::new("test"));
    assert_eq!(redactor.weak(), ["SHORT"]);
    let mut value = json!({ "cause": ["no login with kX9vQ2mL7pRt", { "tests": "a test of postgres://app at db/app" }], "count": 3 });
    let found = redactor.value(&mut value);
    let expected =
        json!({ "cause": ["no login with [redacted: DATABASE_URL]", { "tests": "a test of postgres://app at db/app" }], "count": 3 });
    assert_eq!((value, found.to_string().as_str()), (expected, "DATABASE_URL 1"));
}

#[test]
fn a_mark_is_known_and_words_that_look_like_one_are_not() {
    assert!(has_mark("x = [redacted: github-token];"));
    assert!(has_mark("x = [redacted: ANTHROPIC_API_KEY];"));
    assert!(!has_mark("it prints [redacted: KIND] or [redacted: some words]"));
}
