//! The values of `.codeteam.toml`, each checked where it stands.

use std::ops::Range;
use std::path::{Component, Path};

use strum::VariantNames;
use toml::de::DeValue;

use super::Network;
use crate::sensitive::{Permitted, Sensitive};
use crate::{AllowedPaths, MicroUsd};

/// A value with its place in bytes.
pub(super) type Spanned<'a> = toml::Spanned<DeValue<'a>>;
/// What is wrong, and where.
type Wrong = (Range<usize>, String);

/// A place for people.
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The place of byte `at` of `text`.
    pub(super) fn of(text: &str, at: usize) -> Self {
        let before = &text[..text.floor_char_boundary(at)];
        let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[begin..].chars().count() + 1 }
    }
}

fn wrong<T>(value: &Spanned<'_>, wanted: &str) -> Result<T, Wrong> {
    Err((value.span(), format!("expected {wanted}, found {}", found(value))))
}

fn found(value: &Spanned<'_>) -> String {
    match value.get_ref() {
        DeValue::String(text) => format!("{:?}", text.chars().take(80).collect::<String>()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        other => format!("a value of type {}", other.type_str()),
    }
}

/// One line of text.
pub(super) fn line(value: &Spanned<'_>, most_chars: usize) -> Result<String, Wrong> {
    let text = value.get_ref().as_str().map(str::trim).unwrap_or_default();
    if text.is_empty() || text.contains(char::is_control) || text.chars().count() > most_chars {
        return wrong(value, &format!("one line of text of at most {most_chars} characters"));
    }
    Ok(text.to_owned())
}

/// A path below the root of the repository.
pub(super) fn path(value: &Spanned<'_>) -> Result<String, Wrong> {
    let wanted = "the path of a file, from the root of the repository";
    let text = line(value, 500).or_else(|_| wrong(value, wanted))?;
    let within = Path::new(&text).components().all(|part| matches!(part, Component::Normal(_)));
    if within { Ok(text) } else { wrong(value, wanted) }
}

pub(super) fn network(value: &Spanned<'_>) -> Result<Network, Wrong> {
    let named = value.get_ref().as_str().and_then(|name| name.parse().ok());
    named.map_or_else(|| wrong(value, "\"none\", \"loopback\" or \"fetch\""), Ok)
}

/// A list of kinds.
pub(super) fn sensitive(value: &Spanned<'_>) -> Result<Permitted, Wrong> {
    let names = Sensitive::VARIANTS.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let wanted = format!("a list of {names}");
    let Some(items) = value.get_ref().as_array() else { return wrong(value, &wanted) };
    items.iter().map(|item| item.get_ref().as_str().and_then(|name| name.parse().ok()).map_or_else(|| wrong(item, &wanted), Ok)).collect()
}

/// A list of at least one glob.
pub(super) fn globs(value: &Spanned<'_>) -> Result<AllowedPaths, Wrong> {
    let wanted = "a list of globs such as [\"src/**\", \"*.md\"]";
    let Some(items) = value.get_ref().as_array().filter(|items| !items.is_empty()) else { return wrong(value, wanted) };
    let mut globs = Vec::with_capacity(items.len());
    for item in items.iter() {
        match item.get_ref().as_str() {
            Some(glob) => globs.push(glob),
            None => return wrong(item, "a glob in quotes"),
        }
    }
    AllowedPaths::of(&globs).map_err(|(index, message)| (items[index].span(), message))
}

/// A whole number above 0.
pub(super) fn whole(value: &Spanned<'_>) -> Result<u64, Wrong> {
    let number = value.get_ref().as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
    match number.filter(|number| *number > 0) {
        Some(number) => Ok(number),
        None => wrong(value, "a whole number above 0"),
    }
}

/// Seconds as milliseconds.
pub(super) fn seconds(value: &Spanned<'_>) -> Result<u64, Wrong> {
    match thousandths(value, 1_000.0) {
        Some(active_ms) => Ok(active_ms),
        None => wrong(value, "a number of seconds above 0"),
    }
}

/// US dollars as micro-dollars.
pub(super) fn dollars(value: &Spanned<'_>) -> Result<MicroUsd, Wrong> {
    match thousandths(value, 1e6).and_then(|micro| i64::try_from(micro).ok()) {
        Some(micro) => Ok(MicroUsd(micro)),
        None => wrong(value, "an amount of US dollars above 0, such as 0.25"),
    }
}

/// A number times `factor`, rounded; `None` unless that is at least 1.
fn thousandths(value: &Spanned<'_>, factor: f64) -> Option<u64> {
    let number = match value.get_ref() {
        DeValue::Integer(_) => whole(value).ok()? as f64,
        DeValue::Float(number) => number.as_str().parse().ok()?,
        _ => return None,
    };
    let scaled = (number * factor).round();
    (1.0..=1e15).contains(&scaled).then_some(scaled as u64)
}
