//! What the attempts are made on.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use process::sandbox::{Level, Network, Profile, Slots};
use process::{Command, Limits, Sandbox, run};
use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{PATH, runs, until};

/// Who runs the sandbox where that is not root, unless we are somebody else already.
pub(super) const PERSON: u32 = 64_600;

/// These must be made alone: what they use up is shared by all that the user runs.
const ALONE: &[&str] = &["starts_very_many_processes"];

/// This one proves nothing about a root that is root already.
const BY_A_PERSON: &[&str] = &["becomes_root_by_a_program_that_is_set_to"];

/// An attempt that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) name: String,
    pub(super) escaped: bool,
    // For whoever reads why a test failed.
    #[expect(dead_code, reason = "shown by Debug")]
    said: String,
}

/// A private and an open folder, two processes, sockets and a terminal.
pub(super) struct Scene {
    folder: TempDir,
    level: Option<Level>,
    network: Network,
    environment: BTreeMap<&'static str, String>,
    _processes: Vec<JoinHandle<()>>,
    _sockets: Sockets,
}

struct Sockets {
    tcp: TcpListener,
    tcp6: TcpListener,
    /// At an address of this machine that others reach it by, where it has one.
    other: TcpListener,
    udp: UdpSocket,
    udp6: UdpSocket,
    _files: (UnixListener, UnixDatagram, UnixListener),
}

impl Scene {
    /// Sets the scene for attempts behind the walls of `level`, or without any.
    pub(super) async fn set(level: Option<Level>, network: Network) -> Self {
        let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o711)).tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let owner = Self::owner_at(level);
        let private = make(&path.join("private"), owner, 0o700);
        let open = make(&path.join("open"), owner, 0o755);
        let drop = make(&path.join("drop"), owner, 0o777);
        write(&private.join("secret"), owner, 0o600);
        write(&open.join("public"), owner, 0o644);
        write(&open.join("shared"), owner, 0o666);
        fs::write(path.join("attempts.py"), include_str!("attempts.py")).unwrap();
        let processes = vec![victim(&private, owner, "victim"), victim(&private, owner, "protected")];
        let mut environment = BTreeMap::new();
        for (name, key) in [("victim", "E_VICTIM"), ("protected", "E_PROTECTED")] {
            until("the process that is attacked is ready", || private.join(name).exists()).await;
            let told = fs::read_to_string(private.join(name)).unwrap();
            environment.insert(key, field(&told, "pid"));
            if name == "victim" {
                environment.insert("E_ADDRESS", field(&told, "address"));
                environment.insert("E_FD", field(&told, "file"));
                environment.insert("E_TERMINAL", field(&told, "terminal"));
            }
        }
        let sockets = Sockets::open(&path);
        let shown = |path: PathBuf| path.display().to_string();
        environment.extend([
            ("E_SECRET", shown(private.join("secret"))),
            ("E_PRIVATE", shown(private)),
            ("E_PUBLIC", shown(open.join("public"))),
            ("E_SHARED", shown(open.join("shared"))),
            ("E_OPEN", shown(open)),
            ("E_DROP", shown(drop)),
            ("E_TCP", sockets.tcp.local_addr().unwrap().port().to_string()),
            ("E_TCP6", sockets.tcp6.local_addr().unwrap().port().to_string()),
            ("E_OTHER", sockets.other.local_addr().unwrap().ip().to_string()),
            ("E_OTHER_PORT", sockets.other.local_addr().unwrap().port().to_string()),
            ("E_UDP6", sockets.udp6.local_addr().unwrap().port().to_string()),
            ("E_UDP", sockets.udp.local_addr().unwrap().port().to_string()),
            ("E_UNIX", shown(path.join("stream"))),
            ("E_UNIX_DATAGRAM", shown(path.join("datagram"))),
            ("E_ABSTRACT", abstract_name(&path)),
            ("E_UID", "0".to_owned()),
        ]);
        Self { folder, level, network, environment, _processes: processes, _sockets: sockets }
    }

    /// Who runs the sandbox: where its commands have no user of their own, somebody who is not root.
    fn owner_at(level: Option<Level>) -> u32 {
        match geteuid().is_root() {
            true if level.is_some_and(|level| !level.has_own_user()) => PERSON,
            _ => geteuid().as_raw(),
        }
    }

    /// Makes every attempt, a few at a time.
    pub(super) async fn attempt_all(&self) -> Vec<Made> {
        let (alone, together): (Vec<_>, Vec<_>) = names().await.into_iter().partition(|name| ALONE.contains(&name.as_str()));
        let mut made = Vec::new();
        let mut running = JoinSet::new();
        for name in together {
            if running.len() == 4 {
                made.extend(running.join_next().await.map(Result::unwrap));
            }
            running.spawn(self.attempt(name));
        }
        made.extend(running.join_all().await);
        for name in alone {
            made.push(self.attempt(name).await);
        }
        made
    }

    fn attempt(&self, name: String) -> impl Future<Output = Made> + Send + use<> {
        let path = self.folder.path().canonicalize().unwrap();
        let (level, owner) = (self.level, Self::owner_at(self.level));
        let workspace = make(&path.join(&name), owner, 0o755);
        let doomed = path.join("private").join(&name);
        write(&doomed, owner, 0o600);
        let slot = level.is_some_and(Level::has_own_user).then(|| Slots::default().take().unwrap());
        if let Some(slot) = &slot {
            slot.give(&workspace).unwrap();
        }
        let becomes_root = workspace.join("becomes-root");
        if BY_A_PERSON.contains(&name.as_str()) {
            fs::copy("/usr/bin/python3", &becomes_root).unwrap();
            fs::set_permissions(&becomes_root, fs::Permissions::from_mode(0o4755)).unwrap();
        }
        let attempts = path.join("attempts.py");
        let mut command = Command::new("/usr/bin/python3")
            .arg(&attempts)
            .arg(&name)
            .path(PATH)
            .cwd(&workspace)
            .envs(self.environment.iter())
            .env("E_DOOMED", &doomed)
            .timeout(Duration::from_secs(60));
        if level.is_none() && BY_A_PERSON.contains(&name.as_str()) || level.is_some() && owner != 0 && geteuid().is_root() {
            command = command.user(PERSON, PERSON);
        }
        if let Some(level) = level {
            let profile =
                Profile { memory_bytes: 150_000_000, disk_bytes: 50_000_000, ..Profile::new(vec![attempts], vec![workspace.clone()]) };
            let profile = profile.reaching(self.network.clone());
            command = command.sandbox(Sandbox::new(Arc::new(profile), level, slot)).limits(Limits {
                processes: Some(64),
                data_bytes: Some(200_000_000),
                file_size_bytes: Some(40_000_000),
                open_files: Some(256),
                oom_score_adj: Some(1000),
            });
        }
        async move {
            let output = run(command, &CancellationToken::new()).await.unwrap();
            let lives = fs::read_to_string(workspace.join("alive")).ok().and_then(|id| id.parse().ok()).filter(|id| runs(*id));
            if let Some(id) = lives {
                end(id);
            }
            let said = format!("{} {}{}", output.exit, output.stdout_text(), output.stderr_text());
            Made { name, escaped: lives.is_some() || output.stdout_text().contains("ESCAPED\n"), said }
        }
    }

    /// Whether the processes that were attacked live.
    pub(super) fn is_unharmed(&self) -> bool {
        ["E_VICTIM", "E_PROTECTED"].iter().all(|key| runs(self.environment[key].parse().unwrap()))
    }
}

