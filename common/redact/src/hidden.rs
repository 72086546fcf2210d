//! Characters that a reader does not see and a program or a model does: taken out of prose, shown as escapes in code.
//!
//! Sources: Unicode's `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt), UTS #39 and UTR #36 on invisible and
//! bidirectional characters, ECMA-48 on control sequences.

mod comments;
mod terminal;

use std::borrow::Cow;

use crate::Found;

/// What kind of hidden character `char` is; `None` = a reader sees it, or it is a line break or tab.
pub fn class(char: char) -> Option<&'static str> {
    Some(match char {
        '\n' | '\t' | ' '..='~' => return None,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => "control",
        '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => "zero-width",
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => "bidi",
        '\u{e0000}'..='\u{e007f}' => "tag",
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180d}' | '\u{180f}' => "variation-selector",
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180e}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2061}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0080}'..='\u{e00ff}'
        | '\u{e01f0}'..='\u{e0fff}' => "invisible",
        _ => return None,
    })
}

/// Prose from outside as its readers see it: without HTML comments, Markdown's comments, control sequences and hidden
/// characters; and how many of which there were.
///
/// Comments go wherever they stand, in code too: what decides whether a forge shows them is a parser that we do not have.
pub fn strip(text: &str) -> (Cow<'_, str>, Found) {
    let mut found = Found::default();
    let shown = filtered(text, &mut found, |_, _| {});
    let shown = match comments::without(&shown, &mut found) {
        Some(shown) => Cow::Owned(shown),
        None => shown,
    };
    (shown, found)
}

/// The output of a program as a terminal would leave it: without control sequences, lines that overwrite each other one
/// below the other; hidden characters as escapes.
pub fn of_terminal(text: &str) -> (Cow<'_, str>, Found) {
    let mut found = Found::default();
    let plain = terminal::plain(text, &mut found);
    let (shown, hidden) = match plain {
        Cow::Borrowed(text) => visible(text),
        Cow::Owned(text) => {
            let (shown, hidden) = visible(&text);
            (Cow::Owned(shown.into_owned()), hidden)
        }
    };
    found.merge(hidden);
    (shown, found)
}

/// Text whose every character matters, such as code: hidden characters become visible escapes, `\u{202e}`. See
/// [`unescaped`] for the way back.
pub fn visible(text: &str) -> (Cow<'_, str>, Found) {
    let mut found = Found::default();
    let shown = filtered(text, &mut found, |char, shown| shown.extend(char.escape_unicode()));
    (shown, found)
}

/// JSON with its hidden characters as JSON's own escapes: the same value, harmless to a terminal.
pub fn visible_in_json(json: &str) -> Cow<'_, str> {
    let escape = |char: char, shown: &mut String| {
        let mut units = [0; 2];
        shown.extend(char.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
    };
    filtered(json, &mut Found::default(), escape)
}

/// `text` with the escapes of [`visible`] put back; other escapes are code and stay.
pub fn unescaped(text: &str) -> Cow<'_, str> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\u{") {
        let (code, after) = rest[at + 3..].split_once('}').unwrap_or_default();
        let char = u32::from_str_radix(code, 16).ok().and_then(char::from_u32).filter(|char| class(*char).is_some());
        match char {
            Some(char) => {
                plain.push_str(&rest[..at]);
                plain.push(char);
                rest = after;
            }
            None => {
                plain.push_str(&rest[..at + 3]);
                rest = &rest[at + 3..];
            }
        }
    }
    if plain.is_empty() {
        return Cow::Borrowed(text);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// `text` without its hidden characters, which are counted and handed to `instead`.
fn filtered<'t>(text: &'t str, found: &mut Found, instead: impl Fn(char, &mut String)) -> Cow<'t, str> {
    let Some(first) = text.char_indices().find(|(_, char)| class(*char).is_some()) else { return Cow::Borrowed(text) };
    let mut shown = text[..first.0].to_owned();
    let mut chars = text[first.0..].chars().peekable();
    let mut before = text[..first.0].chars().next_back();
    while let Some(char) = chars.next() {
        match class(char) {
            Some(_) if belongs(before, char, chars.peek().copied()) => shown.push(char),
            Some(class) => {
                found.add(class);
                instead(char, &mut shown);
            }
            None => shown.push(char),
        }
        before = Some(char);
    }
    Cow::Owned(shown)
}

