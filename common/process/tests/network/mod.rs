//! What commands with a network reach: package managers their registry through the proxy, tests their own listeners, and neither
//! anything else. The registry is a program of the test's own; nothing here needs the internet.

mod registry;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use process::sandbox::{Level, Machine, Network, Profile, Proxy, Slots, unreachable};
use process::{Command, Limits, Output, Sandbox, run};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::PATH;
use crate::builds::open_toolchain;
use crate::sandbox::{levels, open_folder};
use registry::Registry;

/// A folder for a project, and walls around it.
struct Place {
    folder: TempDir,
    sandbox: Sandbox,
    search_path: String,
    _links: Option<TempDir>,
}

impl Place {
    /// `None` where `network` cannot be had at `level`, or `tool` cannot be reached by whom it would be run as.
    async fn new(level: Level, network: Network, tool: &str, read: &[PathBuf]) -> Option<Self> {
        if let Some(objection) = network.objection(level, Machine::this()) {
            eprintln!("skipped at {level}: {objection}");
            return None;
        }
        let (toolchain, links) = open_toolchain().await;
        let search_path = format!("{}:{PATH}", toolchain.join("bin").display());
        let tool = search_path.split(':').map(|folder| std::path::Path::new(folder).join(tool)).find(|path| path.exists());
        let Some(tool) = tool else {
            eprintln!("skipped: the tool is not on this machine");
            return None;
        };
        if let (true, Some(closed)) = (level.has_own_user(), unreachable(std::slice::from_ref(&tool)).first()) {
            eprintln!("skipped at {level}: {} cannot be reached: {}", tool.display(), closed.remedy());
            return None;
        }
        let folder = open_folder();
        let (workspace, home) = (folder.path().join("workspace"), folder.path().join("home"));
        fs::create_dir(&home).unwrap();
        let slot = level.has_own_user().then(|| Slots::default().take().unwrap());
        let read = read.iter().cloned().chain([toolchain]).collect();
        let profile = Profile::new(read, vec![workspace.clone(), home.clone()]).reaching(network);
        for folder in [&workspace, &home] {
            slot.iter().for_each(|slot| slot.give(folder).unwrap());
        }
        Some(Self { folder, sandbox: Sandbox::new(Arc::new(profile), level, slot), search_path, _links: links })
    }

    async fn sh(&self, script: &str, environment: &[(&str, &str)]) -> Output {
        let home = self.folder.path().join("home");
        let command = Command::new("/bin/sh")
            .args(["-ec", script])
            .path(&self.search_path)
            .envs([("HOME", &home), ("TMPDIR", &home)])
            .env("LANG", "C.UTF-8")
            .envs(environment.iter().copied())
            .cwd(self.folder.path().join("workspace"))
            .timeout(Duration::from_secs(120))
            .limits(Limits { processes: Some(1024), oom_score_adj: Some(1000), ..Limits::default() })
            .sandbox(self.sandbox.clone());
        run(command, &CancellationToken::new()).await.unwrap()
    }
}

/// The strongest levels that there are with and without users of their own.
fn strongest() -> Vec<Level> {
    levels().into_iter().filter(|level| matches!(level, Level::Full | Level::Landlock | Level::Seccomp)).collect()
}

/// Runs `script` with a proxy that leads to the registry, and expects to find `paths` asked for there.
async fn fetches(tool: &str, script: &str, environment: &[(&str, &str)], paths: &[&str]) {
    let registry = Registry::start().await;
    for level in strongest() {
        let proxy = Proxy::new([registry.host().as_str()]).unwrap();
        let Some(place) = Place::new(level, Network::Fetch(proxy.clone()), tool, &[registry.certificate()]).await else { continue };
        registry.forget();
        let certificate = registry.certificate().display().to_string();
        let mut environment: Vec<(&str, &str)> = environment.to_vec();
        environment.extend(["HTTPS_PROXY", "https_proxy"].map(|name| (name, "http://127.0.0.1:3128")));
        environment.push(("CA", &certificate));
        let output = place.sh(script, &environment).await;
        let (said, complained) = (output.stdout_text(), output.stderr_text());
        assert!(output.exit.success(), "{tool} at {level}: {}\n{said}\n{complained}\nrefused: {:?}", output.exit, proxy.refused());
        let asked = registry.asked();
        assert!(paths.iter().all(|path| asked.contains(&(*path).to_owned())), "{tool} at {level}: {asked:?}");
    }
}

