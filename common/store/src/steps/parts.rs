//! A request as far as it differs from the one before it.

/// What is kept of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part<'a> {
    /// Characters at its beginning that are as in the request before.
    pub head: i32,
    /// What stands between.
    pub middle: &'a str,
    /// Characters at its end that are as in the request before.
    pub tail: i32,
}

impl<'a> Part<'a> {
    /// Of `whole`, after `before`.
    pub(super) fn of(whole: &'a str, before: &str) -> Self {
        let equal = alike(whole.as_bytes(), before.as_bytes());
        let head = whole.floor_char_boundary(equal);
        // What is counted at the beginning is not counted again at the end, in neither of the two.
        let (rest, theirs) = (&whole[head..], &before[head..]);
        let equal = rest.bytes().rev().zip(theirs.bytes().rev()).take_while(|(ours, theirs)| ours == theirs).count();
        let end = rest.ceil_char_boundary(rest.len() - equal);
        Self { head: characters(&whole[..head]), middle: &rest[..end], tail: characters(&rest[end..]) }
    }
}

/// How many bytes two texts begin with alike. A conversation is compared whole in every step, so not byte by byte.
fn alike(ours: &[u8], theirs: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let blocks = ours.chunks_exact(BLOCK).zip(theirs.chunks_exact(BLOCK)).take_while(|(ours, theirs)| ours == theirs).count() * BLOCK;
    blocks + ours[blocks..].iter().zip(&theirs[blocks..]).take_while(|(ours, theirs)| ours == theirs).count()
}

/// No text of PostgreSQL is longer than 1 GB.
fn characters(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(part: Part<'_>, before: &str) -> String {
        let count = before.chars().count();
        let head = before.chars().take(part.head as usize);
        let tail = before.chars().skip(count - part.tail as usize);
        head.chain(part.middle.chars()).chain(tail).collect()
    }

    #[test]
    fn what_is_kept_of_a_conversation_is_what_came_to_it() {
        let part = Part::of(r#"{"messages":[{"a"},{"b"}],"model":"m"}"#, r#"{"messages":[{"a"}],"model":"m"}"#);
        assert_eq!(part, Part { head: 18, middle: r#",{"b"}"#, tail: 14 });
        assert_eq!(Part::of("same", "same"), Part { head: 4, middle: "", tail: 0 });
        assert_eq!(Part::of("new", ""), Part { head: 0, middle: "new", tail: 0 });
    }

    proptest! {
        #[test]
        fn a_request_comes_back_whole(long in 0..70_usize, before in "[aé€]{0,8}", request in "[aé€]{0,8}") {
            let [before, request] = [before, request].map(|text| "é".repeat(long) + &text);
            prop_assert_eq!(whole(Part::of(&request, &before), &before), request);
        }
    }
}
