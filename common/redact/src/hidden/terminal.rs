//! Control sequences (ECMA-48) and what else moves a terminal's cursor.

use std::borrow::Cow;

use crate::Found;

const ESC: char = '\u{1b}';

/// `text` without control sequences, with a line for each state of a line that was overwritten.
pub(super) fn plain<'t>(text: &'t str, found: &mut Found) -> Cow<'t, str> {
    if !text.contains([ESC, '\r', '\u{8}', '\u{90}', '\u{98}', '\u{9b}', '\u{9d}', '\u{9e}', '\u{9f}']) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let after = &rest[char.len_utf8()..];
        rest = match char {
            ESC => {
                found.add("escape-sequence");
                sequence(after)
            }
            '\u{9b}' => {
                found.add("escape-sequence");
                control(after)
            }
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => {
                found.add("escape-sequence");
                string(after)
            }
            '\r' => {
                let after = after.trim_start_matches('\r');
                if !after.starts_with('\n') && !plain.ends_with('\n') && !plain.is_empty() {
                    plain.push('\n');
                }
                after
            }
            '\u{8}' => {
                found.add("control");
                after
            }
            char => {
                plain.push(char);
                after
            }
        };
    }
    Cow::Owned(plain)
}

/// What follows the sequence that an ESC began.
fn sequence(rest: &str) -> &str {
    let mut chars = rest.chars();
    match chars.next() {
        Some('[') => control(chars.as_str()),
        Some(']' | 'P' | 'X' | '^' | '_') => string(chars.as_str()),
        // Intermediate bytes, then a final one.
        Some(' '..='/') => {
            let rest = rest.trim_start_matches(|char| (' '..='/').contains(&char));
            rest.strip_prefix(|char| ('0'..='~').contains(&char)).unwrap_or(rest)
        }
        Some('0'..='~') => chars.as_str(),
        _ => rest,
    }
}

/// Parameters, intermediate bytes, a final byte.
fn control(rest: &str) -> &str {
    let rest = rest.trim_start_matches(|char| ('0'..='?').contains(&char)).trim_start_matches(|char| (' '..='/').contains(&char));
    rest.strip_prefix(|char| ('@'..='~').contains(&char)).unwrap_or(rest)
}

/// Up to the string's terminator. One without ends with its line, so that it does not swallow what follows.
fn string(rest: &str) -> &str {
    let end = rest.find([ESC, '\u{7}', '\u{9c}', '\n']).unwrap_or(rest.len());
    let (_, rest) = rest.split_at(end);
    rest.strip_prefix("\u{1b}\\").or_else(|| rest.strip_prefix(['\u{7}', '\u{9c}'])).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_go_and_overwritten_lines_stay() {
        let cases = [
            ("\x1b[1;31mred\x1b[0m", "red", "escape-sequence 2"),
            ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink", "escape-sequence 3"),
            ("\x1b]52;c;cm0gLXJm\x07x", "x", "escape-sequence 1"),
            ("\x1bPq#0\x1b\\x\u{9b}2Jy\u{9d}z\u{9c}", "xy", "escape-sequence 3"),
            ("\x1b(Bx\x1bcy\x1b", "xy", "escape-sequence 3"),
            ("10%\r20%\r\ndone\r\n", "10%\n20%\ndone\n", ""),
            ("ab\x08c", "abc", "control 1"),
            ("\x1b]0;open\nnext", "\nnext", "escape-sequence 1"),
            ("ünïcode", "ünïcode", ""),
        ];
        for (text, shown, counted) in cases {
            let mut found = Found::default();
            assert_eq!((plain(text, &mut found).as_ref(), found.to_string().as_str()), (shown, counted), "{text:?}");
        }
    }
}