#[tokio::test]
async fn pip_fetches_a_wheel_through_the_proxy() {
    let script = "/usr/bin/python3 -m pip install -q --cert $CA --index-url https://registry.test/simple/ --only-binary :all: --target installed part \
                  && PYTHONPATH=installed /usr/bin/python3 -c 'import part; assert part.part() == 42'";
    fetches("pip", script, &[("PIP_DISABLE_PIP_VERSION_CHECK", "1")], &["/simple/part/"]).await;
}

#[tokio::test]
async fn npm_fetches_a_package_through_the_proxy_and_runs_none_of_its_scripts() {
    let script = "echo '{\"name\": \"whole\", \"version\": \"1.0.0\", \"dependencies\": {\"part\": \"1.0.0\"}}' > package.json \
                  && npm install --package-lock-only --no-audit --no-fund --ignore-scripts && npm ci --ignore-scripts --no-audit --no-fund \
                  && node -e 'if (require(\"part\") !== 42) process.exit(1)' && test ! -e script-ran";
    let environment = [("npm_config_registry", "https://registry.test/"), ("npm_config_update_notifier", "false")];
    let script = format!("export npm_config_cafile=$CA; {script}");
    fetches("npm", &script, &environment, &["/part", "/part/-/part-1.0.0.tgz"]).await;
}

#[tokio::test]
async fn cargo_fetches_a_crate_through_the_proxy_and_builds_without_it() {
    let script = "mkdir -p .cargo src && printf '[source.crates-io]\\nreplace-with = \"here\"\\n[source.here]\\nregistry = \
                  \"sparse+https://registry.test/index/\"\\n' > .cargo/config.toml \
                  && printf '[package]\\nname = \"whole\"\\nedition = \"2021\"\\n[dependencies]\\npart = \"1\"\\n' > Cargo.toml \
                  && echo 'fn main() { assert_eq!(part::part(), 42); }' > src/main.rs \
                  && CARGO_HTTP_CAINFO=$CA cargo fetch && env -u HTTPS_PROXY -u https_proxy cargo run --offline -q";
    fetches("cargo", script, &[], &["/index/pa/rt/part", "/crates/part/1.0.0/download"]).await;
}

#[tokio::test]
async fn go_fetches_a_module_through_the_proxy() {
    let script = "printf 'module example.com/whole\\n\\ngo 1.19\\n\\nrequire example.com/part v1.0.0\\n' > go.mod \
                  && SSL_CERT_FILE=$CA GOFLAGS=-mod=mod go mod download example.com/part";
    let environment = [("GOPROXY", "https://registry.test/go"), ("GONOSUMDB", "*"), ("GONOSUMCHECK", "1"), ("GOTOOLCHAIN", "local")];
    fetches("go", script, &environment, &["/go/example.com/part/@v/v1.0.0.zip"]).await;
}

#[tokio::test]
async fn the_proxy_leads_to_its_hosts_by_https_and_nowhere_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let pinned = format!("registry.test=127.0.0.1:{port}");
    for level in strongest() {
        let proxy = Proxy::new([pinned.as_str(), "localhost", "*.internal.example"]).unwrap();
        let Some(place) = Place::new(level, Network::Fetch(proxy.clone()), "python3", &[]).await else { continue };
        let asks = |line: &str| {
            format!(
                "/usr/bin/python3 -c 'import socket; s = socket.create_connection((\"127.0.0.1\", 3128), 30); \
                 s.sendall(b\"{line} HTTP/1.1\\r\\n\\r\\n\"); print(s.recv(4096).decode().split()[1])'"
            )
        };
        let cases = [
            ("CONNECT registry.test:443", "200"),
            ("CONNECT REGISTRY.test.:443", "200"),
            ("CONNECT registry.test:22", "403"),
            ("CONNECT other.test:443", "403"),
            ("CONNECT registry.test.other.test:443", "403"),
            ("CONNECT 127.0.0.1:443", "403"),
            ("CONNECT 169.254.169.254:443", "403"),
            ("CONNECT [::1]:443", "403"),
            // Its name is allowed, and leads to this machine: names are looked at again as addresses.
            ("CONNECT localhost:443", "403"),
            ("GET http://registry.test/", "405"),
            ("POST https://registry.test/", "405"),
        ];
        for (line, status) in cases {
            let output = place.sh(&asks(line), &[]).await;
            assert_eq!(output.stdout_text(), format!("{status}\n"), "{level}: {line}: {}", output.stderr_text());
        }
        assert!(listener.accept().is_ok() && listener.accept().is_ok(), "{level}");
        assert!(listener.accept().is_err(), "{level}: somebody else was led here");
        let refused = proxy.refused();
        assert!(refused.iter().any(|line| line.starts_with("other.test:443 is not among the hosts")), "{refused:?}");
        assert!(refused.iter().any(|line| line == "localhost:443 is at a private address"), "{refused:?}");
    }
}

