//! The walls between the crates (docs/architecture.md): who may depend on whom, who owns which library,
//! and where a lint that holds a wall is silenced. A breach fails here and not a reviewer's patience.
//!
//! The lists are exact. Whoever needs a new arrow, owner or exception adds it to its list here, with the
//! reason in the commit and, for an arrow or owner, in docs/architecture.md.

mod exceptions;
mod manifests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Which crate of ours depends on which: all of them, no others. Cargo's build and ordinary dependencies
/// alike; development dependencies are in [`DEV_ARROWS`].
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("failpoints", &[]),
    // The port through which workers of this machine are asked for.
    ("process", &["domain"]),
    ("redact", &["domain"]),
    ("dispatch", &["domain"]),
    ("git", &["domain", "process"]),
    ("github", &["domain"]),
    ("llm", &["domain", "redact"]),
    ("store", &["domain", "redact"]),
    ("aws", &["domain", "redact"]),
    ("agent", &["domain", "llm", "process", "redact"]),
    ("config", &["aws", "dispatch", "domain", "git", "github", "llm", "process", "redact", "store"]),
    ("enqueue", &["config", "dispatch", "domain", "failpoints", "git", "github", "llm", "store"]),
    ("triage", &["agent", "config", "dispatch", "domain", "failpoints", "github", "llm", "store"]),
    ("command", &["config", "dispatch", "domain", "failpoints", "github", "store"]),
    ("claim", &["config", "dispatch", "domain", "failpoints", "store"]),
    ("converse", &["config", "dispatch", "domain", "failpoints", "github", "redact", "store"]),
    ("scale", &["config", "dispatch", "domain", "store"]),
    // The instance of the database is described by its own type.
    ("alarm-react", &["aws", "config", "dispatch", "domain", "redact", "store"]),
    ("step", &["agent", "config", "dispatch", "domain", "failpoints", "git", "github", "llm", "process", "redact", "store"]),
    ("finalize", &["agent", "config", "dispatch", "domain", "failpoints", "git", "github", "redact", "store"]),
    (
        "codeteam",
        &[
            "alarm-react",
            "aws",
            "claim",
            "command",
            "config",
            "converse",
            "dispatch",
            "domain",
            "enqueue",
            "failpoints",
            "finalize",
            "git",
            "github",
            "process",
            "redact",
            "scale",
            "step",
            "store",
            "triage",
        ],
    ),
    // Beside the product: what tests and benchmarks are made of.
    ("testkit", &["domain", "process", "store"]),
    // Benchmarks drive the whole product, as its own commands do; the chaos suite carries it in its own binary, so
    // that what it kills is what was built with it. No other crate stands on `codeteam`.
    ("benches", &["agent", "codeteam", "config", "dispatch", "domain", "github", "llm", "process", "store", "testkit"]),
    ("chaos", &["codeteam", "failpoints", "process", "testkit"]),
    ("e2e", &["process"]),
];

/// The same for tests. `testkit` may be used by everything that it does not stand on itself.
const DEV_ARROWS: &[(&str, &[&str])] = &[
    ("github", &["testkit"]),
    ("store", &["testkit"]),
    ("config", &["testkit"]),
    ("enqueue", &["testkit"]),
    ("triage", &["testkit"]),
    ("claim", &["testkit"]),
    ("converse", &["testkit"]),
    ("scale", &["testkit"]),
    ("alarm-react", &["testkit"]),
    ("command", &["testkit"]),
    ("step", &["testkit"]),
    ("finalize", &["testkit"]),
    ("codeteam", &["testkit"]),
    // What the wires encode is judged by the vendors' own types.
    ("e2e", &["domain", "github", "llm", "testkit"]),
];

/// The product's floors from the top. An arrow goes down, over as many floors as it likes, and never
/// sideways: handlers meet in the database.
const FLOORS: &[&[&str]] = &[
    &["codeteam"],
    &["enqueue", "triage", "command", "claim", "step", "finalize", "converse", "scale", "alarm-react"],
    &["agent", "config"],
    &["store", "llm", "github", "git", "aws", "dispatch"],
    &["process", "redact"],
    &["domain", "failpoints"],
];

