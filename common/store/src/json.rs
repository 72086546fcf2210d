//! JSON and text on their way into the database: the one place at which they lose their secrets, so that nothing that is read
//! back from there (events, answers of the API, `codeteam show`) holds one.

use std::borrow::Cow;

use redact::Redactor;
use serde::{Serialize, Serializer};
use serde_json::Value;
use time::Date;

/// `value` as PostgreSQL can store it: `jsonb` has no room for the character NUL, which models and people do
/// send; it becomes U+FFFD, the replacement character. Secrets become marks.
pub(crate) fn json(value: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(value).expect("our types have string keys and no failing serializer");
    clean(&mut value);
    Redactor::of_process().value(&mut value);
    value
}

/// The same for plain text.
pub(crate) fn text(text: &str) -> String {
    Redactor::of_process().text(&verbatim(text)).into_owned()
}

/// Text that is replayed byte for byte: a model's request, which has lost its secrets before it was sent, and its reply. No
/// door shows either.
pub(crate) fn verbatim(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}").into(),
        false => text.into(),
    }
}

/// `YYYY-MM-DD`.
pub(crate) fn day<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(day)
}

fn clean(value: &mut Value) {
    match value {
        Value::String(string) if string.contains('\0') => *string = verbatim(string).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use domain::Secret;
    use redact::Redactor;
    use serde_json::json;

    #[test]
    fn secrets_are_taken_out_wherever_they_stand_but_not_of_what_is_replayed() {
        Redactor::of_process().register("STORE_TEST", &Secret::new("store-test-kX9vQ2mL"));
        let value = super::json(&json!({ "cause": ["no login with store-test-kX9vQ2mL"] }));
        assert_eq!(value, json!({ "cause": ["no login with [redacted: STORE_TEST]"] }));
        assert_eq!(super::text("store-test-kX9vQ2mL!"), "[redacted: STORE_TEST]!");
        assert_eq!(super::verbatim("store-test-kX9vQ2mL\0"), "store-test-kX9vQ2mL\u{fffd}");
    }

    #[test]
    fn nul_is_replaced_wherever_it_stands() {
        let value = super::json(&json!({ "a": ["x\0y", { "b": "\0" }], "c": 1 }));
        assert_eq!(value, json!({ "a": ["x\u{fffd}y", { "b": "\u{fffd}" }], "c": 1 }));
    }
}
