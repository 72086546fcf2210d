//! What stands for a result that is not shown any more, or not whole.

/// Shorter results stay: the line in their place would not be shorter.
const LEAST_BYTES: usize = 400;
const MOST_BEGINNING: usize = 120;

/// The line that stands for `content`; `None` = it is short enough to stay.
///
/// It says how much there was, how it began and how to have it again; the call itself still stands before it.
pub(crate) fn stub(content: &str) -> Option<String> {
    if content.len() < LEAST_BYTES {
        return None;
    }
    let beginning: String = content.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().chars().take(MOST_BEGINNING).collect();
    let (bytes, lines) = (content.len(), content.lines().count());
    Some(format!(
        "[{bytes} bytes in {lines} lines were here, left out since to save room. They began: {beginning:?}. Make the call again to see them as they are now.]"
    ))
}

/// `content` with its middle left out where it is longer than `limit` bytes.
pub(crate) fn clipped(content: &str, limit: usize) -> String {
    if content.len() <= limit {
        return content.to_owned();
    }
    let (head, tail) = (content.floor_char_boundary(limit / 2), content.ceil_char_boundary(content.len() - limit / 2));
    let left_out = tail - head;
    format!("{}\n[{left_out} bytes left out: ask for a smaller part]\n{}", &content[..head], &content[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_says_what_was_there_and_short_results_stay() {
        let said = stub(&format!("\nexit code 0\n{}", "x\n".repeat(500))).unwrap();
        assert!(said.starts_with("[1013 bytes in 502 lines were here") && said.contains("\"exit code 0\""), "{said}");
        assert_eq!(stub("exit code 0, no output"), None);
    }

    #[test]
    fn what_is_clipped_keeps_both_ends_and_whole_characters() {
        assert_eq!(clipped("short", 5), "short");
        let text = format!("é{}ü", "x".repeat(100));
        let clipped = clipped(&text, 21);
        assert!(clipped.starts_with("éxxxxxxxx\n[") && clipped.ends_with("]\nxxxxxxxxü"), "{clipped}");
    }
}