/// Arrows that would go down and are forbidden all the same: the agent's tools get ports, so that
/// untrusted work never reaches secrets or job rows; dispatch carries every handler and knows none.
const NEVER: &[(&str, &[&str])] = &[("agent", &["store", "github", "git", "aws"]), ("dispatch", &["process"])];

/// Libraries with one owner each, and whoever else may use them. A `*` at the end stands for any rest.
const OWNERS: &[(&str, &[&str])] = &[
    // Chaos looks at the tables from outside, past the store whose defects it seeks.
    ("sqlx*", &["chaos", "store", "testkit"]),
    ("tokio-postgres", &[]),
    // What PostgreSQL keeps of a password; the wire itself is sqlx's.
    ("postgres-protocol", &["store"]),
    ("axum*", &["codeteam"]),
    ("clap*", &["chaos", "codeteam"]),
    ("indicatif", &["codeteam"]),
    ("lambda_runtime", &["dispatch"]),
    ("aws_lambda_events", &["dispatch"]),
    // Bedrock is a wire of `llm`; everything else of AWS belongs to `aws`.
    ("aws-*", &["aws", "llm"]),
    // codeteam only to send spans to a collector.
    ("reqwest", &["aws", "github", "llm", "codeteam"]),
    ("octocrab", &["github"]),
    // The server's connections: axum's own loop has no timeout for headers and none for slow readers.
    ("hyper*", &["codeteam"]),
    ("utoipa*", &["codeteam"]),
    // In `github` it also signs for the App, so that no second library of cryptography is needed.
    ("rustls", &["aws", "config", "github", "llm"]),
    ("jiff", &["domain"]),
    // How figures and traces leave the process; everything else only counts (`metrics`) and opens spans (`tracing`).
    ("metrics-exporter-prometheus", &["codeteam"]),
    ("opentelemetry*", &["codeteam", "e2e"]),
    ("tracing-opentelemetry", &["codeteam"]),
    ("cap-std", &["agent"]),
    ("tree-sitter*", &["agent"]),
    // Dispatch only in its tests, which look at the spans it makes; codeteam for the log tails of the Invoke API; benches times spans.
    ("tracing-subscriber", &["benches", "codeteam", "config", "dispatch"]),
    ("wiremock", &["aws", "config", "llm", "e2e"]),
    ("cargo_metadata", &["e2e"]),
    // A child process belongs to `process`, whichever library would start it.
    ("async-process", &[]),
    ("duct", &[]),
    ("git2", &[]),
    ("gix", &[]),
    ("dotenv*", &[]),
];

/// All that `domain` may use: values, their text forms and the system's clock.
/// `jiff` is the rules of the world's time zones, built in: a table of data, read without I/O.
/// `globset` and `toml` read what a repository says about itself, from bytes that somebody else fetched.
/// `async-trait` is a macro: ports are traits whose calls somebody else awaits.
const PURE: &[&str] =
    &["async-trait", "globset", "hex", "jiff", "rustix", "serde", "serde_json", "sha2", "strum", "thiserror", "time", "toml", "uuid"];

type Arrows = BTreeSet<(String, String)>;

/// The workspace's folder.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e lies in the workspace").to_owned()
}

fn metadata() -> Metadata {
    MetadataCommand::new().current_dir(root()).no_deps().exec().expect("cargo metadata reads the workspace")
}

fn listed(list: &[(&str, &[&str])]) -> Arrows {
    list.iter().flat_map(|(from, to)| to.iter().map(|to| (String::from(*from), String::from(*to)))).collect()
}

/// The dependencies that `wanted` accepts: `(crate, dependency)`.
fn dependencies(wanted: impl Fn(DependencyKind, &str) -> bool) -> Arrows {
    let metadata = metadata();
    let mut found = Arrows::new();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|dependency| wanted(dependency.kind, &dependency.name)) {
            found.insert((package.name.to_string(), dependency.name.clone()));
        }
    }
    found
}