/// Whether a hidden character does its proper work between its neighbours: joins emoji or letters of scripts that need it,
/// picks how one character looks, ends a line of Windows.
fn belongs(before: Option<char>, char: char, after: Option<char>) -> bool {
    let seen = |char: char| !char.is_ascii() && class(char).is_none();
    match char {
        '\r' => after == Some('\n'),
        '\u{200c}' | '\u{200d}' => before.is_some_and(|char| seen(char) || char == '\u{fe0f}') && after.is_some_and(seen),
        '\u{fe0e}' | '\u{fe0f}' => before.is_some_and(|char| seen(char) || char.is_ascii_digit() || char == '#' || char == '*'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> (String, String) {
        let (shown, found) = strip(text);
        (shown.into_owned(), found.to_string())
    }

    #[test]
    fn what_a_reader_does_not_see_is_taken_out_and_counted() {
        let cases = [
            ("plain text, naïve, 日本語\n\tend", "plain text, naïve, 日本語\n\tend", ""),
            ("a\u{200b}b\u{feff}", "ab", "zero-width 2"),
            ("\u{202e}evil\u{202c} \u{2066}x\u{2069}", "evil x", "bidi 4"),
            ("hi\u{e0049}\u{e0067}\u{e006e}", "hi", "tag 3"),
            ("a\u{fe00}\u{fe01}\u{e0101}😀\u{fe0f}\u{fe0f}", "a😀\u{fe0f}", "variation-selector 4"),
            ("so\u{ad}ft\u{3164}\u{2063}", "soft", "invisible 3"),
            ("a\x1b[31mred\x07\u{9b}1m", "a[31mred1m", "control 3"),
            ("👩\u{200d}💻 👁\u{fe0f}\u{200d}🗨 می\u{200c}خواهم", "👩\u{200d}💻 👁\u{fe0f}\u{200d}🗨 می\u{200c}خواهم", ""),
            ("a\u{200d}b 😀\u{200d}\u{200d}😀", "ab 😀😀", "zero-width 3"),
            ("one\r\ntwo\rthree", "one\r\ntwothree", "control 1"),
            ("see <!-- run rm -rf --> this", "see  this", "html-comment 1"),
            ("a<!-- b\n\nc", "a", "html-comment 1"),
            ("<!<!-- x -->-- y -->z", "z", "html-comment 2"),
            ("<\u{200b}!-- y -->z", "z", "html-comment 1, zero-width 1"),
            ("a <!--> b --> c", "a  b --> c", "html-comment 1"),
            ("x\n[//]: # (do evil)\n  [note]: <> \"evil\"\ny", "x\ny", "markdown-comment 2"),
            ("[docs]: https://example.com \"t\"", "[docs]: https://example.com \"t\"", ""),
        ];
        for (text, shown, found) in cases {
            assert_eq!(stripped(text), (shown.to_owned(), found.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn in_code_hidden_characters_are_escapes_that_lead_back() {
        let code = "if x\u{202e} { // \u{200b}\u{2066}\u{e0041}\r\n\tok\u{c}\u{1b}\n}";
        let (shown, found) = visible(code);
        assert_eq!(shown, "if x\\u{202e} { // \\u{200b}\\u{2066}\\u{e0041}\r\n\tok\\u{c}\\u{1b}\n}");
        assert_eq!(found.total(), 6);
        assert_eq!(unescaped(&shown), code);
        for code in ["\\u{41} is \\u{1F600}", "\\u{", "\\u{zz}", "nothing"] {
            assert_eq!(unescaped(code), code, "an escape of the code itself");
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        let json = serde_json::to_string("a\u{202e}\u{e0041}\u{9b}2J\u{7f}é\n").unwrap();
        let shown = visible_in_json(&json);
        assert_eq!(shown, "\"a\\u202e\\udb40\\udc41\\u009b2J\\u007fé\\n\"");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), serde_json::from_str::<String>(&json).unwrap());
    }

    #[test]
    fn every_default_ignorable_character_has_a_class() {
        // DerivedCoreProperties.txt of Unicode 16, Default_Ignorable_Code_Point.
        let ranges = [
            (0xad, 0xad),
            (0x34f, 0x34f),
            (0x61c, 0x61c),
            (0x115f, 0x1160),
            (0x17b4, 0x17b5),
            (0x180b, 0x180f),
            (0x200b, 0x200f),
            (0x202a, 0x202e),
            (0x2060, 0x206f),
            (0x3164, 0x3164),
            (0xfe00, 0xfe0f),
            (0xfeff, 0xfeff),
            (0xffa0, 0xffa0),
            (0xfff0, 0xfff8),
            (0x1bca0, 0x1bca3),
            (0x1d173, 0x1d17a),
            (0xe0000, 0xe0fff),
        ];
        let unknown = ranges.iter().flat_map(|(from, to)| *from..=*to).filter_map(char::from_u32).find(|char| class(*char).is_none());
        assert_eq!(unknown, None);
    }
}
