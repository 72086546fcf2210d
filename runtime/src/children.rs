//! The workers of `codeteam up`: children of this process that work as `codeteam work` does, come when there is work and go when
//! there was none for a minute. They are scaled as tasks of ECS are: by the same decision, and protected in the same way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::Settings;
use domain::{Mode, Secret};
use process::sandbox::Level;
use process::workers::{Plan, Told};
use process::{Command, Workers};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::screen;

/// Workers of one mode that share the room; more processes for more jobs at the same time would only cost memory.
const WORKERS: u16 = 3;

/// What a child is not to take over from us: it is told better, or would say it a second time.
const OURS: &[&str] = &["CODETEAM_SECRETS", "CODETEAM_USER", "METRICS", "MODE", "WORKER_SLOTS"];

/// How the children are started.
pub struct Children {
    /// Jobs at the same time, of all of them.
    pub slots: u16,
    /// Below this level of walls around tools they refuse to work.
    pub sandbox_min: Option<Level>,
    /// How long each takes to come: see [`Plan::start_delay`].
    pub start_delay: Duration,
}

impl Children {
    /// Jobs at the same time of one child.
    pub fn slots_of_each(&self) -> u16 {
        self.slots.div_ceil(WORKERS)
    }

    /// None yet. `settings` are those that this process runs with, with the database in them.
    ///
    /// # Errors
    /// When no port is free, or this program does not know where it lies.
    pub async fn prepare(&self, settings: &Settings) -> anyhow::Result<(Arc<Workers>, Agent, UnboundedReceiver<Told>)> {
        let agent = Agent::bind().await?;
        let child =
            Child { program: this_program()?, environment: environment(settings), sandbox_min: self.sandbox_min, agent: agent.address() };
        let command = Box::new(move |mode, name: &str, slots| child.command(mode, name, slots));
        let plan = Plan { command, room: self.slots, slots: self.slots_of_each(), start_delay: self.start_delay };
        let (workers, told) = Workers::new(plan);
        Ok((Arc::new(workers), agent, told))
    }
}

struct Child {
    program: PathBuf,
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    sandbox_min: Option<Level>,
    agent: SocketAddr,
}

impl Child {
    fn command(&self, mode: Mode, name: &str, slots: u16) -> Command {
        let command = Command::new(&self.program).args(["work", "--mode", mode.into(), "--slots"]).arg(slots.to_string());
        let command = self.sandbox_min.iter().fold(command, |command, level| command.args(["--sandbox-min", level.name()]));
        command.envs(self.environment.iter().cloned()).envs(Agent::environment(self.agent, name))
    }
}

/// Our own program, also where its file was replaced since.
fn this_program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(if program.exists() { program } else { "/proc/self/exe".into() })
}

/// What we know, as the environment of a process: the only way on which a secret may reach a child.
fn environment(settings: &Settings) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let mut environment = settings.environment.0.clone();
    environment.retain(|(name, _)| !OURS.iter().any(|ours| name == ours));
    let secrets = settings.secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose()));
    let mut set = |name: &str, value: std::ffi::OsString| {
        environment.retain(|(known, _)| known != name);
        environment.push((name.into(), value));
    };
    secrets.for_each(|(name, secret)| set(name, secret.into()));
    set("DATABASE_URL", settings.database_url.as_ref().map(Secret::expose).unwrap_or_default().into());
    set("CODETEAM_STATE_DIR", settings.state_dir.clone().into());
    set("CODETEAM_CACHE_DIR", settings.cache_dir.clone().into());
    set("CODETEAM_LOCAL_REMOTES", "1".into());
    if settings.log_format.is_none() {
        set("LOG_FORMAT", "text".into());
    }
    if config::is_root() {
        // They work on files of ours: who keeps root has them keep it.
        set("CODETEAM_USER", "root".into());
    }
    environment
}

/// Says on the screen when workers wake and sleep, until nobody says anything any more.
pub async fn tell(mut told: UnboundedReceiver<Told>, shutdown: CancellationToken) {
    while let Some(told) = told.recv().await {
        match told {
            Told::Woke(mode) => screen::progress(&format!("a {mode} wakes up: there is work")),
            // At the end everybody goes.
            Told::Slept(_) if shutdown.is_cancelled() => {}
            Told::Slept(mode) => screen::progress(&format!("no {mode} is up any more: the next job wakes one")),
            Told::Fell(..) if shutdown.is_cancelled() => {}
            Told::Fell(mode, exit, pause) => {
                screen::progress(&format!("a {mode} ended by itself ({exit}, see above): the next one comes in {} s", pause.as_secs()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(environment: &[(std::ffi::OsString, std::ffi::OsString)], name: &str) -> Option<String> {
        let mut found = environment.iter().filter(|(known, _)| known == name);
        let value = found.next()?.1.to_str().map(str::to_owned);
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }

    #[test]
    fn a_child_is_told_what_we_know_by_its_environment_and_nothing_by_its_arguments() {
        let pairs = [("OPENAI_API_KEY", "A7kX9vQ2mL7pRt"), ("CODETEAM_STATE_DIR", "/s"), ("CODETEAM_CACHE_DIR", "/c")];
        let lookup = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut settings = Settings::read(lookup, false).unwrap();
        // A key from elsewhere replaces what the environment says; the place it came from is not asked again.
        settings.environment.0 = [("OPENAI_API_KEY", "old"), ("CODETEAM_SECRETS", "team/dev"), ("METRICS", "emf"), ("LANG", "C")]
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec();
        settings.database_url = Some(Secret::new("postgres://u:hunter2@h/d"));
        let environment = environment(&settings);
        let expected = [
            ("OPENAI_API_KEY", Some("A7kX9vQ2mL7pRt")),
            ("DATABASE_URL", Some("postgres://u:hunter2@h/d")),
            ("CODETEAM_STATE_DIR", Some("/s")),
            ("CODETEAM_LOCAL_REMOTES", Some("1")),
            ("LANG", Some("C")),
            ("CODETEAM_SECRETS", None),
            ("METRICS", None),
        ];
        for (name, expected) in expected {
            assert_eq!(value(&environment, name).as_deref(), expected, "{name}");
        }
        let child = Child { program: "/bin/codeteam".into(), environment, sandbox_min: None, agent: ([127, 0, 0, 1], 4711).into() };
        let shown = format!("{:?}", child.command(Mode::Genius, "genius-1", 2));
        let arguments = shown.split("env:").next().unwrap();
        assert!(!arguments.contains("hunter2") && arguments.contains(r#""work", "--mode", "genius", "--slots", "2""#), "{arguments}");
        assert!(shown.contains("http://127.0.0.1:4711/genius-1"), "{shown}");
    }

    #[test]
    fn few_children_share_the_slots() {
        let each = |slots| Children { slots, sandbox_min: None, start_delay: Duration::ZERO }.slots_of_each();
        assert_eq!([1, 2, 3, 4, 16, 1024].map(each), [1, 1, 1, 2, 6, 342]);
    }
}