/// The attempts that there are.
pub(super) async fn names() -> Vec<String> {
    let output =
        run(Command::new("/usr/bin/python3").arg("-").stdin(include_str!("attempts.py")), &CancellationToken::new()).await.unwrap();
    let door_for_32_bits = |name: &&str| *name != "uses_the_door_for_32_bit_programs" || cfg!(target_arch = "x86_64");
    output.stdout_text().lines().filter(door_for_32_bits).map(str::to_owned).collect()
}

impl Sockets {
    fn open(path: &Path) -> Self {
        let files = (UnixListener::bind(path.join("stream")).unwrap(), UnixDatagram::bind(path.join("datagram")).unwrap());
        for name in ["stream", "datagram"] {
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o777)).unwrap();
        }
        let address = SocketAddr::from_abstract_name(abstract_name(path)).unwrap();
        Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            tcp6: TcpListener::bind("[::1]:0").unwrap(),
            other: TcpListener::bind((other_address(), 0)).unwrap(),
            udp6: UdpSocket::bind("[::1]:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            _files: (files.0, files.1, UnixListener::bind_addr(&address).unwrap()),
        }
    }
}

/// The address that this machine has in a network, else another one of loopback.
fn other_address() -> IpAddr {
    // Nothing is sent: connecting a datagram socket only looks for the way.
    let looked = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()));
    looked.map_or(IpAddr::from([127, 0, 0, 2]), |address| address.ip())
}

fn abstract_name(path: &Path) -> String {
    format!("codeteam-{}", path.file_name().unwrap().display())
}

/// Starts the process that is attacked. It ends with the task, which ends with the test.
fn victim(private: &Path, owner: u32, name: &str) -> JoinHandle<()> {
    let command = Command::new("/usr/bin/python3")
        .args(["-c", include_str!("victim.py"), name])
        .path(PATH)
        .env("SECRET", "TOPSECRET")
        .cwd(private)
        .timeout(Duration::from_secs(600));
    let command = if geteuid().is_root() { command.user(owner, owner) } else { command };
    tokio::spawn(async move {
        run(command, &CancellationToken::new()).await.unwrap();
    })
}

fn end(id: u32) {
    let id = rustix::process::Pid::from_raw(id.cast_signed()).unwrap();
    rustix::process::kill_process(id, process::Signal::KILL).ok();
}

fn make(path: &Path, owner: u32, mode: u32) -> PathBuf {
    fs::create_dir(path).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_owned()
}

fn write(path: &Path, owner: u32, mode: u32) {
    fs::write(path, "TOPSECRET").unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A number or text of a flat JSON object.
fn field(json: &str, name: &str) -> String {
    let rest = json.split_once(&format!("\"{name}\": ")).unwrap().1;
    rest.split([',', '}']).next().unwrap().trim_matches('"').to_owned()
}
