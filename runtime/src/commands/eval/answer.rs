//! What an answer says: places that it names, and words that it holds near them.

use std::path::PathBuf;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use toml::Spanned;

use super::source::Source;

/// A place that is named as wider than this says nothing about a line.
const WIDEST: u32 = 40;

/// Something that an answer says or does not say: it names a place, it holds words, or both in one passage.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// What it is, for people.
    pub what: String,
    place: Option<Place>,
    matches: Option<Regex>,
}

#[derive(Clone, Debug)]
struct Place {
    path: String,
    lines: Option<(u32, u32)>,
    named: Regex,
    with_lines: [Regex; 2],
}

/// A statement as `task.toml` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStatement {
    what: String,
    path: Option<Spanned<String>>,
    lines: Option<Spanned<[u32; 2]>>,
    matches: Option<Spanned<String>>,
}

/// A part of an answer that stands for itself: a paragraph or an item of a list with all below it, or a comment on lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Passage {
    /// Where it stands, for a comment on lines.
    pub place: Option<(String, u32, u32)>,
    /// What it says.
    pub text: String,
}

impl Statement {
    /// Takes a statement from `task.toml`; `known` gives the file of a path in the repository.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub(super) fn check(source: &Source, raw: &Spanned<RawStatement>, known: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Self, String> {
        let statement = raw.get_ref();
        if statement.path.is_none() && statement.matches.is_none() {
            return Err(source.at(raw.span(), "a statement needs `path`, `matches` (a regular expression) or both"));
        }
        if let (Some(lines), None) = (&statement.lines, &statement.path) {
            return Err(source.at(lines.span(), "lines need the path that they are lines of"));
        }
        let matches = statement.matches.as_ref().map(|pattern| {
            let built = RegexBuilder::new(pattern.get_ref()).case_insensitive(true).dot_matches_new_line(true).build();
            built.map_err(|error| source.at(pattern.span(), format!("matches is no regular expression: {error}")))
        });
        let place = statement.path.as_ref().map(|path| {
            let text = path.get_ref();
            let Some(file) = known(text) else {
                return Err(source.at(path.span(), format!("there is no {text} in the repository")));
            };
            if let Some(lines) = &statement.lines {
                let [first, last] = *lines.get_ref();
                let count = std::fs::read_to_string(&file).map_or(0, |text| text.lines().count());
                if first == 0 || first > last || last as usize > count {
                    let wrong = format!("lines [{first}, {last}]: {text} has lines 1 to {count}");
                    return Err(source.at(lines.span(), wrong));
                }
            }
            Ok(Place::new(text, statement.lines.as_ref().map(|lines| (lines.get_ref()[0], lines.get_ref()[1]))))
        });
        Ok(Self { what: statement.what.clone(), place: place.transpose()?, matches: matches.transpose()? })
    }

    /// Whether `passages` say it. Words alone may stand anywhere; words about a place stand in the passage that names it.
    pub(super) fn is_said(&self, passages: &[Passage]) -> bool {
        passages.iter().any(|passage| {
            let here = self.place.as_ref().is_none_or(|place| place.is_named(passage));
            here && self.matches.as_ref().is_none_or(|words| words.is_match(&passage.text))
        })
    }

    /// For people: `"what" at path:from-to`.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Some(Place { path, lines: Some((from, to)), .. }) => format!("{} ({path}:{from}-{to})", self.what),
            Some(Place { path, .. }) => format!("{} ({path})", self.what),
            None => self.what.clone(),
        }
    }
}

