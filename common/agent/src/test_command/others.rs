//! Languages whose tool knows the tests by itself: Rust, Go, Java.

use super::{Folder, Found, join};

pub(super) fn rust(folder: &Folder<'_>) -> Option<Found> {
    let manifest = folder.text("Cargo.toml")?;
    let is_workspace = manifest.lines().any(|line| line.trim_start().starts_with("[workspace"));
    Some(folder.found(if is_workspace { "cargo test --workspace" } else { "cargo test" }, &["Cargo.toml"]))
}

pub(super) fn go(folder: &Folder<'_>) -> Option<Found> {
    folder.has("go.mod").then(|| folder.found("go test ./...", &["go.mod"]))
}

/// Maven or Gradle, by their wrapper where there is one here or in a folder around.
pub(super) fn java(folder: &Folder<'_>) -> Option<Found> {
    let builds =
        [(&["pom.xml"][..], "mvnw", "mvn", "-q test", "-f"), (&["build.gradle", "build.gradle.kts"], "gradlew", "gradle", "test", "-p")];
    builds.into_iter().find_map(|(manifests, wrapper, tool, goal, flag)| {
        let manifest = manifests.iter().find(|name| folder.has(name))?;
        let mut found = folder.found(format!("{tool} {goal}"), &[manifest]);
        if let Some((at, _)) = folder.nearest(&[wrapper]) {
            let below = folder.path.strip_prefix(at).unwrap_or(folder.path).trim_start_matches('/');
            let module = if below.is_empty() { String::new() } else { format!("{flag} {below} ") };
            found.command = format!("./{wrapper} {module}{goal}");
            found.files.push(join(at, wrapper));
            found.folder = at.to_owned();
        }
        Some(found)
    })
}
