//! What `.codeteam.toml` can say, and how what is wrong in it is told.

use super::*;
use crate::Sensitive;

fn faults(text: &str) -> Vec<String> {
    read(text.as_bytes()).faults.iter().map(Fault::to_string).collect()
}

#[test]
fn a_whole_file_is_understood() {
    let text = "test_command = \"make test\"\nallowed_paths = [\"src/**\", \"*.md\"]\nnetwork = \"loopback\"\n\
                instructions = \"docs/for-agents.md\"\nsensitive_changes = [\"workflows\", \"symlinks\"]\n\n[caps]\nsteps = 12\ntokens = 30_000\nseconds = 45\ncost_usd = 0.20\n";
    let project = Project {
        test_command: Some("make test".to_owned()),
        allowed_paths: AllowedPaths::of(&["src/**", "*.md"]).unwrap(),
        caps: LowerCaps { steps: Some(12), tokens: Some(30_000), cost_microusd: Some(MicroUsd(200_000)), active_ms: Some(45_000) },
        network: Some(Network::Loopback),
        instructions: Some("docs/for-agents.md".to_owned()),
        sensitive_changes: [Sensitive::Workflows, Sensitive::Symlinks].into(),
    };
    assert_eq!(read(text.as_bytes()), Read { project, faults: vec![] });
    assert_eq!(read(b""), Read::default());
}

#[test]
fn caps_are_lowered_and_never_raised() {
    let asked = read(b"[caps]\nsteps = 7\ntokens = 999999999\ncost_usd = 0.000001").project.caps;
    let lowered = Caps { steps: 7, cost_microusd: MicroUsd(1), ..Caps::MECHANIC };
    assert_eq!(asked.lower(Caps::MECHANIC), lowered);
    assert_eq!(LowerCaps::default().lower(Caps::GENIUS), Caps::GENIUS);
}

#[test]
fn each_fault_has_its_line_and_column_and_the_rest_holds() {
    let text = "test_comand = \"x\"\ntest_command = \"cargo test\"\nnetwork = \"internet\"\n\
                instructions = \"../secrets\"\n[caps]\nsteps = -1\nsteps_max = 3\ncost_usd = \"cheap\"\nseconds = 1.5\n";
    assert_eq!(
        faults(text),
        [
            ".codeteam.toml, line 1, column 1: unknown key \"test_comand\"; the keys are test_command, allowed_paths, sensitive_changes, caps, network and instructions",
            ".codeteam.toml, line 3, column 11: expected \"none\", \"loopback\" or \"fetch\", found \"internet\"",
            ".codeteam.toml, line 4, column 16: expected the path of a file, from the root of the repository, found \"../secrets\"",
            ".codeteam.toml, line 6, column 9: expected a whole number above 0, found -1",
            ".codeteam.toml, line 7, column 1: unknown key \"steps_max\" in caps; the keys are steps, tokens, seconds and cost_usd",
            ".codeteam.toml, line 8, column 12: expected an amount of US dollars above 0, such as 0.25, found \"cheap\"",
        ]
    );
    let Read { project, faults } = read(text.as_bytes());
    let caps = LowerCaps { active_ms: Some(1_500), ..LowerCaps::default() };
    assert_eq!(project, Project { test_command: Some("cargo test".to_owned()), caps, ..Project::default() });
    assert!(faults.iter().all(|fault| !fault.hides_paths));
}

#[test]
fn where_the_allowed_paths_cannot_be_known_none_are() {
    for (text, words) in [
        ("allowed_paths = [\"src/**\"\n", "the file is not TOML"),
        ("allowed_paths = \"src/**\"", "line 1, column 17: expected a list of globs"),
        ("allowed_paths = []", "expected a list of globs"),
        ("allowed_paths = [\"src/**\", 3]", "line 1, column 28: expected a glob in quotes, found 3"),
        ("allowed_paths = [\n  \"src/**\",\n  \"a[\",\n]", "line 3, column 3: \"a[\" is not a glob"),
        ("alowed_paths = [\"src/**\"]", "did you mean \"allowed_paths\"?"),
        ("\u{feff}\u{0}", "line 1, column"),
    ] {
        let read = read(text.as_bytes());
        assert_eq!(read.project, Project { allowed_paths: AllowedPaths::none(), ..Project::default() }, "{text}");
        let fault = read.hides_paths().expect(text).to_string();
        assert!(fault.contains(words), "{fault}");
    }
    let bytes = read(b"# ok\n\"\xff\"");
    assert_eq!(bytes.hides_paths().unwrap().to_string(), ".codeteam.toml, line 2, column 2: the file is not UTF-8 text");
    assert!(Read::too_large().hides_paths().unwrap().to_string().contains("more than 65536 bytes"));
}

#[test]
fn columns_count_characters() {
    assert!(faults("test_command = \"é\" # ü\nnetwork = 1")[0].contains("line 2, column 11"));
    assert!(faults("\"añb\" = 1")[0].contains("line 1, column 1:"));
    assert!(faults("caps = { \"ä\" = 1 , stepss = 2 }")[1].contains("line 1, column 20:"));
}

#[test]
fn no_text_makes_it_panic() {
    let good = "test_command = \"make é\"\nallowed_paths = [\"src/**\"]\n[caps]\nsteps = 12\ncost_usd = 1e3\n";
    for cut in 0..good.len() {
        read(&good.as_bytes()[..cut]);
        for byte in [0, b'"', b'[', b'=', b'\n', 0xff] {
            let mut bytes = good.as_bytes().to_vec();
            bytes[cut] = byte;
            read(&bytes);
        }
    }
}

#[test]
fn a_kind_of_sensitive_change_that_is_not_known_permits_nothing() {
    let text = "sensitive_changes = [\"workflows\", \"everything\"]\n";
    let wanted = r#"expected a list of "workflows", "codeowners", "submodules", "symlinks", found "everything""#;
    assert_eq!(faults(text), [format!(".codeteam.toml, line 1, column 35: {wanted}")]);
    assert!(read(text.as_bytes()).project.sensitive_changes.is_empty());
}
