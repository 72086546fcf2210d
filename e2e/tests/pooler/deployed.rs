//! PgBouncer as the template deploys it: the files that the first container of its task writes, the second container's program with
//! them, a database that shows a certificate and asks for a password, and the services behind it with what the template tells them.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use e2e::wait::until;
use e2e::{Codeteam, Repository, Up, skipped, tools};
use process::sandbox::Machine;
use process::{Command, Service, Signal};
use serde_json::json;
use tempfile::TempDir;
use testkit::{TlsPostgres, client};

use super::script;
use crate::template::{Template, list};

const PASSWORD: &str = "0fTheServices4711";
/// In the place of the number that the template gives, which is counted elsewhere: so few that the services have to share.
const SESSIONS: u32 = 2;
/// Where Debian and others put it.
const PATH: &str = "/usr/sbin:/usr/bin:/usr/local/bin:/bin";

/// A URL as the template puts it together, with what only AWS knows filled in.
fn url(template: &Template, secret: &str, password: &str, address: &str) -> String {
    let text = template.get(secret).text("/SecretString");
    let (user, _) = text.split_once(":{{resolve:").expect("the password is looked up by CloudFormation");
    let (_, database) = text.split_once(":5432/").expect("a port is named");
    format!("{user}:{password}@{address}/{database}")
}

/// The running pooler.
struct Pooler {
    folder: TempDir,
    port: u16,
    service: Service,
}

impl Pooler {
    async fn start(template: &Template, server: &TlsPostgres) -> Self {
        let task = template.get("PoolerTask");
        let words = |container: usize, name: &str| list(&task.properties["ContainerDefinitions"][container][name]);
        let folder = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("loopback has free ports").port();
        let number = port.to_string();
        // The volume that both containers have, and the authorities that lie in the image.
        let (settings, authorities) = (folder.path().join("settings"), folder.path().join("rds.pem"));
        fs::copy(server.authority(), &authorities).unwrap();
        fs::set_permissions(&authorities, PermissionsExt::from_mode(0o644)).unwrap();

        let mut first = words(0, "Command");
        let size = first.iter().position(|word| word == "--pool-size").expect("its pool has a size") + 1;
        first[size] = SESSIONS.to_string();
        let user = first.iter().position(|word| word == "--user").expect("it runs as a user of its own") + 1;
        assert_eq!(words(1, "User"), [first[user].clone()], "whoever may read the files runs it");
        let is_root = Machine::this().users;
        if !is_root {
            // Nobody else can give files away.
            first[user] = folder.path().metadata().unwrap().uid().to_string();
        }
        let place = first.pop().expect("it says where the files go");
        first.extend([settings.to_str().unwrap().to_owned(), "--port".to_owned(), number.clone()]);
        let database = server.url_as("codeteam_app", PASSWORD, "codeteam");
        let address = database.expose().split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap();
        let database = url(template, "PoolerDatabaseUrl", PASSWORD, address);
        assert!(database.ends_with("?sslmode=verify-full"), "{database}");
        let written = Codeteam::new(first).on(&database).env("PGSSLROOTCERT", &authorities).run().await;
        written.expect(0, &["PgBouncer's files are in"]);

        let [program] = &words(1, "EntryPoint")[..] else { panic!("{:#}", task.properties) };
        let [file] = &words(1, "Command")[..] else { panic!("{:#}", task.properties) };
        let file = file.replace(&place, settings.to_str().unwrap());
        // The same on loopback alone: a task has its own network, a test has not.
        let (loopback, text) = (folder.path().join("loopback.ini"), fs::read_to_string(&file).unwrap());
        assert!(text.contains("listen_addr = *\n") && !text.contains(PASSWORD), "{text}");
        fs::write(&loopback, text.replace("listen_addr = *\n", "listen_addr = 127.0.0.1\n")).unwrap();
        let mut command = Command::new(program).arg(&loopback).cwd("/").path(PATH);
        if is_root {
            let user = words(1, "User")[0].parse().expect("a user's number");
            command = command.user(user, user);
        }
        let service = Service::start(&command, File::create(folder.path().join("log")).unwrap()).expect("pgbouncer starts");
        let mut pooler = Self { folder, port, service };
        let health = list(&task.properties["ContainerDefinitions"][1]["HealthCheck"]["Command"]);
        let health: Vec<String> = health[1..].iter().map(|word| word.replace("5432", &number)).collect();
        until("the pooler is well", async || {
            assert!(pooler.service.ended().expect("it is our child").is_none(), "{}", pooler.said());
            let asked = Command::new(&health[0]).args(&health[1..]).path(PATH);
            tools::attempt(asked).await.exit.success().then_some(())
        })
        .await;
        pooler
    }

