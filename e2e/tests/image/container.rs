//! What is in the image, how much it weighs, and that the product works in it as in a container: the two archives that its layers are
//! made of are unpacked, and a command is process 1 of that root. With a binary for debugging, which weighs a little more than a release.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::{Codeteam, Repository, measured, root, skipped, tools, wait};
use process::sandbox::Machine;
use process::{Command, Exit, Output, Service, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::TestDb;

/// The service's user in the image.
const SERVICE: u32 = 63_487;
/// Debian's user `_apt`, whose folders stay without apt.
const APT: u32 = 42;

/// An image, unpacked.
struct Image {
    folder: TempDir,
    db: TestDb,
    /// Where the database's socket lies, if it has one.
    socket: Option<PathBuf>,
}

impl Image {
    /// `None` where none can be made here, which is said.
    async fn make() -> Option<Self> {
        let what = "the container image";
        if !Machine::this().users {
            skipped(what, "only root can make and enter it");
            return None;
        }
        for (program, arguments) in [("unshare", &["--mount", "--pid", "--fork", "true"][..]), ("apt-get", &["--version"][..])] {
            let tried = process::run(tools::command(program).args(arguments), &Default::default()).await;
            if !tried.is_ok_and(|output| output.exit.success()) {
                skipped(what, &format!("`{program} {}` does not work here", arguments.join(" ")));
                return None;
            }
        }
        let folder = tempfile::Builder::new().prefix("e2e-image-").permissions(PermissionsExt::from_mode(0o711)).tempdir().unwrap();
        let binary = folder.path().join("codeteam");
        let product = e2e::product::binary();
        tools::run("strip", &["-o", binary.to_str().unwrap(), product.to_str().unwrap()], folder.path()).await;
        let build = tools::command("deploy/image/build.sh").args(["--archives", "worker"]).cwd(root()).env("CODETEAM_BINARY", &binary);
        let built = tools::attempt(build.timeout(Duration::from_secs(900))).await;
        let said = built.stderr_text();
        if said.contains("E: apt-get update") {
            skipped(what, "Debian's packages cannot be had");
            return None;
        }
        assert_eq!(built.exit, Exit::Code(0), "{said}");
        measured(said.lines().find(|line| line.contains("bytes compressed")).unwrap_or(&said));
        let tree = folder.path().join("root");
        fs::create_dir(&tree).unwrap();
        for archive in ["rootfs.tar", "codeteam.tar"] {
            let archive = root().join("target/image/context").join(archive);
            tools::run("tar", &["-x", "--numeric-owner", "-f", archive.to_str().unwrap(), "-C", tree.to_str().unwrap()], &tree).await;
        }
        let db = TestDb::new().await;
        let url = db.url.expose().replace("%2F", "/").replace("%2D", "-");
        let is_private = |folder: &&Path| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("codeteam-pg-"));
        let mut parts = url.split(['?', '&', '=', '@', ':']);
        let socket = parts.find_map(|part| Path::new(part).ancestors().find(is_private)).map(Path::to_owned);
        if let Some(socket) = &socket {
            // A private server's socket lies in a folder that is closed to others; what a service connects to is not.
            fs::set_permissions(socket, PermissionsExt::from_mode(0o711)).unwrap();
        }
        Some(Self { folder, db, socket })
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// `command` as process 1 in the image, with the environment that the Containerfile gives it.
    fn command(&self, command: &[&str]) -> Command {
        self.enter(&[], command)
    }

    /// The same under the conditions that deploy/services.yaml sets for a worker, with `folder` for both sides.
    fn task(&self, folder: &Path, command: &[&str]) -> Command {
        let volumes = volumes();
        let mut options = vec!["--bind", folder.to_str().unwrap(), "--task"];
        options.extend(volumes.iter().flat_map(|volume| ["--volume", volume.as_str()]));
        self.enter(&options, command).env("CODETEAM_STATE_DIR", "/data/state").env("CODETEAM_CACHE_DIR", "/data/cache")
    }

    fn enter(&self, options: &[&str], command: &[&str]) -> Command {
        let enter = Command::new(root().join("deploy/image/enter.sh")).args(options).path("/usr/bin:/bin:/usr/sbin:/sbin");
        let bind = self.socket.iter().flat_map(|socket| [OsString::from("--bind"), socket.clone().into()]);
        let enter = enter.args(bind).arg(self.tree()).args(command).timeout(Duration::from_secs(120));
        variables().into_iter().fold(enter, |enter, (name, value)| enter.env(name, value)).env("DATABASE_URL", self.db.url.expose())
    }

    async fn run(&self, command: &[&str]) -> Output {
        tools::attempt(self.command(command)).await
    }
}

/// What the Containerfile sets.
fn variables() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("deploy/image/Containerfile")).unwrap();
    let start = text.find("ENV ").expect("the Containerfile has an environment") + "ENV ".len();
    let lines = text[start..].lines().scan(true, |goes_on, line| {
        std::mem::replace(goes_on, line.ends_with('\\')).then(|| line.trim_end_matches('\\').trim().to_owned())
    });
    lines.map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).expect("NAME=VALUE")).collect()
}