/// Two servers of one command, a client for each, and what is out of bounds.
const TALKS: &str = r#"
import os, socket, subprocess, sys, threading
first, last = map(int, os.environ["CODETEAM_PORTS"].split("-"))
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    server = socket.create_server((address, 0), family=family)
    port = server.getsockname()[1]
    assert first <= port <= last, port
    threading.Thread(target=lambda: server.accept()[0].sendall(b"hello"), daemon=True).start()
    # Another process of the command may connect as well.
    client = f"import socket; print(socket.create_connection(({address!r}, {port}), 10).recv(5).decode())"
    assert subprocess.check_output([sys.executable, "-c", client], text=True) == "hello\n"
socket.create_server(("127.0.0.1", last)).close()
for other in map(int, sys.argv[1:]):
    try:
        socket.create_connection(("127.0.0.1", other), 3)
        sys.exit(f"connected to {other}")
    except PermissionError:
        pass
print("talked")
"#;

#[tokio::test]
async fn a_test_that_listens_on_loopback_talks_to_itself_and_to_nobody_else() {
    let others = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = others.local_addr().unwrap().port().to_string();
    for level in [Level::Full, Level::Landlock].into_iter().filter(|level| levels().contains(level)) {
        let Some(place) = Place::new(level, Network::Loopback, "python3", &[]).await else { continue };
        let script = format!("/usr/bin/python3 -c '{TALKS}' {port} 22 443");
        let output = place.sh(&script, &[]).await;
        assert_eq!(output.stdout_text(), "talked\n", "{level}: {}", output.stderr_text());
    }
}

#[tokio::test]
async fn two_commands_at_a_time_do_not_reach_each_others_listeners() {
    let level = Machine::this().level();
    let Some(one) = Place::new(level, Network::Loopback, "python3", &[]).await else { return };
    let Some(other) = Place::new(level, Network::Loopback, "python3", &[]).await else { return };
    let listens = "/usr/bin/python3 -c 'import os, socket, time\n\
                   s = socket.create_server((\"127.0.0.1\", 0)); print(s.getsockname()[1], file=open(\"port.new\", \"w\", 1))\n\
                   os.rename(\"port.new\", \"port\"); s.settimeout(60)\n\
                   while not os.path.exists(\"stop\"): time.sleep(0.01)'";
    let listening = one.sh(listens, &[]);
    let connecting = async {
        let port = one.folder.path().join("workspace/port");
        crate::until("the listener is there", || port.exists()).await;
        let port = fs::read_to_string(port).unwrap();
        let script =
            format!("/usr/bin/python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {}), 5)' 2>&1 | tail -1", port.trim());
        let output = other.sh(&script, &[]).await;
        fs::write(one.folder.path().join("workspace/stop"), "").unwrap();
        output.stdout_text()
    };
    let (listened, connected) = tokio::join!(listening, connecting);
    assert!(listened.exit.success(), "{listened:?}");
    assert!(connected.starts_with("PermissionError"), "{connected}");
}

#[tokio::test]
async fn a_network_that_cannot_be_enforced_is_refused() {
    let folder = open_folder();
    let profile = Profile::new(Vec::new(), vec![folder.path().join("workspace")]).reaching(Network::Loopback);
    let sandbox = Sandbox::new(Arc::new(profile), Level::Seccomp, None);
    let error = run(Command::new("/bin/true").sandbox(sandbox), &CancellationToken::new()).await.unwrap_err();
    assert!(
        error.to_string().contains("the network profile loopback cannot be enforced: ports are only held apart by Landlock"),
        "{error}"
    );
}
