//! Text of a model in a place where Markdown acts: it mentions people, closes issues, loads images, commands robots.
//!
//! Everything here works on the raw text and breaks what acts with one invisible character (`BREAK`): whatever a forge's
//! parser makes of the rest, it finds no mention, image, link, tag or command. Readers see the same text. A parser of
//! ours would have to agree with theirs in every corner, or an attacker uses the difference.

use crate::hidden;

/// ZERO WIDTH SPACE: shown as nothing, and part of no name, address or tag.
const BREAK: char = '\u{200b}';

/// What closes an issue when it stands before a reference to it (GitHub, "Linking a pull request to an issue").
const CLOSING: &[&str] = &["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];

/// What makes a forge skip its checks of a commit when it stands in brackets (GitHub, "Skipping workflow runs").
const SKIPPING: &[&str] = &["skip ci", "ci skip", "no ci", "skip actions", "actions skip"];

/// `text` as people will read it on a forge, with nothing in it that acts: no hidden text and no forged marker, no mention of
/// people or teams, no word that closes an issue, no command at the start of a line and none to skip checks, no image, link, address or HTML.
/// Doing it again changes nothing.
pub fn inert(text: &str) -> String {
    let (shown, _) = hidden::strip(text);
    let mut inert = String::with_capacity(shown.len() + shown.len() / 16);
    for (number, line) in shown.split('\n').enumerate() {
        if number > 0 {
            inert.push('\n');
        }
        let start = line.len() - line.trim_start_matches([' ', '\t', '>', '*', '-', '+', '\r']).len();
        inert.push_str(&line[..start]);
        if line[start..].starts_with('/') {
            inert.push('\\');
        } else if starts_with_ignoring_case(&line[start..], "skip-checks") {
            inert.push(BREAK);
        }
        push_line(&mut inert, &line[start..]);
    }
    without_closing(&inert)
}

/// The same for one line that is not Markdown, such as a title.
pub fn inert_line(text: &str) -> String {
    inert(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn push_line(inert: &mut String, line: &str) {
    let mut before = ' ';
    for (at, char) in line.char_indices() {
        let rest = &line[at + char.len_utf8()..];
        let next = rest.chars().next().unwrap_or(' ');
        inert.push(char);
        let acts = match char {
            // An address of mail is no mention.
            '@' => next.is_alphanumeric() && !before.is_alphanumeric(),
            '!' => next == '[',
            '[' => SKIPPING.iter().any(|word| starts_with_ignoring_case(rest, word)),
            ']' => next == '(' || next == ':' || next == '[',
            '<' => next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?'),
            // As in https://, mailto:name and xmpp:name.
            ':' => rest.starts_with("//") || ends_with_ignoring_case(inert, "mailto:") || ends_with_ignoring_case(inert, "xmpp:"),
            '.' => ends_with_ignoring_case(inert, "www."),
            _ => false,
        };
        if acts {
            inert.push(BREAK);
        }
        before = char;
    }
}

/// Breaks each closing word that a reference follows, whatever stands between them.
fn without_closing(text: &str) -> String {
    let mut broken = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|char: char| char.is_ascii_alphabetic()) {
        let end = rest[start..].find(|char: char| !char.is_alphanumeric()).map_or(rest.len(), |length| start + length);
        let (word, after) = (&rest[start..end], &rest[end..]);
        broken.push_str(&rest[..start]);
        if CLOSING.iter().any(|closing| word.eq_ignore_ascii_case(closing)) && is_reference(after) {
            broken.push_str(&word[..1]);
            broken.push(BREAK);
            broken.push_str(&word[1..]);
        } else {
            broken.push_str(word);
        }
        rest = after;
    }
    broken + rest
}

/// Whether `text` begins, after spaces and marks, with `#1`, `GH-1`, `owner/name#1` or an issue's address.
fn is_reference(text: &str) -> bool {
    let text = text.trim_start_matches(|char: char| char.is_whitespace() || ":*_`[(<\\,".contains(char) || char == BREAK);
    let word = text.split(|char: char| char.is_whitespace()).next().unwrap_or_default();
    let number = |after: &str| after.trim_start_matches(BREAK).starts_with(|char: char| char.is_ascii_digit());
    let gh = word.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("gh-")) && number(&word[3..]);
    let hash = word.split_once('#').is_some_and(|(_, after)| number(after));
    let address = ["/issues/", "/pull/", "/discussions/"].iter().any(|path| word.contains(path));
    gh || hash || address
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|there| there.eq_ignore_ascii_case(start))
}

fn ends_with_ignoring_case(text: &str, end: &str) -> bool {
    text.len().checked_sub(end.len()).and_then(|at| text.get(at..)).is_some_and(|there| there.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a person can read it here.
    fn shown(text: &str) -> String {
        inert(text).replace(BREAK, "·")
    }

    #[test]
    fn what_acts_is_broken_and_the_rest_stays() {
        let cases = [
            ("Rounds half up, see `price.py` and #12.", "Rounds half up, see `price.py` and #12."),
            ("thanks @octocat and @acme/admins, not me@example.com", "thanks @·octocat and @·acme/admins, not me@example.com"),
            ("`@octocat` (@a)", "`@·octocat` (@·a)"),
            ("![x](https://evil.example/?d=1)", "!·[x]·(https:·//evil.example/?d=1)"),
            ("![x][r]\n[r]: //evil.example/x.png", "!·[x]·[r]\n[r]·: //evil.example/x.png"),
            ("<img src=x> </p> <https://a.b> a < b", "<·img src=x> <·/p> <·https:·//a.b> a < b"),
            ("www.evil.example mailto:a@b.c WWW.x.y", "www.·evil.example mailto:·a@b.c WWW.·x.y"),
            ("XMPP:a@b.c", "XMPP:·a@b.c"),
            ("Fixes #7, closes: acme/shop#8 and RESOLVED\nGH-9", "F·ixes #7, c·loses: acme/shop#8 and R·ESOLVED\nGH-9"),
            ("fix **#7**", "f·ix **#7**"),
            ("fixed https://github.com/a/b/issues/1", "f·ixed https:·//github.com/a/b/issues/1"),
            ("This fixes the rounding. A fix in #7 broke it.", "This fixes the rounding. A fix in #7 broke it."),
            ("/genius do it\n > /mechanic again\na/b", "\\/genius do it\n > \\/mechanic again\na/b"),
            ("[skip ci] [CI Skip] [skip]\nskip-checks: true", "[·skip ci] [·CI Skip] [skip]\n·skip-checks: true"),
            ("x <!-- codeteam:job:1 --> y", "x  y"),
            ("x <!-- never closed", "x "),
            ("a @\u{200b}octocat", "a @·octocat"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text:?}");
            assert_eq!(inert(&inert(text)), inert(text), "twice: {text:?}");
        }
    }

    #[test]
    fn a_title_is_one_line() {
        assert_eq!(inert_line(" Round\n half  up \r\n"), "Round half up");
    }
}