    /// What a service is told of it.
    fn url(&self, template: &Template, password: &str) -> String {
        url(template, "DatabaseUrl", password, &format!("127.0.0.1:{}", self.port))
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// What both services do not need for a job of the script, and the places of the test.
struct Services<'a> {
    template: &'a Template,
    url: String,
    state: TempDir,
    script: PathBuf,
}

impl Services<'_> {
    /// `codeteam` with what the template tells the container of `task` about its database.
    fn command(&self, task: &str, arguments: &[&str]) -> Codeteam {
        let told = self.template.get(task).environment(0);
        let base = Codeteam::new(arguments.iter().copied()).state(self.state.path()).on(&self.url);
        let base = base.env("CODETEAM_SCRIPT", &self.script).env("MODEL", "scripted").env("CODETEAM_LOCAL_REMOTES", "1");
        ["DATABASE_POOLER", "DATABASE_CONNECTIONS", "DATABASE_AUTH"].iter().fold(base, |base, name| base.env(name, &told[*name]))
    }
}

#[tokio::test]
async fn the_services_work_through_the_pooler_that_the_template_deploys() {
    if !PATH.split(':').any(|folder| Path::new(folder).join("pgbouncer").exists()) {
        skipped("the pooler of the template", "PgBouncer is not installed (on Debian and Ubuntu: sudo apt-get install pgbouncer)");
        return;
    }
    let (template, server) = (Template::dev().await, TlsPostgres::start("of-nobody-here").await);
    let app = server.url_as("codeteam_app", PASSWORD, "codeteam");
    let migrate = Codeteam::new(["migrate"]).on(server.owner_url("codeteam").expose()).env("DATABASE_APP_URL", app.expose());
    migrate.run().await.expect(0, &["the schema is up to date", "role codeteam_app logs in with the password"]);

    let pooler = Pooler::start(&template, &server).await;
    let (script, repository) = (script(), Repository::of(&[("README.md", "A shop.\n")]).await);
    let (state, bare, script) = (tempfile::tempdir().unwrap(), repository.bare().await, script.path().to_owned());
    let services = Services { template: &template, url: pooler.url(&template, PASSWORD), state, script };
    assert!(!template.get("DashboardTask").environment(0).contains_key("DATABASE_LISTEN_URL"));
    let serve = Up::start(services.command("DashboardTask", &["serve", "--listen", "127.0.0.1:0"])).await;
    let workers = [0, 1].map(|_| services.command("MechanicTask", &["work"]).start());
    for worker in &workers {
        worker.says("working on jobs").await;
    }
    let job = json!({ "repository": "acme/shop", "remote": bare, "input": { "title": "Look" }, "mode": "mechanic", "kind": "analysis" });
    for _ in 0..6 {
        services.command("DashboardTask", &["invoke", "enqueue", "-", "--json"]).stdin(job.to_string()).run().await.json(0);
    }
    // Whatever the services open, the server sees the pool alone.
    let mut seen = 0;
    until("every job has ended", async || {
        let sessions = server.value("select count(*) from pg_stat_activity where usename = 'codeteam_app'").await;
        seen = seen.max(sessions.parse::<u32>().unwrap());
        let ended = server.value("select count(*) from jobs where outcome = 'succeeded'").await;
        (ended == "6").then_some(())
    })
    .await;
    assert!((1..=SESSIONS).contains(&seen), "{seen} sessions, and {SESSIONS} are allowed: {}", pooler.said());
    let ready = client::get(&serve.address, "/readyz").await;
    assert_eq!(ready.status, 200, "{}", String::from_utf8_lossy(&ready.body));

    // Who does not know the password is not let in, by the pooler itself.
    let stranger = Codeteam::new(["jobs"]).on(&pooler.url(&template, "guessed")).env("DATABASE_POOLER", "transaction").run().await;
    assert_ne!(stranger.code, 0, "{}", stranger.said());
    assert!(pooler.said().contains("password authentication failed"), "{}\n{}", stranger.said(), pooler.said());
    for worker in workers {
        let (exit, said) = worker.end(Signal::TERM).await;
        assert!(exit.success() && !said.contains(PASSWORD), "{said}");
    }
    let (exit, said) = serve.running.end(Signal::TERM).await;
    assert!(exit.success() && !said.contains(PASSWORD) && !pooler.said().contains(PASSWORD), "{said}\n{}", pooler.said());
}
