//! Where a lint that holds a wall is silenced: every place is listed, and nothing else may be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::root;

/// File, lint, and how often it is silenced there. The `reason` of each stands in the source.
const PERMITTED: &[(&str, &str, usize)] = &[
    ("chaos/src/environment.rs", "clippy::disallowed_methods", 1),
    ("common/agent/tests/hunks/mod.rs", "clippy::disallowed_methods", 1),
    ("common/config/src/environment.rs", "clippy::disallowed_methods", 1),
    ("common/domain/src/clock.rs", "clippy::disallowed_methods", 1),
    ("common/process/examples/private_postgres.rs", "clippy::disallowed_methods", 1),
    ("common/process/src/sandbox/network/broker.rs", "unsafe_code", 1),
    ("common/process/src/sandbox/network/listeners.rs", "unsafe_code", 1),
    ("common/process/src/sandbox/network/notify.rs", "unsafe_code", 3),
    ("common/process/src/spawn.rs", "clippy::disallowed_methods", 2),
    ("common/process/src/spawn.rs", "unsafe_code", 2),
    ("common/process/src/spawner/mod.rs", "clippy::disallowed_methods", 1),
    ("common/process/src/spawner/serve.rs", "unsafe_code", 1),
    ("common/process/tests/all.rs", "clippy::disallowed_methods", 1),
    ("common/store/tests/model/mod.rs", "clippy::disallowed_methods", 1),
    ("common/store/tests/random_tampering.rs", "clippy::disallowed_methods", 1),
    ("common/testkit/src/database.rs", "clippy::disallowed_methods", 2),
    ("e2e/src/tools.rs", "clippy::disallowed_methods", 1),
];

/// The lints that hold a wall, and the groups that contain one.
const WALL_LINTS: &[&str] =
    &["clippy::disallowed_methods", "clippy::disallowed_types", "unsafe_code", "clippy::style", "clippy::all", "warnings"];

/// What an attribute may do to a lint short of denying it.
const SILENCERS: &[&str] = &["allow", "expect", "warn"];

type Exceptions = BTreeMap<(String, String), usize>;

#[test]
fn the_walls_are_breached_exactly_where_it_is_permitted() {
    let mut found = Exceptions::new();
    scan(&root(), &mut found);
    let permitted: Exceptions = PERMITTED.iter().map(|(file, lint, count)| ((file.to_string(), lint.to_string()), *count)).collect();
    let listing: String = found.iter().map(|((file, lint), count)| format!("\n    ({file:?}, {lint:?}, {count}),")).collect();
    assert!(
        found == permitted,
        "the places that silence a wall's lint differ from PERMITTED in e2e/tests/walls/exceptions.rs; go through the owning \
         crate instead, or say in the commit why not and list what there is now:{listing}"
    );
}

#[test]
fn no_folder_brings_lint_rules_of_its_own() {
    let mut wrong = Vec::new();
    visit(&root(), &mut |path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if ["clippy.toml", ".clippy.toml"].contains(&name) && path.parent() != Some(&root()) {
            wrong.push(path.to_owned());
        }
    });
    assert_eq!(wrong, Vec::<PathBuf>::new(), "the rules are in the root's clippy.toml, for every crate alike");
}

#[test]
fn silenced_lints_are_found_however_they_are_written() {
    let cases: &[(&str, &[&str])] = &[
        ("#[allow(unsafe_code)]\nfn f() {}", &["unsafe_code"]),
        ("#![expect(clippy::disallowed_methods, reason = \"a ] and a ) inside\")]", &["clippy::disallowed_methods"]),
        ("#[expect(\n    clippy::disallowed_types,\n    unsafe_code,\n)]", &["clippy::disallowed_types", "unsafe_code"]),
        ("#[cfg_attr(unix, allow(warnings))]", &["warnings"]),
        ("# [ warn ( clippy :: all ) ]", &["clippy::all"]),
        ("#[expect(dead_code, reason = \"unsafe_code\")]", &[]),
        ("#[deny(unsafe_code)]", &[]),
        ("// #[allow(unsafe_code)]", &[]),
        ("let x = allow(unsafe_code);", &[]),
    ];
    for (source, lints) in cases {
        assert_eq!(silenced(source), *lints, "{source}");
    }
}

fn scan(folder: &Path, found: &mut Exceptions) {
    visit(folder, &mut |path| {
        // This file quotes what it looks for.
        if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("e2e/tests/walls/exceptions.rs") {
            let source = fs::read_to_string(path).expect("a source can be read");
            let file = path.strip_prefix(root()).expect("it lies in the workspace").to_string_lossy().into_owned();
            for lint in silenced(&source) {
                *found.entry((file.clone(), lint.to_owned())).or_default() += 1;
            }
        }
    });
}

/// Calls `see` with every file of the repository; what is built or installed is none of it.
fn visit(folder: &Path, see: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder can be listed") {
        let entry = entry.expect("a folder can be listed");
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type().expect("a file has a type").is_dir() {
            if !hidden && entry.file_name() != "target" && entry.file_name() != "node_modules" {
                visit(&entry.path(), see);
            }
        } else {
            see(&entry.path());
        }
    }
}

/// The wall lints that the attributes in `source` silence, one for each time.
fn silenced(source: &str) -> Vec<&'static str> {
    let code: String =
        source.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>().join("\n");
    let mut lints = Vec::new();
    for attribute in attributes(&code) {
        let words = words(&attribute);
        for (position, pair) in words.windows(2).enumerate() {
            if SILENCERS.contains(&pair[0].as_str()) && pair[1] == "(" {
                let arguments = words[position + 2..].iter().take_while(|word| *word != ")");
                lints.extend(arguments.filter_map(|word| WALL_LINTS.iter().find(|lint| *lint == word)));
            }
        }
    }
    lints
}

/// What stands between the brackets of every attribute, without white space and without what is quoted.
fn attributes(code: &str) -> Vec<String> {
    let mut attributes = Vec::new();
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '#' {
            continue;
        }
        while characters.next_if(|next| next.is_whitespace() || *next == '!').is_some() {}
        if characters.next_if_eq(&'[').is_none() {
            continue;
        }
        let (mut attribute, mut open_brackets) = (String::new(), 1);
        while let Some(character) = characters.next() {
            match character {
                '"' => skip_string(&mut characters),
                '[' => open_brackets += 1,
                ']' => open_brackets -= 1,
                _ => {}
            }
            if open_brackets == 0 {
                break;
            }
            if !character.is_whitespace() {
                attribute.push(character);
            }
        }
        attributes.push(attribute);
    }
    attributes
}

/// Goes behind the quote that ends a string.
fn skip_string(characters: &mut impl Iterator<Item = char>) {
    while let Some(character) = characters.next() {
        match character {
            '"' => return,
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
}

/// Paths such as `clippy::all` in one piece, everything else a character each.
fn words(attribute: &str) -> Vec<String> {
    let in_path = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for character in attribute.chars() {
        match words.last_mut() {
            Some(word) if open && in_path(character) => word.push(character),
            _ => words.push(character.to_string()),
        }
        open = in_path(character);
    }
    words
}