fn members() -> BTreeSet<String> {
    metadata().packages.iter().map(|package| package.name.to_string()).collect()
}

fn compare(found: &Arrows, listed: &Arrows, list: &str) {
    let show = |arrows: Vec<&(String, String)>| arrows.iter().map(|(from, to)| format!("\n  {from} -> {to}")).collect::<String>();
    let new = show(found.difference(listed).collect());
    let gone = show(listed.difference(found).collect());
    assert!(new.is_empty(), "not permitted by {list} in e2e/tests/walls.rs:{new}\ntake the dependency out, or add it there and say why");
    assert!(gone.is_empty(), "permitted by {list} in e2e/tests/walls.rs but gone:{gone}\ntake it out of the list");
}

#[test]
fn crates_depend_on_each_other_exactly_as_listed() {
    let members = members();
    let listed_crates: BTreeSet<String> = ARROWS.iter().map(|(name, _)| String::from(*name)).collect();
    assert_eq!(members, listed_crates, "the crates of the workspace and those in ARROWS in e2e/tests/walls.rs differ");
    compare(&dependencies(|kind, name| kind != DependencyKind::Development && members.contains(name)), &listed(ARROWS), "ARROWS");
    compare(&dependencies(|kind, name| kind == DependencyKind::Development && members.contains(name)), &listed(DEV_ARROWS), "DEV_ARROWS");
}

#[test]
fn listed_arrows_go_down_and_never_where_the_design_forbids_it() {
    let floor: BTreeMap<&str, usize> =
        FLOORS.iter().enumerate().flat_map(|(floor, crates)| crates.iter().map(move |name| (*name, floor))).collect();
    let mut wrong = Vec::new();
    for (from, all) in ARROWS {
        for to in *all {
            let down = match (floor.get(from), floor.get(to)) {
                (Some(from), Some(to)) => from < to,
                (Some(_), None) => false, // The product does not stand on test tools.
                (None, _) => true,
            };
            if !down || NEVER.iter().any(|(never, forbidden)| never == from && forbidden.contains(to)) {
                wrong.push(format!("{from} -> {to}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "ARROWS lists what the design forbids");
    let test_tools = ["testkit", "benches", "chaos", "e2e"];
    let placed: BTreeSet<&str> = floor.keys().copied().chain(test_tools).collect();
    let crates: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(placed, crates, "every crate has its place in FLOORS");
}

#[test]
fn tests_use_no_crate_of_ours_but_testkit() {
    let wrong: Vec<_> = listed(DEV_ARROWS).into_iter().filter(|(from, to)| to != "testkit" && from != "e2e").collect();
    assert_eq!(wrong, [], "a test that needs a higher crate belongs to that crate, or to e2e");
}

#[test]
fn libraries_with_an_owner_are_used_by_their_owner_only() {
    let matches = |pattern: &str, name: &str| pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start));
    let mut wrong = Vec::new();
    for (user, library) in dependencies(|_, _| true) {
        for (pattern, owners) in OWNERS.iter().filter(|(pattern, _)| matches(pattern, &library)) {
            if !owners.contains(&user.as_str()) {
                wrong.push(format!("{user} -> {library}: {pattern} belongs to {owners:?}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "ask the owner for what you need, or extend OWNERS in e2e/tests/walls.rs and say why");
}

#[test]
fn fail_points_are_armed_in_the_chaos_suite_only() {
    let armed: Vec<String> = metadata()
        .packages
        .iter()
        .filter(|package| package.dependencies.iter().any(|dependency| dependency.name == "failpoints" && !dependency.features.is_empty()))
        .map(|package| package.name.to_string())
        .collect();
    assert_eq!(armed, ["chaos"], "a fail point is no code at all in the product");
}

#[test]
fn domain_uses_values_only_and_no_io_or_runtime() {
    let wrong: Vec<_> = dependencies(|_, name| !PURE.contains(&name)).into_iter().filter(|(user, _)| user == "domain").collect();
    assert_eq!(wrong, [], "domain decides and does nothing: no I/O, no async runtime");
}
