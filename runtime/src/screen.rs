//! What people see: progress on standard error, data on standard output. Neither shows a secret, and nothing that a model or a
//! repository wrote moves their cursor, sets their title or hides from them.

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};

use redact::{Redactor, hidden};
use serde::Serialize;

/// Says something about the progress.
pub fn progress(line: &str) {
    // Nobody reads it any more: that is no reason to fail.
    let _ = writeln!(stderr(), "{}", shown(line));
}

/// Whether standard error is a terminal, where lines may be redrawn.
pub fn is_live() -> bool {
    stderr().is_terminal()
}

/// Prints data for people, or as one line of JSON.
///
/// # Errors
/// When standard output cannot be written; a reader that went away is none.
pub fn data<T: Serialize>(json: bool, value: &T, text: impl FnOnce() -> String) -> std::io::Result<()> {
    let line = match json {
        true => hidden::visible_in_json(&Redactor::of_process().text(&serde_json::to_string(value)?)).into_owned(),
        false => shown(&text()),
    };
    match writeln!(stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// `text` as a terminal may be given it: secrets as marks, what is no visible character as an escape.
pub fn shown(text: &str) -> String {
    hidden::visible(&Redactor::of_process().text(text)).0.into_owned()
}

/// A table whose columns are as wide as their widest cell; the last one is not padded.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| match column + 1 == head.len() {
            true => (*cell).to_owned(),
            false => format!("{cell:<width$}", width = widths[column]),
        });
        padded.collect::<Vec<_>>().join("  ")
    };
    let mut lines = vec![line(head.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// `12,345`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The first line of `text`, cut to `most` characters.
pub fn one_line(text: &str, most: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped_from_the_right() {
        assert_eq!([0, 999, 1_000, 12_345, 1_234_567].map(thousands), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn a_terminal_is_given_text_and_no_commands() {
        let evil = "a\x1b]0;title\x07b\u{9b}2J\u{202e}c\rd\n\te";
        assert_eq!(shown(evil), "a\\u{1b}]0;title\\u{7}b\\u{9b}2J\\u{202e}c\\u{d}d\n\te");
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["1".to_owned(), "ready".to_owned()], vec!["22".to_owned(), "x".to_owned()]];
        assert_eq!(table(&["ID", "STATE"], &rows), "ID  STATE\n1   ready\n22  x");
    }
}
