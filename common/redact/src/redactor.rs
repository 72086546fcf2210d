//! The redactor: finds secrets and puts a mark in their place.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use domain::{Clock, Secret, SystemClock};
use serde_json::Value;
use time::OffsetDateTime;

use crate::find::joined;
use crate::live::Live;
use crate::{Found, formats};

const MARK: &str = "[redacted: ";

/// Replaces secrets by `[redacted: KIND]`: those of known formats, and those that were registered, in every form that
/// can be told cheaply. Clones are the same redactor. The time is linear in the text.
#[derive(Clone, Default)]
pub struct Redactor {
    live: Arc<RwLock<Arc<Live>>>,
}

/// A secret in a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The format, or the name under which it was registered.
    pub kind: String,
    /// Its bytes.
    pub range: Range<usize>,
    /// Whether it, or a piece of it, is one that this process holds.
    pub is_live: bool,
}

impl Redactor {
    /// One that knows the formats and no live secret.
    pub fn new() -> Self {
        Self::default()
    }

    /// The one of this process, which knows every secret that its settings hold. A global like the log's, since a line of
    /// the log has no owner: no sink can forget to be given it.
    pub fn of_process() -> &'static Self {
        static PROCESS: OnceLock<Redactor> = OnceLock::new();
        PROCESS.get_or_init(Self::new)
    }

    /// From now on `secret` does not pass; of a URL, its password. `name` says which it was. What is too short or too
    /// plain to be told from ordinary text is only remembered in [`Self::weak`].
    pub fn register(&self, name: &str, secret: &Secret) {
        self.add(name, secret, None);
    }

    /// The same for one that opens nothing any more after `lifetime`, and is forgotten some time after that: or a service that
    /// lives on tokens of an hour would look for more of them every hour.
    pub fn register_for(&self, name: &str, secret: &Secret, lifetime: Duration) {
        self.add(name, secret, Some(SystemClock.now() + lifetime));
    }

    fn add(&self, name: &str, secret: &Secret, until: Option<OffsetDateTime>) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(more) = live.with(name, secret, until, SystemClock.now()) {
            *live = Arc::new(more);
        }
    }

    /// The names of registered secrets that are not searched for: shorter than 8 characters, or a plain word.
    pub fn weak(&self) -> Vec<String> {
        self.live().weak().to_vec()
    }

    /// The secrets in `text`, in order, none overlapping another.
    pub fn find(&self, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        formats::find(text, |range, kind| findings.push(Finding { kind: kind.to_owned(), range, is_live: false }));
        self.live().find(text, |range, name| findings.push(Finding { kind: name.to_owned(), range, is_live: true }));
        joined(findings)
    }

    /// `text` without its secrets, and how many of which kind there were. They are counted in the metric
    /// `codeteam_redacted_total`.
    pub fn redact<'t>(&self, text: &'t str) -> (Cow<'t, str>, Found) {
        let mut found = Found::default();
        let findings = self.find(text);
        if findings.is_empty() {
            return (Cow::Borrowed(text), found);
        }
        let mut redacted = String::with_capacity(text.len());
        let mut from = 0;
        for Finding { kind, range, .. } in findings {
            redacted.push_str(&text[from..range.start]);
            redacted.extend([MARK, &kind, "]"]);
            from = range.end;
            found.add(&kind);
            metrics::counter!("codeteam_redacted_total", "kind" => kind).increment(1);
        }
        redacted.push_str(&text[from..]);
        (Cow::Owned(redacted), found)
    }

    /// `text` without its secrets.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redact(text).0
    }

    /// The same for every string in `value`; names of fields are ours and stay.
    pub fn value(&self, value: &mut Value) -> Found {
        let mut found = Found::default();
        match value {
            Value::String(string) => {
                let (redacted, in_string) = self.redact(string);
                if let Cow::Owned(redacted) = redacted {
                    *string = redacted;
                }
                found = in_string;
            }
            Value::Array(items) => items.iter_mut().for_each(|item| found.merge(self.value(item))),
            Value::Object(fields) => fields.values_mut().for_each(|field| found.merge(self.value(field))),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        found
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

/// Whether `text` holds a mark that stands for a secret: who writes it into a file destroys what it stands for. A mark of a
/// kind that there is not is a text like any other.
pub fn has_mark(text: &str) -> bool {
    text.match_indices(MARK).any(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        // Settings have an underscore in their names; formats have none.
        rest.split_once(']').is_some_and(|(kind, _)| {
            let is_setting =
                kind.contains('_') && kind.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
            is_setting || formats::is_kind(kind)
        })
    })
}
