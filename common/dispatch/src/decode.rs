//! JSON to requests, with errors that name the bad field.

use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::HandlerError;

/// Decodes `value`; `what` names it in the error.
///
/// # Errors
/// [`HandlerError::Invalid`] with the path of the first bad field: `claim request: caps.steps: invalid type…`.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, HandlerError> {
    with_path(what, value)
}

/// Like [`decode`], from the text of one JSON document.
pub(crate) fn decode_slice<T: DeserializeOwned>(what: &str, json: &[u8]) -> Result<T, HandlerError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = with_path(what, &mut deserializer)?;
    deserializer.end().map_err(|error| HandlerError::Invalid(format!("{what}: {error}")))?;
    Ok(value)
}

fn with_path<'de, T, D>(what: &str, deserializer: D) -> Result<T, HandlerError>
where
    T: DeserializeOwned,
    D: Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("{path}: ") };
        HandlerError::Invalid(format!("{what}: {place}{}", error.into_inner()))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Line {
        amount: u32,
    }

    #[test]
    fn an_error_names_the_path_of_the_bad_field() {
        let error = decode::<Order>("order", json!({"lines": [{"amount": 1}, {"amount": "two"}]})).unwrap_err();
        assert_eq!(error.to_string(), r#"order: lines[1].amount: invalid type: string "two", expected u32"#);
    }

    #[test]
    fn an_error_at_the_root_has_no_path() {
        let error = decode::<Order>("order", json!(7)).unwrap_err();
        assert_eq!(error.to_string(), "order: invalid type: integer `7`, expected struct Order");
    }

    #[test]
    fn text_after_the_document_is_refused() {
        let error = decode_slice::<Order>("order", br#"{"lines": []} {}"#).unwrap_err();
        assert_eq!(error.to_string(), "order: trailing characters at line 1 column 15");
    }
}
