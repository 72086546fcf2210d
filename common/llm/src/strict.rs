//! Schemas in the form that OpenAI holds models to
//! (<https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>).

use serde_json::{Map, Value, json};

/// What a scalar or array may say about itself there.
const KEYWORDS: &[&str] = &[
    "type",
    "description",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "pattern",
    "format",
    "items",
    "minItems",
    "maxItems",
];

/// `schema` with every property required, where those that were optional may be null instead: the form that
/// strict tools need. `None` = it says something that the form has no words for.
pub(crate) fn strict(schema: &Value) -> Option<Value> {
    let schema = schema.as_object()?;
    match schema.get("type")?.as_str()? {
        "object" => object(schema),
        kind => {
            let mut strict = schema.clone();
            if kind == "array" {
                strict.insert("items".to_owned(), self::strict(schema.get("items")?)?);
            }
            schema.keys().all(|keyword| KEYWORDS.contains(&keyword.as_str())).then_some(Value::Object(strict))
        }
    }
}

fn object(schema: &Map<String, Value>) -> Option<Value> {
    let known = ["type", "description", "properties", "required", "additionalProperties"];
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) || !schema.keys().all(|keyword| known.contains(&keyword.as_str())) {
        return None;
    }
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut properties = Map::new();
    for (name, property) in schema.get("properties")?.as_object()? {
        let property = strict(property)?;
        properties.insert(name.clone(), if required.contains(&name.as_str()) { property } else { nullable(property) });
    }
    let mut strict = schema.clone();
    strict.insert("required".to_owned(), properties.keys().cloned().collect());
    strict.insert("properties".to_owned(), Value::Object(properties));
    Some(Value::Object(strict))
}

fn nullable(mut schema: Value) -> Value {
    if schema.get("const").is_some() {
        return json!({ "anyOf": [schema, { "type": "null" }] });
    }
    schema["type"] = json!([schema["type"], "null"]);
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    schema
}

/// `input` without members that are null: what a strict model says for "left out".
pub(crate) fn without_nulls(input: Value) -> Value {
    match input {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name, without_nulls(value)));
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_optional_may_be_null_and_null_means_left_out() {
        let item = json!({
            "type": "object", "additionalProperties": false, "required": ["old"],
            "properties": { "old": { "type": "string" }, "near_line": { "type": "integer", "minimum": 1 }, "how": { "type": "string", "enum": ["a"] } }
        });
        let schema = |item: Value| {
            json!({
                "type": "object", "additionalProperties": false, "required": ["edits"],
                "properties": { "edits": { "type": "array", "minItems": 1, "items": item } }
            })
        };
        let strict_item = json!({
            "type": "object", "additionalProperties": false, "required": ["how", "near_line", "old"],
            "properties": {
                "old": { "type": "string" },
                "near_line": { "type": ["integer", "null"], "minimum": 1 },
                "how": { "type": ["string", "null"], "enum": ["a", null] }
            }
        });
        let mut made = strict(&schema(item)).unwrap();
        // The order of `required` has no meaning.
        if let Some(required) = made["properties"]["edits"]["items"]["required"].as_array_mut() {
            required.sort_by_key(ToString::to_string);
        }
        assert_eq!(made, schema(strict_item));
        let said = json!({ "edits": [{ "old": "a", "near_line": null, "how": null }], "path": null });
        assert_eq!(without_nulls(said), json!({ "edits": [{ "old": "a" }] }));
    }

    #[test]
    fn a_schema_that_the_form_has_no_words_for_stays_as_it_is() {
        let object = |property: Value| json!({ "type": "object", "additionalProperties": false, "properties": { "a": property } });
        assert!(strict(&object(json!({ "type": "string" }))).is_some());
        for open in [
            json!({ "type": "object", "properties": {} }),
            json!({ "type": "object" }),
            object(json!({ "type": "string", "maxLength": 3 })),
            object(json!({ "oneOf": [] })),
            object(json!({ "type": "array" })),
            object(json!({ "type": "object", "additionalProperties": true, "properties": {} })),
        ] {
            assert_eq!(strict(&open), None, "{open}");
        }
    }
}
