//! Python: pytest where something speaks of it, else tox, else unittest.

use super::{Folder, Found, Listing, join};

/// The most test files that are read to tell pytest from unittest.
const SAMPLES: usize = 3;
const MANIFESTS: &[&str] = &["pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "pytest.ini", "requirements.txt", "Pipfile"];

/// The test files of a folder that are worth reading.
pub(super) fn samples<'a>(listing: &Listing<'a>, folder: &str) -> Vec<&'a str> {
    listing.below(folder).filter(|path| is_test(path)).take(SAMPLES).collect()
}

pub(super) fn python(folder: &Folder<'_>) -> Option<Found> {
    let samples = samples(folder.listing, folder.path);
    let first = *samples.first()?;
    let manifest = MANIFESTS.iter().copied().find(|name| folder.has(name));
    let inside = first.strip_prefix(folder.path).unwrap_or(first).trim_start_matches('/');
    let place = inside.rsplit_once('/').map_or("", |(place, _)| place);
    if manifest.is_none() && !matches!(place, "" | "test" | "tests") {
        return None;
    }
    if folder.has("pytest.ini") {
        return Some(folder.found("python3 -m pytest", &["pytest.ini"]));
    }
    let speaking = [
        ("pyproject.toml", "pytest"),
        ("setup.cfg", "[tool:pytest]"),
        ("tox.ini", "pytest"),
        ("requirements.txt", "pytest"),
        ("requirements-dev.txt", "pytest"),
        ("Pipfile", "pytest"),
    ];
    if let Some((name, _)) = speaking.into_iter().find(|(name, words)| folder.text(name).is_some_and(|text| text.contains(words))) {
        return Some(folder.found("python3 -m pytest", &[name]));
    }
    if folder.has("tox.ini") {
        return Some(folder.found("tox", &["tox.ini"]));
    }
    let texts: Vec<&str> = samples.iter().filter_map(|path| folder.texts.get(*path).map(String::as_str)).collect();
    let by_pytest = texts.iter().find(|text| text.contains("import pytest") || !text.contains("unittest"));
    let mut found = folder.found("python3 -m unittest", &[]);
    found.files = manifest.iter().map(|name| join(folder.path, name)).chain([first.to_owned()]).collect();
    if by_pytest.is_some() {
        found.command = "python3 -m pytest".to_owned();
    } else if !place.is_empty() && folder.listing.get(folder.path, &join(place, "__init__.py")).is_none() {
        // Without it the discovery from the root does not enter the folder.
        found.command = format!("python3 -m unittest discover -s {place}");
    }
    Some(found)
}

/// The names that both pytest and unittest look for (pytest: `test_*.py` or `*_test.py`).
fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let elsewhere = path.split('/').any(|part| super::ELSEWHERE.contains(&part) || part.starts_with('.'));
    !elsewhere && (name.starts_with("test_") && name.ends_with(".py") || name.ends_with("_test.py"))
}
