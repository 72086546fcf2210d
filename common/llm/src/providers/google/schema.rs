//! The part of JSON Schema that Gemini reads
//! (<https://ai.google.dev/api/generate-content#FIELDS.response_json_schema>).

use serde_json::{Map, Value};

/// Keywords whose value is passed on as it is.
const PLAIN: &[&str] =
    &["$id", "$anchor", "$ref", "type", "format", "title", "description", "enum", "minItems", "maxItems", "minimum", "maximum", "required"];
/// Keywords whose value is a schema, or `true` or `false`.
const NESTED: &[&str] = &["items", "additionalProperties"];
/// Keywords whose value is a list of schemas.
const LISTS: &[&str] = &["anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is an object of named schemas.
const NAMED: &[&str] = &["properties", "$defs"];

/// `schema` without the keywords that the API refuses. What is left out is checked all the same: tools read
/// their input strictly.
pub(super) fn accepted(schema: &Value) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let mut kept = Map::new();
    for (keyword, value) in schema {
        let value = match (keyword.as_str(), value) {
            (plain, value) if PLAIN.contains(&plain) => value.clone(),
            (nested, value) if NESTED.contains(&nested) => accepted(value),
            (list, Value::Array(schemas)) if LISTS.contains(&list) => schemas.iter().map(accepted).collect(),
            (named, Value::Object(schemas)) if NAMED.contains(&named) => {
                Value::Object(schemas.iter().map(|(name, schema)| (name.clone(), accepted(schema))).collect())
            }
            ("const", value) => {
                kept.insert("enum".to_owned(), Value::Array(vec![value.clone()]));
                continue;
            }
            _ => continue,
        };
        kept.insert(keyword.clone(), value);
    }
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_api_refuses_is_left_out_at_every_depth() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "pattern": { "type": "string", "minLength": 1, "pattern": "^a", "default": "a" },
                "edits": { "type": "array", "minItems": 1, "items": { "type": "object", "properties": { "kind": { "const": "x" } } } },
                "choice": { "anyOf": [{ "type": "integer", "exclusiveMinimum": 0 }, { "type": "null" }] }
            },
            "required": ["pattern"],
            "additionalProperties": false
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "pattern": { "type": "string" },
                "edits": { "type": "array", "minItems": 1, "items": { "type": "object", "properties": { "kind": { "enum": ["x"] } } } },
                "choice": { "anyOf": [{ "type": "integer" }, { "type": "null" }] }
            },
            "required": ["pattern"],
            "additionalProperties": false
        });
        assert_eq!(accepted(&schema), expected);
    }
}
