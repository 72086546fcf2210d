//! Comments that a forge does not show.

use crate::Found;

const OPENS: &str = "<!--";

/// `text` without HTML comments and the lines by which Markdown is made to hide text; `None` where there is none. A
/// comment that nobody closes ends with the text, as it does in Markdown.
pub(super) fn without(text: &str, found: &mut Found) -> Option<String> {
    let html = text.contains(OPENS).then(|| without_html(text, found));
    let shown = html.as_deref().unwrap_or(text);
    if !shown.lines().any(is_markdown_comment) {
        return html;
    }
    let mut kept = String::with_capacity(shown.len());
    for line in shown.split_inclusive('\n') {
        match is_markdown_comment(line) {
            true => found.add("markdown-comment"),
            false => kept.push_str(line),
        }
    }
    Some(kept)
}

/// One pass over what was kept so far, so that a comment which the removal of another puts together is found as well.
fn without_html(text: &str, found: &mut Found) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut open = None;
    for char in text.chars() {
        kept.push(char);
        match open {
            None if kept.ends_with(OPENS) => open = Some(kept.len() - OPENS.len()),
            Some(start) if char == '>' && closes(&kept[start + 2..]) => {
                kept.truncate(start);
                found.add("html-comment");
                open = None;
            }
            _ => {}
        }
    }
    if let Some(start) = open {
        kept.truncate(start);
        found.add("html-comment");
    }
    kept
}

/// `<!-->` and `<!--->` are whole comments too.
fn closes(comment: &str) -> bool {
    comment.ends_with("-->") || comment.ends_with("--!>")
}

/// `[//]: # (text)`: a link's definition that leads nowhere and has a title.
fn is_markdown_comment(line: &str) -> bool {
    let definition = line.trim().strip_prefix('[').and_then(|rest| rest.split_once("]:"));
    let target = definition.map(|(_, target)| target.trim_start()).unwrap_or_default();
    ["#", "<>"].iter().filter_map(|nowhere| target.strip_prefix(nowhere)).any(|title| title.trim_start().starts_with(['(', '"', '\'']))
}