/// Where a worker may write, according to the template.
fn volumes() -> Vec<String> {
    let text = fs::read_to_string(root().join("deploy/services.yaml")).unwrap();
    let task = text.split("\n  MechanicTask:\n").nth(1).and_then(|rest| rest.split("\n  GeniusTask:\n").next()).expect("a worker's task");
    assert!(task.contains("ReadonlyRootFilesystem: true"), "{task}");
    let paths = task.split("ContainerPath: ").skip(1).map(|rest| rest.split([',', ' ']).next().unwrap().to_owned());
    paths.collect()
}

/// Every file and folder below `folder`.
fn visit(folder: &Path, see: &mut impl FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, metadata) = (entry.path(), entry.metadata().unwrap());
        see(&path, &metadata);
        if metadata.is_dir() {
            visit(&path, see);
        }
    }
}

fn holds_what_it_should_and_nothing_else(image: &Image) {
    let tree = image.tree();
    let packages = fs::read_to_string(tree.join("usr/share/codeteam/packages")).unwrap();
    let packages: BTreeSet<&str> = packages.lines().filter_map(|line| line.split(' ').next()).collect();
    for package in ["bash", "ca-certificates", "git", "make", "patch", "pgbouncer", "python3"] {
        assert!(packages.contains(package), "no {package} in {packages:?}");
    }
    for package in ["apt", "gcc", "openssh-client", "sudo"] {
        assert!(!packages.contains(package), "{package} is in the image");
    }
    assert!(packages.len() < 130, "the slim image has {} packages", packages.len());
    for file in ["etc/hostname", "etc/resolv.conf", "etc/machine-id", "root/.bash_history", "usr/share/man/man1"] {
        assert!(!tree.join(file).exists(), "{file} is in the image");
    }
    let bundle = fs::read_to_string(tree.join("etc/codeteam/rds.pem")).unwrap();
    assert_eq!(bundle.matches("-----BEGIN CERTIFICATE-----").count(), 3);
    assert!(tree.join("usr/share/doc/git/copyright").exists(), "licences go with the programs");
    let mut wrong = Vec::new();
    visit(&tree, &mut |path, metadata| {
        let mode = metadata.mode();
        let open = metadata.is_file() && mode & 0o002 != 0 || metadata.is_dir() && mode & 0o002 != 0 && mode & 0o1000 == 0;
        if open || metadata.is_file() && mode & 0o6000 != 0 || !metadata.is_symlink() && ![0, APT, SERVICE].contains(&metadata.uid()) {
            wrong.push(format!("{} has mode {mode:o} and owner {}", path.display(), metadata.uid()));
        }
    });
    assert_eq!(wrong, Vec::<String>::new(), "writable for everybody, of a program that makes somebody else of who starts it, or of nobody");
    for folder in ["var/lib/codeteam", "var/cache/codeteam"] {
        let metadata = tree.join(folder).metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o7777), (SERVICE, 0o711), "{folder}");
    }
}

/// The doctor finds the tools, and walls as good as outside.
async fn is_sound(image: &Image) {
    let output = image.run(&["/usr/bin/codeteam", "doctor", "--offline"]).await;
    let said = output.stdout_text();
    let level = format!("level {}", Machine::this().level());
    for words in ["git version", "Python 3", &level, "/var/lib/codeteam"] {
        assert!(said.lines().any(|line| line.starts_with("ok") && line.contains(words)), "{words:?} is not ok:\n{said}");
    }
    measured(said.lines().find(|line| line.contains(&level)).unwrap_or_default());
}

/// The whole demonstration, with root given up for the service's user.
async fn runs_the_demonstration(image: &Image) {
    let demo = image.command(&["/usr/bin/codeteam", "demo", "--json", "--scripted"]).env("CODETEAM_USER", "codeteam");
    let output = tools::attempt(demo).await;
    assert_eq!(output.exit, Exit::Code(0), "{}", output.stderr_text());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let passed = |name: &str| report[name]["passed"].clone();
    let outcome = (&report["result"]["outcome"], passed("tests_before"), passed("tests_after"));
    assert_eq!(outcome, (&json!("succeeded"), json!(false), json!(true)), "{report}");
}

/// The real users of the processes whose root is the image, by the beginning of their command lines.
fn users(tree: &Path) -> BTreeSet<(String, u32)> {
    let ids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let user = |id: u32| {
        (fs::read_link(format!("/proc/{id}/root")).ok()? == tree).then_some(())?;
        let line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let name = String::from_utf8_lossy(line.split(|byte| *byte == 0).next()?).into_owned();
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse::<u32>().ok()?;
        Some((name, user))
    };
    ids.filter_map(user).collect()
}

