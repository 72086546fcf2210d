//! How a client names a function.

/// A function's name and qualifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Function<'a> {
    /// The handler's name.
    pub(super) name: &'a str,
    /// A version or alias; there is only one version here.
    qualifier: Option<&'a str>,
}

impl<'a> Function<'a> {
    /// From `name`, `name:qualifier`, `account:function:name` or a whole ARN, and the query's `Qualifier`.
    pub(super) fn parse(text: &'a str, query: Option<&'a str>) -> Self {
        let text = text.split_once("function:").map_or(text, |(_, name)| name);
        let (name, qualifier) = text.split_once(':').map_or((text, None), |(name, qualifier)| (name, Some(qualifier)));
        let in_query = || query?.split('&').find_map(|parameter| parameter.strip_prefix("Qualifier="));
        Self { name, qualifier: qualifier.or_else(in_query) }
    }

    /// Whether this client wants to see a handler's error as an HTTP status.
    pub(super) fn errors_as_status(&self) -> bool {
        self.qualifier == Some("errors-as-status")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_by_name_partial_arn_or_arn_each_with_or_without_a_qualifier() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:claim";
        for text in ["claim", "123456789012:function:claim", arn] {
            assert_eq!(Function::parse(text, None), Function { name: "claim", qualifier: None });
            let qualified = format!("{text}:live");
            assert_eq!(Function::parse(&qualified, None), Function { name: "claim", qualifier: Some("live") });
        }
    }

    #[test]
    fn the_qualifier_may_stand_in_the_query() {
        assert_eq!(Function::parse("claim", Some("a=b&Qualifier=live")), Function { name: "claim", qualifier: Some("live") });
        assert!(Function::parse("claim", Some("Qualifier=errors-as-status")).errors_as_status());
        assert!(Function::parse("claim:errors-as-status", None).errors_as_status());
        assert!(!Function::parse("claim:$LATEST", None).errors_as_status());
    }
}
