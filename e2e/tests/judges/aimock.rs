//! aimock (<https://aimock.copilotkit.dev>) plays the vendors' models: whole tool rounds of the built binary, on each wire.

use std::path::PathBuf;

use e2e::{Codeteam, Repository, root, tools, wait};
use process::{Command, Service};
use serde_json::{Value, json};
use testkit::TestDb;

const KEY: &str = "sk-test-0123456789abcdef";

/// The server on a free port.
struct Aimock {
    url: String,
    _service: Service,
    _folder: tempfile::TempDir,
}

impl Aimock {
    /// `None` where it is not installed, which is said.
    async fn start() -> Option<Self> {
        let program: PathBuf = root().join(".tools/aimock/node_modules/@copilotkit/aimock/dist/cli.js");
        if !program.exists() || !tools::has("node").await {
            e2e::skipped("whole tool rounds against aimock", "it is not installed: `make tools` brings it, where there is npm");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (fixtures, log) = (folder.path().join("fixtures.json"), folder.path().join("log"));
        std::fs::write(&fixtures, rounds().to_string()).unwrap();
        let arguments =
            [program.as_os_str(), "--port".as_ref(), "0".as_ref(), "--strict".as_ref(), "--fixtures".as_ref(), fixtures.as_os_str()];
        let command: Command = tools::command("node").args(arguments).env("AIMOCK_API_KEYS", KEY);
        let service = Service::start(&command, std::fs::File::create(&log).unwrap()).unwrap();
        let line = wait::until_line(&log, "listening on ").await;
        let url = line.split("listening on ").nth(1).unwrap().trim().to_owned();
        Some(Self { url, _service: service, _folder: folder })
    }
}

/// Two calls at once, then, when their results are there, the end.
fn rounds() -> Value {
    let call = |name: &str, arguments: Value| json!({ "name": name, "arguments": arguments.to_string() });
    let first = [
        call("write_file", json!({ "path": "hello.txt", "content": "hello\n" })),
        call("shell", json!({ "command": "echo $((20 + 22))" })),
    ];
    let finish = json!({ "title": "Say hello", "summary": "It says hello.", "tests_run": [], "confidence": "high" });
    json!({ "fixtures": [
        { "match": { "userMessage": "Say hello", "hasToolResult": false }, "response": { "content": "I write it.", "toolCalls": first } },
        { "match": { "toolResultContains": "42" }, "response": { "toolCalls": [call("finish", finish)] } }
    ] })
}

#[tokio::test]
async fn whole_tool_rounds_are_played_on_every_wire() {
    let Some(aimock) = Aimock::start().await else { return };
    let rows = tempfile::NamedTempFile::new().unwrap();
    let v1 = format!("{}/v1", aimock.url);
    let server = format!("[[provider]]\nname = \"own\"\nbase_url = \"{v1}\"\nkey_setting = \"OWN_KEY\"\n");
    let model = |name: &str, provider: &str, provider_model: &str| {
        format!(
            "\n[[model]]\nname = \"{name}\"\nprovider = \"{provider}\"\nprovider_model = \"{provider_model}\"\ninput_per_million = 1_000\n\
             output_per_million = 2_000\ncontext_window = 131_072\nmax_output = 16_384\npriced_on = \"2026-11-26\"\nsource = \"a test\"\n"
        )
    };
    // aimock takes every entry among Bedrock's tools for a tool, the mark of what Claude's cache keeps included.
    let models = [model("own-model", "own", "qwen3-coder:30b"), model("nova", "bedrock", "amazon.nova-pro-v1:0")].concat();
    std::fs::write(rows.path(), format!("{server}{models}")).unwrap();
    let rows = rows.path().to_str().unwrap();
    let own = ("OWN_KEY", KEY);
    let of_bedrock =
        [("AWS_REGION", "us-east-1"), ("AWS_BEARER_TOKEN_BEDROCK", KEY), ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", aimock.url.as_str())];
    let played = [
        ("claude-haiku-4-5", vec![("ANTHROPIC_API_KEY", KEY), ("ANTHROPIC_BASE_URL", &aimock.url)]),
        ("gpt-5-mini", vec![("OPENAI_API_KEY", KEY), ("OPENAI_BASE_URL", &v1)]),
        ("gemini-3-pro-preview", vec![("GOOGLE_API_KEY", KEY), ("GOOGLE_BASE_URL", &aimock.url)]),
        ("nova", [&of_bedrock[..], &[own, ("CODETEAM_MODELS", rows)]].concat()),
        ("own-model", vec![own, ("CODETEAM_MODELS", rows)]),
    ];
    for (model, settings) in played {
        play(model, &settings).await;
    }
}

/// A job on `model` ends as the rounds say.
async fn play(model: &str, settings: &[(&str, &str)]) {
    let (db, repository) = (TestDb::new().await, Repository::of(&[("README.md", "# Shop\n")]).await);
    let configured =
        |command: Codeteam| settings.iter().fold(command.on(db.url.expose()), |command, (name, value)| command.env(name, value));
    let remote = repository.path.to_str().unwrap();
    let job = json!({ "repository": "acme/shop", "remote": remote, "input": { "title": "Say hello" }, "mode": "mechanic", "model": model });
    let enqueue = Codeteam::new(["invoke", "enqueue", "-"]).stdin(job.to_string()).env("CODETEAM_LOCAL_REMOTES", "1");
    configured(enqueue).run().await.json(0);
    let worked = configured(Codeteam::new(["work", "--until-idle"])).run().await;
    worked.expect(0, &[]);
    let outcome = db.value("select outcome from jobs").await;
    assert_eq!(outcome, "succeeded", "{model}: {}", worked.said());
    let branch = db.value("select links ->> 'branch' from jobs").await;
    assert_eq!(e2e::git::git(&repository.path, &["show", &format!("{branch}:hello.txt")]).await, "hello\n", "{model}");
    let results = db.value("select results from steps where step_no = 1 and half = 'results'").await;
    assert!(results.contains("42"), "{model}: {results}");
    let ledger = db.value("select string_agg(kind || ' ' || step_no, ', ' order by seq) from ledger").await;
    assert_eq!(ledger, "reserved 1, settled 1, reserved 2, settled 2", "{model}");
}
