//! The words and schemas that models see. A change of theirs changes behaviour, so it is made on purpose:
//! on a difference the new text lies in the build folder, to be compared and copied.

use std::path::Path;

use agent::{Brief, Toolbox, Toolboxes, request};
use domain::{Kind, Mode};
use llm::{Models, ProviderName, Turn};
use serde_json::Value;

use crate::fixture::brief;

fn assert_snapshot(name: &str, expected: &str, actual: &str) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if expected != actual {
        std::fs::write(&path, actual).unwrap();
        panic!("tests/snapshots/{name} is not what the model would see; compare it with {} and copy it if it is right", path.display());
    }
}

#[test]
fn the_tools_are_described_as_reviewed() {
    let mut specs = serde_json::to_string_pretty(&Toolbox::standard().specs()).unwrap();
    specs.push('\n');
    assert_snapshot("tools.json", include_str!("snapshots/tools.json"), &specs);
}

#[test]
fn every_model_is_offered_one_way_to_edit() {
    let names = |provider| -> Vec<String> { Toolbox::standard().specs_for(provider).iter().map(|spec| spec.name.clone()).collect() };
    let others = ["read_file", "list_files", "search", "write_file", "shell", "finish"];
    for (provider, edits) in [
        (ProviderName::OpenAi, "apply_patch"),
        (ProviderName::Anthropic, "edit_file"),
        (ProviderName::Google, "edit_file"),
        (ProviderName::Scripted, "edit_file"),
    ] {
        let mut expected = others.to_vec();
        expected.insert(3, edits);
        assert_eq!(names(provider), expected, "{provider}");
    }
}

#[test]
fn the_first_request_of_every_kind_reads_as_reviewed() {
    let model = Models::builtin().lookup("scripted").unwrap().clone();
    let mut text = String::new();
    let kinds =
        [(Kind::Change, Mode::Mechanic), (Kind::Analysis, Mode::Genius), (Kind::Review, Mode::Mechanic), (Kind::Question, Mode::Genius)];
    for (kind, mode) in kinds {
        let request = request(&Brief { kind, mode, ..brief() }, &Toolbox::standard(), &[], &[], &model).request;
        let Turn::User { text: task } = &request.turns[0] else { panic!("{:?}", request.turns) };
        text.push_str(&format!("===== {kind}, {mode}: system =====\n{}\n===== {kind}, {mode}: user =====\n{task}\n", request.system));
    }
    assert_snapshot("prompts.txt", include_str!("snapshots/prompts.txt"), &text);
}

#[test]
fn every_schema_is_closed_and_requires_only_what_it_has() {
    fn check(at: &str, schema: &Value) {
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{at}");
            let properties = schema["properties"].as_object().unwrap_or_else(|| panic!("{at} has no properties"));
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(properties.contains_key(name.as_str().unwrap()), "{at} requires {name}");
            }
            for (name, property) in properties {
                check(&format!("{at}.{name}"), property);
            }
        } else if schema["type"] == "array" {
            check(&format!("{at}[]"), &schema["items"]);
        } else {
            assert!(schema["type"].is_string(), "{at} has no type");
        }
    }
    let toolboxes = Toolboxes::standard();
    for spec in [Kind::Change, Kind::Review, Kind::Question].iter().flat_map(|kind| toolboxes.of(*kind).specs()) {
        assert_eq!(spec.input_schema["type"], "object", "{}", spec.name);
        check(&spec.name, &spec.input_schema);
    }
}
