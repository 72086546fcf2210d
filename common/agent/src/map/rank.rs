//! Which files and definitions matter, to judge by who uses them and by the task.

use std::collections::{BTreeSet, HashMap};

use super::tags::{Definition, Tags};

/// Tests use everything and nobody uses them.
const TEST_WEIGHT: f64 = 0.3;

/// A file with how much the rest uses its definitions.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ranked {
    pub path: String,
    /// With their weights.
    pub definitions: Vec<(Definition, f64)>,
}

/// A file as it is shown.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Shown<'a> {
    pub path: &'a str,
    /// With their weights for the task.
    pub definitions: Vec<(&'a Definition, f64)>,
    weight: f64,
}

/// Weighs every definition by its uses in other files: each counts by the root of how often, and all are shared between
/// the definitions of the name.
pub(super) fn rank(files: Vec<(&str, Tags)>) -> Vec<Ranked> {
    let mut definers: HashMap<&str, u32> = HashMap::new();
    for definition in files.iter().flat_map(|(_, tags)| &tags.definitions) {
        *definers.entry(&definition.name).or_default() += 1;
    }
    // In the order of the files, so that sums of floats are the same in every process.
    let mut uses: HashMap<&str, Vec<(usize, f64)>> = HashMap::new();
    for (index, (path, tags)) in files.iter().enumerate() {
        let weight = if is_test(path) { TEST_WEIGHT } else { 1.0 };
        for (name, count) in tags.uses.iter().filter(|(name, _)| definers.contains_key(name.as_str())) {
            uses.entry(name).or_default().push((index, weight * f64::from(*count).sqrt()));
        }
    }
    let weigh = |index: usize, definition: &Definition| {
        let used = uses.get(definition.name.as_str()).into_iter().flatten();
        let elsewhere: f64 = used.filter(|(file, _)| *file != index).map(|(_, weight)| weight).sum();
        elsewhere / f64::from(definers.get(definition.name.as_str()).copied().unwrap_or(1))
    };
    let ranked = files.iter().enumerate().map(|(index, (path, tags))| Ranked {
        path: (*path).to_owned(),
        definitions: tags.definitions.iter().map(|definition| (definition.clone(), weigh(index, definition))).collect(),
    });
    ranked.collect()
}

/// The files for a task, the most important first.
pub(super) fn order<'a>(files: &'a [Ranked], task: &str) -> Vec<Shown<'a>> {
    let words = Words::of(task);
    let mut shown: Vec<Shown<'a>> = files
        .iter()
        .filter(|file| !file.definitions.is_empty())
        .map(|file| {
            let definitions: Vec<_> = file
                .definitions
                .iter()
                .map(|(definition, weight)| (definition, (weight + words.bonus(&definition.name)) * words.factor(&definition.name)))
                .collect();
            let sum: f64 = definitions.iter().map(|(_, weight)| weight).sum();
            let weight = (sum + words.path_bonus(&file.path)) * if is_test(&file.path) { TEST_WEIGHT } else { 1.0 };
            Shown { path: &file.path, definitions, weight }
        })
        .collect();
    shown.sort_by(|one, other| other.weight.total_cmp(&one.weight).then_with(|| one.path.cmp(other.path)));
    shown
}

fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.split('/').any(|part| matches!(part, "test" | "tests" | "__tests__" | "benches" | "spec"))
        || ["_test.", ".test.", ".spec."].iter().any(|mark| name.contains(mark))
        || name.starts_with("test_")
        || name.ends_with("Test.java")
        || matches!(name, "tests.rs")
}

/// The words of a task: names as they stand there, and their parts in lower case.
struct Words {
    whole: BTreeSet<String>,
    parts: BTreeSet<String>,
    text: String,
}

impl Words {
    fn of(task: &str) -> Self {
        let words = task.split(|char: char| !(char.is_alphanumeric() || char == '_')).filter(|word| word.len() > 2);
        let whole: BTreeSet<String> = words.map(str::to_owned).collect();
        let parts = whole.iter().flat_map(|word| parts(word)).filter(|part| part.len() > 3).collect();
        Self { whole, parts, text: task.to_owned() }
    }

    /// What a name gets though nobody uses it: much where only a name is written like that.
    fn bonus(&self, name: &str) -> f64 {
        let is_a_word = name.chars().skip(1).all(char::is_lowercase);
        match self.whole.contains(name) {
            true if is_a_word => 1.0,
            true => 20.0,
            false => 0.0,
        }
    }

    fn factor(&self, name: &str) -> f64 {
        if self.whole.contains(name) {
            10.0
        } else if parts(name).iter().any(|part| self.parts.contains(part)) {
            3.0
        } else {
            1.0
        }
    }

    fn path_bonus(&self, path: &str) -> f64 {
        let name = path.rsplit('/').next().unwrap_or(path);
        if self.text.contains(path) || name.len() > 5 && self.text.contains(name) {
            return 1_000.0;
        }
        let stem = name.split('.').next().unwrap_or(name);
        if parts(stem).iter().any(|part| self.parts.contains(part)) { 3.0 } else { 0.0 }
    }
}

/// `CartTotal`, `cart_total` and `cartTotal` as `cart` and `total`.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before_is_lower = false;
    for char in name.chars() {
        if char == '_' || char == '-' || (char.is_uppercase() && before_is_lower) {
            parts.push(String::new());
        }
        before_is_lower = char.is_lowercase();
        if char.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.extend(char.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}
