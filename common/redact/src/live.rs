//! The secrets that this process holds, found in whatever form.

use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};
use domain::Secret;
use time::OffsetDateTime;

use crate::hidden;
use crate::needles::{is_space, is_strong, needles};

/// Names and secrets, and the automaton over all their forms, which is built at the first search.
#[derive(Default)]
pub(crate) struct Live {
    secrets: Vec<Known>,
    weak: Vec<String>,
    searcher: OnceLock<Searcher>,
}

#[derive(Clone)]
struct Known {
    name: String,
    secret: Secret,
    /// Afterwards it is none any more; `None` = it is one for ever.
    until: Option<OffsetDateTime>,
}

struct Searcher {
    automaton: AhoCorasick,
    /// Which secret each of its patterns belongs to.
    owners: Vec<usize>,
}

impl Live {
    /// These and one more, without those that ended before `now`. `None` where nothing is new.
    pub(crate) fn with(&self, name: &str, secret: &Secret, until: Option<OffsetDateTime>, now: OffsetDateTime) -> Option<Self> {
        let (mut secrets, mut weak) = (self.secrets.clone(), self.weak.clone());
        let mut is_new = false;
        for part in parts(secret.expose()) {
            if secrets.iter().any(|known| known.secret.expose() == part) {
                continue;
            }
            match is_strong(&part) {
                true => secrets.push(Known { name: name.to_owned(), secret: Secret::new(part), until }),
                false if !weak.iter().any(|known| known == name) => weak.push(name.to_owned()),
                false => continue,
            }
            is_new = true;
        }
        secrets.retain(|known| known.until.is_none_or(|until| until > now));
        is_new.then(|| Self { secrets, weak, searcher: OnceLock::new() })
    }

    /// The names of those that cannot be searched for.
    pub(crate) fn weak(&self) -> &[String] {
        &self.weak
    }

    /// Calls `see` with every place in `text` that holds a secret or a piece of one. Places may overlap.
    pub(crate) fn find<'s>(&'s self, text: &str, mut see: impl FnMut(Range<usize>, &'s str)) {
        if self.secrets.is_empty() {
            return;
        }
        let Searcher { automaton, owners } = self.searcher.get_or_init(|| searcher(&self.secrets));
        let (squeezed, places) = squeeze(text);
        for found in automaton.find_overlapping_iter(&squeezed) {
            let range = places[found.start()]..places[found.end() - 1] + 1;
            see(range, &self.secrets[owners[found.pattern().as_usize()]].name);
        }
    }
}

fn searcher(secrets: &[Known]) -> Searcher {
    let mut patterns = Vec::new();
    let mut owners = Vec::new();
    for (owner, known) in secrets.iter().enumerate() {
        for needle in needles(known.secret.expose()) {
            patterns.push(needle);
            owners.push(owner);
        }
    }
    let automaton = AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(patterns);
    Searcher { automaton: automaton.expect("some thousand patterns of some hundred bytes fit"), owners }
}

/// What is secret in the value of a setting: all of it, or the password of a URL, as it stands there and decoded. A URL
/// as a whole is none: its beginning is in every document.
fn parts(value: &str) -> Vec<String> {
    let Some((_, rest)) = value.split_once("://") else {
        // A PEM block is known by its lines; its frame is in every parser.
        let lines = value.lines().filter(|line| !line.starts_with("-----"));
        return vec![lines.collect::<Vec<_>>().join("\n")];
    };
    let (authority, query) = (rest.split(['/', '?', '#']).next().unwrap_or_default(), rest.split_once('?').map_or("", |(_, query)| query));
    let login = authority.rsplit_once('@').map(|(login, _)| login);
    let password = login.map(|login| login.split_once(':').map_or(login, |(_, password)| password));
    let in_query = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| *name == "password").map(|(_, value)| value);
    let mut parts = Vec::new();
    for part in password.into_iter().chain(in_query).filter(|part| !part.is_empty()) {
        parts.push(part.to_owned());
        parts.push(percent_decoded(part));
    }
    parts.dedup();
    parts
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|code| u8::from_str_radix(code, 16).ok());
        decoded.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// `text` without white space and invisible characters, and where each of its bytes stands in `text`.
fn squeeze(text: &str) -> (Vec<u8>, Vec<usize>) {
    let (mut squeezed, mut places) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len()));
    for (at, char) in text.char_indices() {
        if char.is_ascii() {
            if !is_space(char as u8) {
                squeezed.push(char as u8);
                places.push(at);
            }
        } else if hidden::class(char).is_none() {
            let end = at + char.len_utf8();
            squeezed.extend_from_slice(&text.as_bytes()[at..end]);
            places.extend(at..end);
        }
    }
    (squeezed, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_with_an_end_is_forgotten_after_it() {
        let at = |hours: i64| OffsetDateTime::UNIX_EPOCH + time::Duration::hours(hours);
        let [key, first, second] = ["kX9vQ2mL7pRt4wZs8nBc", "ghs-Zs8nBckX9vQ2mL7", "ghs-W3jH5gF8dS2aQ6xY"].map(Secret::new);
        let live = Live::default().with("KEY_ID", &key, None, at(0)).unwrap().with("GITHUB_TOKEN", &first, Some(at(1)), at(0)).unwrap();
        assert!(live.with("GITHUB_TOKEN", &first, Some(at(1)), at(0)).is_none(), "it is known");
        let later = live.with("GITHUB_TOKEN", &second, Some(at(3)), at(2)).unwrap();
        let names = |live: &Live, text: &str| {
            let mut names = Vec::new();
            live.find(text, |_, name| names.push(name.to_owned()));
            names.dedup();
            names
        };
        for secret in [&key, &second] {
            assert!(!names(&later, secret.expose()).is_empty());
        }
        assert_eq!(names(&live, first.expose()), ["GITHUB_TOKEN"]);
        assert_eq!(names(&later, first.expose()), Vec::<String>::new());
    }

    #[test]
    fn of_a_url_the_password_is_secret_and_nothing_else() {
        assert_eq!(parts(&format!("postgres://app:{}@db.example.com:5432/app", "p%40ss%2Fword1")), ["p%40ss%2Fword1", "p@ss/word1"]);
        assert_eq!(parts("https://t0ken-of-a-gateway@gateway.example.com/v1"), ["t0ken-of-a-gateway"]);
        assert_eq!(parts("postgres:///app?host=/run&password=s3cret-word"), ["s3cret-word"]);
        assert_eq!(parts("https://api.example.com"), Vec::<String>::new());
        assert_eq!(parts("a-key"), ["a-key"]);
    }
}
