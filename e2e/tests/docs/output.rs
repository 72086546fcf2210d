//! What the README shows as output is what comes out.

use e2e::Codeteam;

use super::{document, listed, read};

/// The lines that the README shows below `$ command`.
fn shown(command: &str) -> Vec<String> {
    let readme = document("README.md");
    let prompt = format!("$ {command}");
    let block = readme.blocks.iter().find(|block| block[0] == prompt);
    block.unwrap_or_else(|| panic!("README.md: no block begins with {prompt}"))[1..].to_vec()
}

/// A line without what differs from run to run: numbers, ids, the names of temporary folders, padding.
fn shape(line: &str) -> String {
    let line = match line.split_once("codeteam-demo-") {
        Some((before, after)) => format!("{before}codeteam-demo-{}", after.trim_start_matches(|char| char != '/')),
        None => line.to_owned(),
    };
    let mut shape = String::new();
    for word in line.split_inclusive(|char: char| !char.is_ascii_alphanumeric()) {
        let plain = word.trim_end_matches(|char: char| !char.is_ascii_alphanumeric());
        let has_digit = plain.bytes().any(|byte| byte.is_ascii_digit());
        if has_digit && plain.len() >= 7 && plain.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            shape.push('#');
        } else {
            for char in plain.chars().map(|char| if char.is_ascii_digit() { '#' } else { char }) {
                if char != '#' || !shape.ends_with('#') {
                    shape.push(char);
                }
            }
        }
        shape.push_str(&word[plain.len()..]);
    }
    shape.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The shapes of `lines`, less where PostgreSQL came from: that differs from machine to machine.
fn shapes<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut is_about_postgres = false;
    let mut shapes = Vec::new();
    for line in lines {
        if !is_about_postgres || line.starts_with("2. ") {
            shapes.push(shape(line));
            is_about_postgres = line.starts_with("1. ");
        }
    }
    shapes
}

#[tokio::test]
async fn the_readme_shows_what_the_demo_prints() {
    let ran = Codeteam::new(["demo", "--scripted"]).run().await;
    ran.expect(0, &[]);
    let printed = shapes(ran.stderr.lines().chain(ran.stdout.lines()));
    let shown = shown("make demo");
    let shown = shapes(shown.iter().map(String::as_str));
    assert!(shown.len() > 40, "the README shows the whole demo: {shown:#?}");
    for (number, (shown, printed)) in shown.iter().zip(&printed).enumerate() {
        assert_eq!(shown, printed, "line {number} of the demo, as README.md shows it and as it is, numbers aside");
    }
    assert_eq!(shown.len(), printed.len(), "README.md shows more or less than all of:\n{}", ran.said());
}

#[test]
fn the_readme_shows_tests_and_tools_that_there_are() {
    let sources: String = listed("e2e/tests", "rs").iter().map(|path| read(&path.to_string_lossy())).collect();
    let requirements = read("scripts/requirements.txt");
    let (mut tests, mut tools) = (0, 0);
    for line in shown("make test") {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... ok")) {
            let name = name.rsplit("::").next().unwrap_or(name);
            assert!(sources.contains(&format!("fn {name}()")), "README.md shows the test {name}, which is gone");
            tests += 1;
        }
        for tool in ["cfn-lint", "cargo-lambda"] {
            if let Some(version) =
                line.split(&format!("{tool} ")).nth(1).filter(|rest| rest.starts_with(|char: char| char.is_ascii_digit()))
            {
                let version = version.split([',', ' ']).next().unwrap_or_default();
                assert!(
                    requirements.contains(&format!("{tool}=={version} ")),
                    "README.md shows {tool} {version}, requirements.txt pins another"
                );
                tools += 1;
            }
        }
    }
    assert_eq!((tests, tools), (2, 2), "what `make test` prints, shortened");
}

#[test]
fn a_shape_keeps_words_and_drops_what_differs_from_run_to_run() {
    assert_eq!(shape("  step 1/20   shell      2,061 tokens, $0.0006, 0.3 s"), "step #/# shell #,# tokens, $#.#, #.# s");
    assert_eq!(shape("pushed codeteam/79929819b801-settle"), "pushed codeteam/#-settle");
    assert_eq!(shape("file:///tmp/codeteam-demo-6bP6pJ/forge"), shape("file:///tmp/codeteam-demo-…/forge"));
    assert_ne!(shape("tests after pass"), shape("tests after FAIL"));
}