impl Place {
    fn new(path: &str, lines: Option<(u32, u32)>) -> Self {
        let path_pattern = regex::escape(path);
        let build = |pattern: String| Regex::new(&pattern).expect("the path is escaped");
        let range = r"(\d+)(?:\s*(?:-|–|—|to|and|through)\s*L?(\d+))?";
        let closing = r#"[`'"*)\]]*"#;
        Self {
            path: path.to_owned(),
            lines,
            named: build(format!(r"(?:^|[^\w./-]|\./){path_pattern}(?:$|[^\w/-])")),
            with_lines: [
                // src/a.rs:40, src/a.rs#L40-L44, `src/a.rs` (lines 40 to 44), src/a.rs, line 40, src/a.rs at line 40
                build(format!(
                    r"(?:^|[^\w./-]|\./){path_pattern}{closing}(?:\s*[:#]\s*(?i:L|lines?\s+)?|\s*[,(]?\s*(?:at|on|in)?\s*(?i:lines?|L)\s*){range}"
                )),
                // lines 40-44 of `src/a.rs`
                build(format!(r#"(?i:lines?)\s*{range}\s*(?:of|in)\s*[`'"*(\[]*(?:\./)?{path_pattern}"#)),
            ],
        }
    }

    fn is_named(&self, passage: &Passage) -> bool {
        let Some((from, to)) = self.lines else {
            return passage.place.as_ref().is_some_and(|(path, ..)| *path == self.path) || self.named.is_match(&passage.text);
        };
        let overlaps = |first: u32, last: u32| first <= to && from <= last && last.saturating_sub(first) < WIDEST;
        if let Some((path, first, last)) = &passage.place
            && *path == self.path
            && overlaps(*first, *last)
        {
            return true;
        }
        self.with_lines.iter().flat_map(|pattern| pattern.captures_iter(&passage.text)).any(|found| {
            let number = |group: usize| found.get(group).and_then(|digits| digits.as_str().parse::<u32>().ok());
            number(1).is_some_and(|first| overlaps(first, number(2).unwrap_or(first).max(first)))
        })
    }
}

/// The passages of a Markdown text: paragraphs, items of lists with all that is indented below them, headings with what
/// follows them.
pub(super) fn passages(text: &str) -> Vec<Passage> {
    let mut found: Vec<String> = Vec::new();
    let (mut blank, mut in_item, mut after_heading) = (true, false, false);
    for line in text.lines() {
        if line.trim().is_empty() {
            blank = true;
            continue;
        }
        let indented = line.starts_with([' ', '\t']);
        let item = !indented && is_item(line);
        let heading = line.starts_with('#');
        let continues = !heading && (after_heading || (!item && (!blank || (in_item && indented))));
        match found.last_mut() {
            Some(last) if continues => {
                last.push('\n');
                last.push_str(line);
            }
            _ => found.push(line.to_owned()),
        }
        in_item = item || (in_item && continues);
        after_heading = heading;
        blank = false;
    }
    found.into_iter().map(|text| Passage { place: None, text }).collect()
}

/// `- `, `* `, `+ ` or `12. `, `12) ` at the beginning of a line.
fn is_item(line: &str) -> bool {
    let rest = line.trim_start_matches(|char: char| char.is_ascii_digit());
    let marked = if rest.len() < line.len() { rest.strip_prefix(['.', ')']) } else { line.strip_prefix(['-', '*', '+']) };
    marked.is_some_and(|rest| rest.starts_with([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(lines: Option<(u32, u32)>, matches: Option<&str>) -> Statement {
        let matches = matches.map(|pattern| RegexBuilder::new(pattern).case_insensitive(true).build().unwrap());
        Statement { what: "it".to_owned(), place: Some(Place::new("src/cache.rs", lines)), matches }
    }

    #[test]
    fn a_place_is_found_however_people_write_it() {
        let wanted = statement(Some((40, 44)), None);
        for text in [
            "src/cache.rs:42",
            "see `src/cache.rs:38-41`.",
            "`src/cache.rs` (lines 40–44)",
            "./src/cache.rs#L44-L50",
            "**src/cache.rs**, line 43",
            "src/cache.rs at line 41",
            "src/cache.rs L40",
            "[src/cache.rs:40](x)",
            "Lines 39 to 40 of `src/cache.rs` lose it",
            "line 44 in src/cache.rs",
            "src/cache.rs:42:9: the write",
            "src/cache.rs: line 42",
        ] {
            assert!(wanted.is_said(&passages(text)), "{text}");
        }
    }

    #[test]
    fn another_file_another_line_or_a_whole_file_is_not_that_place() {
        let wanted = statement(Some((40, 44)), None);
        for text in [
            "src/cache.rs:45",
            "src/cache.rs:1-999",
            "other/src/cache.rs:42",
            "src/cache.rs.bak:42",
            "src/cache.rs is wrong 42 times",
            "src/cache.rs:4",
            "src/cache.rs:420",
        ] {
            assert!(!wanted.is_said(&passages(text)), "{text}");
        }
    }

    #[test]
    fn words_about_a_place_stand_in_the_passage_that_names_it() {
        let wanted = statement(Some((40, 44)), Some("lost update"));
        assert!(wanted.is_said(&passages("### src/cache.rs:42\n\nA lost update")));
        assert!(wanted.is_said(&passages("1. src/cache.rs:42\n\n   A lost update.\n2. src/a.rs:1 fine")));
        assert!(!wanted.is_said(&passages("- src/cache.rs:42 is fine\n- src/a.rs:1: a lost update")));
        assert!(!wanted.is_said(&passages("src/cache.rs:42 is fine.\n\nA lost update elsewhere.")));
    }

    #[test]
    fn a_comment_on_lines_names_its_place_by_standing_there() {
        let comment = |from, to| Passage { place: Some(("src/cache.rs".to_owned(), from, to)), text: "a lost update".to_owned() };
        let wanted = statement(Some((40, 44)), Some("lost update"));
        assert!(wanted.is_said(&[comment(43, 43)]));
        assert!(!wanted.is_said(&[comment(45, 46)]));
        assert!(statement(None, None).is_said(&[comment(1, 1)]));
    }

    #[test]
    fn lists_fall_into_their_items_and_keep_what_is_indented_below() {
        let texts: Vec<String> =
            passages("Intro\nmore\n\n- one\n  still one\n\n  and this\n- two\n\nEnd").into_iter().map(|p| p.text).collect();
        assert_eq!(texts, ["Intro\nmore", "- one\n  still one\n  and this", "- two", "End"]);
    }
}
