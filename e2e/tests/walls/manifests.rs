//! Every crate's manifest takes its lints and versions from the workspace, and the workspace's lints
//! stay as strict as they are.

use std::fs;
use std::path::PathBuf;

use toml::{Table, Value};

use super::{metadata, root};

fn parse(path: &PathBuf) -> Table {
    fs::read_to_string(path).expect("a manifest can be read").parse().expect("a manifest is TOML")
}

/// The crates' manifests with their path from the root.
fn manifests() -> Vec<(String, Table)> {
    let packages = metadata().packages;
    packages.iter().map(|package| (package.manifest_path.to_string(), parse(&package.manifest_path.clone().into()))).collect()
}

fn inherited(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

/// The tables of dependencies in `manifest`, those for single platforms included.
fn dependency_tables(manifest: &Table) -> Vec<&Table> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let holders = std::iter::once(manifest).chain(targets);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    holders.flat_map(|holder| kinds.iter().filter_map(|kind| holder.get(*kind).and_then(Value::as_table))).collect()
}

#[test]
fn every_crate_inherits_the_lints_and_its_package_fields() {
    for (path, manifest) in manifests() {
        assert!(inherited(manifest.get("lints")), "{path}: write `[lints]` and `workspace = true`");
        for field in ["version", "edition", "rust-version", "license", "publish"] {
            assert!(inherited(manifest["package"].get(field)), "{path}: write `{field}.workspace = true`");
        }
    }
}

#[test]
fn every_dependency_has_its_version_in_the_workspace() {
    for (path, manifest) in manifests() {
        for (name, dependency) in dependency_tables(&manifest).into_iter().flatten() {
            let own = ["version", "path", "git", "registry"].iter().any(|key| dependency.get(*key).is_some());
            let why = "name the version once, in the root Cargo.toml";
            assert!(inherited(Some(dependency)) && !own, "{path}: write `{name}.workspace = true`; {why}");
        }
    }
}

#[test]
fn the_lints_that_hold_the_walls_are_denied() {
    let workspace = parse(&root().join("Cargo.toml"));
    let lints = &workspace["workspace"]["lints"];
    for (tool, lint) in [("clippy", "disallowed_methods"), ("clippy", "disallowed_types"), ("rust", "unsafe_code")] {
        assert_eq!(lints[tool][lint].as_str(), Some("deny"), "{tool}.{lint} in the root Cargo.toml holds a wall");
    }
}

#[test]
fn clippy_knows_what_only_the_owners_may_call() {
    let clippy = parse(&root().join("clippy.toml"));
    let disallowed = clippy["disallowed-methods"].as_array().expect("clippy.toml lists methods");
    let paths: Vec<&str> = disallowed.iter().filter_map(|entry| entry["path"].as_str()).collect();
    for path in [
        "std::env::var",
        "std::env::var_os",
        "std::env::vars",
        "std::env::vars_os",
        "std::env::set_var",
        "std::process::Command::new",
        "tokio::process::Command::new",
        "std::time::SystemTime::now",
        "std::time::Instant::now",
        "time::OffsetDateTime::now_utc",
        "time::UtcDateTime::now",
    ] {
        assert!(paths.contains(&path), "clippy.toml no longer forbids {path}, so the wall around it is down");
    }
}
