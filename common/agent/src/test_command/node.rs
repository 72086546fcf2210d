//! Node: the script `test` of package.json, run by the package manager whose lock file is nearest.

use serde_json::Value;

use super::{Folder, Found, join};

/// Lock files and who writes them.
const LOCKS: &[(&str, &str)] =
    &[("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("package-lock.json", "npm"), ("npm-shrinkwrap.json", "npm")];

pub(super) fn node(folder: &Folder<'_>) -> Option<Found> {
    let manifest: Value = serde_json::from_str(folder.text("package.json")?).ok()?;
    let script = manifest["scripts"]["test"].as_str()?;
    // What `npm init` writes.
    if script.trim().is_empty() || script.contains("no test specified") {
        return None;
    }
    let names: Vec<&str> = LOCKS.iter().map(|(name, _)| *name).collect();
    let mut found = folder.found("npm test", &["package.json"]);
    // `"packageManager": "pnpm@9.1.0"` is what Corepack obeys.
    let named = manifest["packageManager"].as_str().and_then(|manager| manager.split('@').next());
    if let Some(manager) = ["pnpm", "yarn", "npm"].into_iter().find(|manager| named == Some(manager)) {
        found.command = format!("{manager} test");
    } else if let Some((at, lock)) = folder.nearest(&names) {
        let manager = LOCKS.iter().find(|(name, _)| *name == lock).map_or("npm", |(_, manager)| manager);
        found.command = format!("{manager} test");
        found.files.push(join(at, lock));
    }
    Some(found)
}
