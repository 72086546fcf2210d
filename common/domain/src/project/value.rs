//! The values of `.codeteam.toml`, each checked where it stands.

use std::ops::Range;
use std::path::{Component, Path};

use toml::de::DeValue;

use super::{Found, Network, Wanted, Wrong};
use crate::sensitive::Permitted;
use crate::{AllowedPaths, MicroUsd};

/// A value with its place in bytes.
pub(super) type Spanned<'a> = toml::Spanned<DeValue<'a>>;
/// What is wrong, and where.
type Misplaced = (Range<usize>, Wrong);

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

/// A value that is not what is wanted there.
pub(super) fn wrong<T>(value: &Spanned<'_>, wanted: Wanted) -> Result<T, Misplaced> {
    Err((value.span(), Wrong::Expected { wanted, found: found(value) }))
}

fn found(value: &Spanned<'_>) -> Found {
    match value.get_ref() {
        DeValue::String(text) => Found::Value(format!("{:?}", text.chars().take(80).collect::<String>())),
        DeValue::Integer(number) => Found::Value(number.to_string()),
        DeValue::Float(number) => Found::Value(number.to_string()),
        other => Found::Type(other.type_str()),
    }
}

/// One line of text.
pub(super) fn line(value: &Spanned<'_>, most_chars: usize) -> Result<String, Misplaced> {
    let text = value.get_ref().as_str().map(str::trim).unwrap_or_default();
    if text.is_empty() || text.contains(char::is_control) || text.chars().count() > most_chars {
        return wrong(value, Wanted::Line { most_chars });
    }
    Ok(text.to_owned())
}

/// A path below the root of the repository.
pub(super) fn path(value: &Spanned<'_>) -> Result<String, Misplaced> {
    let text = line(value, 500).or_else(|_| wrong(value, Wanted::Path))?;
    let within = Path::new(&text).components().all(|part| matches!(part, Component::Normal(_)));
    if within { Ok(text) } else { wrong(value, Wanted::Path) }
}

pub(super) fn network(value: &Spanned<'_>) -> Result<Network, Misplaced> {
    let named = value.get_ref().as_str().and_then(|name| name.parse().ok());
    named.map_or_else(|| wrong(value, Wanted::Network), Ok)
}

/// A list of kinds.
pub(super) fn sensitive(value: &Spanned<'_>) -> Result<Permitted, Misplaced> {
    let wanted = Wanted::Sensitive;
    let Some(items) = value.get_ref().as_array() else { return wrong(value, wanted) };
    items.iter().map(|item| item.get_ref().as_str().and_then(|name| name.parse().ok()).map_or_else(|| wrong(item, wanted), Ok)).collect()
}

/// A list of at least one glob.
pub(super) fn globs(value: &Spanned<'_>) -> Result<AllowedPaths, Misplaced> {
    let Some(items) = value.get_ref().as_array().filter(|items| !items.is_empty()) else { return wrong(value, Wanted::Globs) };
    let mut globs = Vec::with_capacity(items.len());
    for item in items.iter() {
        match item.get_ref().as_str() {
            Some(glob) => globs.push(glob),
            None => return wrong(item, Wanted::Glob),
        }
    }
    AllowedPaths::of(&globs).map_err(|(index, fault)| (items[index].span(), Wrong::Glob(fault)))
}

/// A whole number above 0.
pub(super) fn whole(value: &Spanned<'_>) -> Result<u64, Misplaced> {
    let number = value.get_ref().as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
    match number.filter(|number| *number > 0) {
        Some(number) => Ok(number),
        None => wrong(value, Wanted::Whole),
    }
}

/// Seconds as milliseconds.
pub(super) fn seconds(value: &Spanned<'_>) -> Result<u64, Misplaced> {
    match thousandths(value, 1_000.0) {
        Some(active_ms) => Ok(active_ms),
        None => wrong(value, Wanted::Seconds),
    }
}

/// US dollars as micro-dollars.
pub(super) fn dollars(value: &Spanned<'_>) -> Result<MicroUsd, Misplaced> {
    match thousandths(value, 1e6).and_then(|micro| i64::try_from(micro).ok()) {
        Some(micro) => Ok(MicroUsd(micro)),
        None => wrong(value, Wanted::Dollars),
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
