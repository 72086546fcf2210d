//! Repositories, and how their tests run.

use super::*;

/// Detects in a repository of these files, of which only the wanted ones are read.
fn detect(files: &[(&str, &str)], task: &str) -> Option<(String, String)> {
    let listing = Listing::new(files.iter().map(|(path, _)| *path), task);
    let wanted = listing.wanted();
    let texts = files.iter().filter(|(path, _)| wanted.contains(path));
    let texts = texts.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    listing.detect(&texts).map(|found| (found.command, found.known_from))
}

fn command(files: &[(&str, &str)]) -> String {
    detect(files, "").map(|(command, _)| command).unwrap_or_default()
}

const CASES: &str = "class Cases(unittest.TestCase):\n    pass\n";

#[test]
fn every_language_is_known_by_its_files() {
    let package = r#"{"scripts": {"test": "vitest run"}}"#;
    for (files, expected) in [
        (&[("Cargo.toml", "[package]\nname = \"a\"")][..], "cargo test"),
        (&[("Cargo.toml", "[workspace]\nmembers = [\"a\"]")], "cargo test --workspace"),
        (&[("package.json", package)], "npm test"),
        (&[("package.json", package), ("pnpm-lock.yaml", "")], "pnpm test"),
        (&[("package.json", package), ("yarn.lock", "")], "yarn test"),
        (&[("package.json", package), ("package-lock.json", "{}")], "npm test"),
        (&[("package.json", r#"{"scripts": {"test": "x"}, "packageManager": "yarn@4.1.0"}"#), ("package-lock.json", "{}")], "yarn test"),
        (&[("go.mod", "module a"), ("a_test.go", "")], "go test ./..."),
        (&[("pom.xml", "<project/>")], "mvn -q test"),
        (&[("pom.xml", "<project/>"), ("mvnw", "")], "./mvnw -q test"),
        (&[("build.gradle.kts", ""), ("gradlew", "")], "./gradlew test"),
        (&[("build.gradle", "")], "gradle test"),
        (&[("Makefile", "all:\n\tcc\ncheck test: all\n\t./run\n")], "make test"),
        (&[("Makefile", ".PHONY: check\ncheck:\n\t./run\n")], "make check"),
    ] {
        assert_eq!(command(files), expected, "{files:?}");
    }
}

#[test]
fn python_tells_pytest_from_tox_and_unittest() {
    for (files, expected) in [
        (&[("pyproject.toml", "[tool.pytest.ini_options]"), ("tests/test_a.py", CASES)][..], "python3 -m pytest"),
        (&[("pytest.ini", ""), ("test_a.py", CASES)], "python3 -m pytest"),
        (&[("setup.py", ""), ("tests/test_a.py", "def test_a():\n    assert True\n")], "python3 -m pytest"),
        (&[("tox.ini", "[testenv]\ncommands = nose2"), ("tests/test_a.py", CASES)], "tox"),
        (&[("tox.ini", "[testenv]\ncommands = pytest"), ("tests/test_a.py", CASES)], "python3 -m pytest"),
        (&[("setup.py", ""), ("tests/__init__.py", ""), ("tests/test_a.py", CASES)], "python3 -m unittest"),
        (&[("setup.py", ""), ("tests/test_a.py", CASES)], "python3 -m unittest discover -s tests"),
        (&[("a.py", ""), ("test_a.py", CASES)], "python3 -m unittest"),
        (&[("setup.cfg", "[flake8]"), ("a.py", "")], ""),
        (&[("docs/tools/deep/test_a.py", CASES)], ""),
    ] {
        assert_eq!(command(files), expected, "{files:?}");
    }
}

#[test]
fn what_tells_nothing_is_not_guessed_at() {
    for files in [
        &[("README.md", "")][..],
        &[("package.json", r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}}"#)],
        &[("package.json", "{ not json")],
        &[("package.json", r#"{"scripts": {"build": "tsc"}}"#)],
        &[("Makefile", "test := 1\nall:\n\ttest: no\n# test: no\n")],
        &[("Makefile", "TESTS = a:test\nlatest: x\n")],
        &[("node_modules/a/package.json", r#"{"scripts": {"test": "x"}}"#)],
    ] {
        assert_eq!(detect(files, ""), None, "{files:?}");
    }
}

#[test]
fn the_manifest_nearest_to_what_the_task_names_decides() {
    let files = [
        ("package.json", r#"{"scripts": {"test": "turbo test"}}"#),
        ("pnpm-lock.yaml", ""),
        ("packages/web/package.json", r#"{"scripts": {"test": "vitest"}}"#),
        ("packages/web/src/cart.ts", ""),
        ("services/pay/go.mod", "module pay"),
        ("services/pay/cmd/main.go", ""),
        ("java/app/build.gradle", ""),
        ("java/gradlew", ""),
    ];
    for (task, expected, known_from) in [
        ("Fix it", "pnpm test", "package.json and pnpm-lock.yaml"),
        (
            "The total in `packages/web/src/cart.ts:12` is off",
            "cd packages/web && pnpm test",
            "packages/web/package.json and pnpm-lock.yaml",
        ),
        ("See services/pay/cmd.", "cd services/pay && go test ./...", "services/pay/go.mod"),
        ("./java/app/ does not build", "cd java && ./gradlew -p app test", "java/app/build.gradle and java/gradlew"),
        ("no/such/file.ts is missing", "pnpm test", "package.json and pnpm-lock.yaml"),
    ] {
        assert_eq!(detect(&files, task), Some((expected.to_owned(), known_from.to_owned())), "{task}");
    }
}

#[test]
fn without_a_manifest_at_the_root_the_first_folder_that_tells_decides() {
    let files = [("z/Cargo.toml", "[package]"), ("b/c/go.mod", ""), ("b/package.json", "{}")];
    assert_eq!(command(&files), "cd z && cargo test");
}

#[test]
fn a_folder_of_several_languages_is_tested_by_its_makefile() {
    let both = [("Cargo.toml", "[package]"), ("go.mod", ""), ("Makefile", "test:\n\t./all\n")];
    assert_eq!(command(&both), "make test");
    assert_eq!(command(&both[..2]), "cargo test");
    assert_eq!(command(&[both[0], both[2]]), "cargo test");
}

#[test]
fn a_name_that_would_be_more_than_a_path_in_a_shell_is_passed_over() {
    for path in ["a b/go.mod", "$(id)/go.mod", "a;id/go.mod", "-x/go.mod", "`id`/go.mod", "é/go.mod"] {
        assert_eq!(detect(&[(path, "")], path), None, "{path}");
    }
}

#[test]
fn ten_thousand_folders_are_no_burden() {
    let files: Vec<String> = (0..10_000).map(|number| format!("packages/p{number}/package.json")).collect();
    let listing = Listing::new(files.iter().map(String::as_str), &"packages/p77/x ".repeat(50));
    assert!(listing.wanted().len() <= MOST_FOLDERS * (READ.len() + 3));
}