/// `work`, as the image starts it: nobody but the spawner is root, the health check says how it is, and SIGTERM ends it.
async fn works_without_root(image: &Image) {
    let log = image.folder.path().join("log");
    let command = image.command(&["/usr/bin/codeteam", "work", "--metrics-listen", "127.0.0.1:0"]);
    let mut worker = Service::start(&command, File::create(&log).unwrap()).unwrap();
    let line = wait::until_line(&log, "figures are at http://127.0.0.1:").await;
    let port: String = line.split("http://127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    wait::until_line(&log, "working on jobs").await;
    let users = users(&image.tree());
    assert!(users.contains(&("/usr/bin/codeteam".to_owned(), SERVICE)), "{users:?}");
    let root: Vec<_> = users.iter().filter(|(_, user)| *user == 0).map(|(name, _)| name.as_str()).collect();
    assert!(root.iter().all(|name| name.starts_with("codeteam-spawner")), "{users:?}");
    assert_eq!(image.run(&["/usr/bin/alive", &port, "/metrics"]).await.exit, Exit::Code(0), "it is alive");
    assert_eq!(image.run(&["/usr/bin/alive", &port, "/nothing"]).await.exit, Exit::Code(1), "a page that is not there");
    // Process 1 of its namespace: a signal reaches it only because it asked for it.
    let ours = wait::processes("/usr/bin/codeteam work").into_iter().filter(|(id, line)| {
        line.starts_with("/usr/bin/codeteam work") && fs::read_link(format!("/proc/{id}/root")).is_ok_and(|root| root == image.tree())
    });
    let ids: Vec<String> = ours.map(|(id, _)| id.to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    tools::run("kill", &["-s", "TERM", &ids[0]], Path::new("/")).await;
    let ended = tokio::time::timeout(Duration::from_secs(30), worker.wait()).await;
    let said = fs::read_to_string(&log).unwrap();
    match ended {
        Ok(exit) => assert_eq!(exit.unwrap(), Exit::Code(0), "{said}"),
        Err(_) => {
            worker.signal(Signal::KILL).unwrap();
            panic!("SIGTERM did not end it:\n{said}");
        }
    }
    assert_eq!(image.run(&["/usr/bin/alive", &port, "/metrics"]).await.exit, Exit::Code(1), "nobody listens any more");
}

/// A whole job where nothing but the volumes can be written, with no more of root's rights than a task has.
async fn does_a_job_as_a_task(image: &Image) {
    let repository = Repository::of(&[("README.md", "A shop.\n")]).await;
    let folder = repository.path.parent().unwrap();
    fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    let call = |name: &str, input: Value| json!({ "text": "so", "tool_calls": [{ "name": name, "input": input }] });
    let replies = json!([
        call("shell", json!({ "command": "id -u > who; echo two > greeting; touch /tmp/out 2> refused" })),
        call("finish", json!({ "title": "Greet", "summary": "Greeted.", "confidence": "high" })),
    ]);
    let script = folder.join("script.json");
    fs::write(&script, json!({ "name": "greet", "replies": replies }).to_string()).unwrap();
    let remote = repository.path.to_str().unwrap();
    let job =
        json!({ "repository": "acme/shop", "remote": remote, "input": { "title": "Greet" }, "mode": "mechanic", "model": "scripted" });
    let enqueue = Codeteam::new(["invoke", "enqueue", "-"]).stdin(job.to_string()).env("CODETEAM_LOCAL_REMOTES", "1");
    enqueue.on(image.db.url.expose()).run().await.json(0);
    let service = SERVICE.to_string();
    let give = async |user: &str| tools::run("chown", &["-R", &format!("{user}:{user}"), remote], folder).await;
    give(&service).await;
    let work = image.task(folder, &["codeteam", "work", "--until-idle", "--sandbox-min", "uid"]).env("CODETEAM_SCRIPT", &script);
    let worked = tools::attempt(work).await;
    give("0").await;
    let said = worked.stderr_text();
    assert_eq!(worked.exit, Exit::Code(0), "{said}");
    let ended = image.db.value("select outcome || ' ' || (links ->> 'branch') from jobs where input ->> 'title' = 'Greet'").await;
    let branch = ended.strip_prefix("succeeded ").unwrap_or_else(|| panic!("{ended}\n{said}"));
    let show = async |path: &str| repository.git(&["show", &format!("{branch}:{path}")]).await;
    let who: u32 = show("who").await.trim().parse().unwrap();
    assert!((63_488..=63_743).contains(&who), "a command ran as {who}");
    assert_eq!(show("greeting").await, "two\n");
    assert_ne!(show("refused").await, "", "the folder for temporary files is closed");
}

#[tokio::test]
async fn the_slim_image_runs_the_demonstration_without_root_and_weighs_at_most_100_megabytes() {
    let Some(image) = Image::make().await else { return };
    holds_what_it_should_and_nothing_else(&image);
    is_sound(&image).await;
    runs_the_demonstration(&image).await;
    works_without_root(&image).await;
    does_a_job_as_a_task(&image).await;
}
