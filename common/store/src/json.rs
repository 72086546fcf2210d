//! JSON on its way into the database.

use serde::{Serialize, Serializer};
use serde_json::Value;
use time::Date;

/// `value` as PostgreSQL can store it: `jsonb` has no room for the character NUL, which models and people do
/// send; it becomes U+FFFD, the replacement character.
pub(crate) fn json(value: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(value).expect("our types have string keys and no failing serializer");
    clean(&mut value);
    value
}

/// The same for plain text.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// `YYYY-MM-DD`.
pub(crate) fn day<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(day)
}

fn clean(value: &mut Value) {
    match value {
        Value::String(string) if string.contains('\0') => *string = text(string),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn nul_is_replaced_wherever_it_stands() {
        let value = super::json(&json!({ "a": ["x\0y", { "b": "\0" }], "c": 1 }));
        assert_eq!(value, json!({ "a": ["x\u{fffd}y", { "b": "\u{fffd}" }], "c": 1 }));
    }
}
