//! The settings, read once from the environment.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::{Caps, MicroUsd, Mode, Secret};
use git::RepositoryLimits;
use github::app::Site;
use process::sandbox::{Level, Machine, toolchains};
use redact::Redactor;
use store::Route;
use store::retention::Keep;

use crate::Environment;
use crate::deployment::{DatabaseAuth, Deployment};
use crate::logging::Format;
use crate::networks::Networks;

/// Every setting there is. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `DATABASE_URL`: `postgres://user:password@host/database`, or `?host=/directory` for a socket.
    pub database_url: Option<Secret>,
    /// `DATABASE_CONNECTIONS`: the most sessions of this process; 8 unless set.
    pub database_connections: u32,
    /// `DATABASE_POOLER`: `transaction` where `DATABASE_URL` leads to a pooler in that mode.
    pub database_route: Route,
    /// `DATABASE_LISTEN_URL`: a way around that pooler, to hear notifications; `DATABASE_URL` unless set.
    pub database_listen_url: Option<Secret>,
    /// `DATABASE_APP_URL`: the database as the role that `codeteam migrate` makes for `serve` and `work`.
    pub database_app_url: Option<Secret>,
    /// `GITHUB_APP_FILE`: the App's credentials, which only their owner may read; `github-app.json` in the state directory unless
    /// set.
    pub github_app_file: Option<PathBuf>,
    /// `GITHUB_APP_ID` and `GITHUB_APP_PRIVATE_KEY`: the same in the place of a file.
    pub github_app: Option<(u64, Secret)>,
    /// `GITHUB_URL`, and where its API is not in the usual place `GITHUB_API_URL`: the GitHub that this is an App of; github.com unless
    /// set. A file says it itself.
    pub github_site: Site,
    /// `GITHUB_LABEL_MECHANIC` and `GITHUB_LABEL_GENIUS`: the labels, and the commands, that start jobs; the modes' own names unless set.
    pub labels: (Option<String>, Option<String>),
    /// `GITHUB_WEBHOOK_SECRET` and, during a rotation, `GITHUB_WEBHOOK_SECRET_PREVIOUS`.
    pub webhook_secrets: Vec<Secret>,
    /// `ANTHROPIC_API_KEY`.
    pub anthropic_api_key: Option<Secret>,
    /// `ANTHROPIC_BASE_URL`, where it is not the vendor's own. A URL can hold a password; so can a proxy's.
    pub anthropic_base_url: Option<Secret>,
    /// `OPENAI_API_KEY`.
    pub openai_api_key: Option<Secret>,
    /// `OPENAI_BASE_URL`, where it is not the vendor's own: with the version, as OpenAI's libraries take it.
    pub openai_base_url: Option<Secret>,
    /// `CODETEAM_MODELS`: a file of further models, and of servers of one's own.
    pub models_file: Option<PathBuf>,
    /// `GOOGLE_API_KEY`.
    pub google_api_key: Option<Secret>,
    /// `GOOGLE_BASE_URL`, where it is not the vendor's own.
    pub google_base_url: Option<Secret>,
    /// `AWS_REGION`, or else `AWS_DEFAULT_REGION`: the region of Bedrock's models and of everything else at AWS.
    pub aws_region: Option<String>,
    /// `CODETEAM_SCRIPT`: a file of replies for the `scripted` model.
    pub script: Option<PathBuf>,
    /// `MODE`: which jobs this worker takes; both unless set.
    pub mode: Option<Mode>,
    /// `MODEL`: the model of jobs that name none.
    pub model: Option<String>,
    /// `STEP_CAP`: lowers the mode's own cap; so do the next two.
    pub step_cap: Option<u32>,
    /// `TOKEN_CAP`.
    pub token_cap: Option<u64>,
    /// `TIME_LIMIT_MS`.
    pub time_limit_ms: Option<u64>,
    /// `COST_CAP_MICROUSD`: the same for money, in millionths of a dollar.
    pub cost_cap: Option<MicroUsd>,
    /// `CODETEAM_STATE_DIR`: job checkouts, the local forge, the database of `codeteam up`.
    pub state_dir: PathBuf,
    /// `CODETEAM_CACHE_DIR`: what can be fetched again: the PostgreSQL package. An unprivileged user must be
    /// able to traverse it.
    pub cache_dir: PathBuf,
    /// `CODETEAM_POSTGRES_BIN`: the directory of `initdb` and `postgres` to use for a private server.
    pub postgres_bin: Option<PathBuf>,
    /// `CODETEAM_INVOKE_ACCESS_KEY` and `CODETEAM_INVOKE_SECRET_KEY`: who may use the Invoke API.
    pub invoke_key: Option<(String, Secret)>,
    /// `HTTPS_PROXY`: how model providers are reached.
    pub proxy: Option<Secret>,
    /// `CODETEAM_LOCAL_REMOTES=1`: jobs may name repositories on this machine, and URLs with a password. Set
    /// by the commands that serve one person on their own machine.
    pub local_remotes: bool,
    /// `RETENTION_EVENTS_MONTHS`, `RETENTION_STEPS_MONTHS`, `RETENTION_LEDGER_MONTHS`: how many months the always-on
    /// service keeps beside the current one; all unless set.
    pub retention: Keep,
    /// `MIRROR_MAX_BYTES`, `CHECKOUT_MAX_FILES`, `FILE_MAX_BYTES`, `CHECKPOINT_MAX_BYTES`: how large a repository may be.
    pub repository_limits: RepositoryLimits,
    /// `METRICS=emf`: `serve` and `work` print figures for CloudWatch on standard output.
    pub metrics_emf: bool,
    /// `LOG_FORMAT`: `json`, `text`, or, as when it is not set, what suits the command and its standard error.
    pub log_format: Option<Format>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the collector that traces are sent to. A URL can hold a password.
    pub otlp_endpoint: Option<Secret>,
    /// `CODETEAM_FORWARDED_FOR=1`: a balancer stands before the server and writes down who asks.
    pub forwarded_for: bool,
    /// `CODETEAM_SANDBOX`: the walls around tools are at most these; the best of the machine unless set.
    pub sandbox: Level,
    /// `CODETEAM_TOOLCHAINS`: folders beside those of `PATH` that tools may read and run, separated by colons.
    pub toolchains: Vec<PathBuf>,
    /// `CODETEAM_NETWORK` and `CODETEAM_FETCH_HOSTS`: the networks that repositories may ask for.
    pub networks: Networks,
    /// Where this process is deployed, and what stands around it there.
    pub deployment: Deployment,
    /// `PATH`: where tools are looked for.
    pub path: String,
    /// Every secret among the settings, with its variable: what the redactor looks for.
    pub secrets: Vec<(String, Secret)>,
    /// The variables that were set and are not looked at, since the deployment's secrets are in Secrets Manager.
    pub ignored: Vec<&'static str>,
    /// The whole environment, for those who need a person's proxy, certificates and agents: `pip` and git's
    /// transports.
    pub environment: Environment,
}

/// A setting that cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{name} is {value:?}: {expected}")]
pub struct SettingsError {
    /// The variable.
    pub name: &'static str,
    /// What it holds (never one of the secrets).
    pub value: String,
    /// What it should hold.
    pub expected: String,
}

impl Settings {
    /// Reads settings through `lookup`; an empty value counts as unset. A process of root keeps its files
    /// where a service would, since the home of root can be closed to the users it starts tools as.
    ///
    /// # Errors
    /// The first variable that cannot be understood.
    pub fn read(lookup: impl Fn(&str) -> Option<String>, root: bool) -> Result<Self, SettingsError> {
        let text = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let secrets = RefCell::new(Vec::new());
        let secret = |name: &str| {
            let secret = text(name).map(Secret::new);
            secrets.borrow_mut().extend(secret.iter().map(|secret| (name.to_owned(), secret.clone())));
            secret
        };
        let (state_dir, cache_dir) = folders(text, root);
        let caps = "a whole number greater than 0 (it can only lower the mode's cap)";
        let months = "a whole number of months greater than 0";
        let whole = "a whole number greater than 0";
        let usual = RepositoryLimits::default();
        let settings = Self {
            database_url: secret("DATABASE_URL"),
            database_connections: positive(text, "DATABASE_CONNECTIONS", "a whole number greater than 0")?.unwrap_or(8),
            database_route: choice(text, "DATABASE_POOLER", &[("none", Route::Session), ("transaction", Route::Transaction)])?
                .unwrap_or_default(),
            database_listen_url: secret("DATABASE_LISTEN_URL"),
            database_app_url: secret("DATABASE_APP_URL"),
            github_app_file: text("GITHUB_APP_FILE").map(PathBuf::from),
            github_app: github_app(text("GITHUB_APP_ID"), secret("GITHUB_APP_PRIVATE_KEY"))?,
            github_site: github_site(text("GITHUB_URL"), text("GITHUB_API_URL"))?,
            labels: (text("GITHUB_LABEL_MECHANIC"), text("GITHUB_LABEL_GENIUS")),
            webhook_secrets: ["GITHUB_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET_PREVIOUS"].into_iter().filter_map(secret).collect(),
            anthropic_api_key: secret("ANTHROPIC_API_KEY"),
            anthropic_base_url: secret("ANTHROPIC_BASE_URL"),
            openai_api_key: secret("OPENAI_API_KEY"),
            openai_base_url: secret("OPENAI_BASE_URL"),
            models_file: text("CODETEAM_MODELS").map(PathBuf::from),
            google_api_key: secret("GOOGLE_API_KEY"),
            google_base_url: secret("GOOGLE_BASE_URL"),
            aws_region: text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION")),
            script: text("CODETEAM_SCRIPT").map(PathBuf::from),
            mode: parsed(text, "MODE", "mechanic or genius")?,
            model: text("MODEL"),
            step_cap: positive(text, "STEP_CAP", caps)?,
            token_cap: positive(text, "TOKEN_CAP", caps)?,
            time_limit_ms: positive(text, "TIME_LIMIT_MS", caps)?,
            cost_cap: positive::<i64>(text, "COST_CAP_MICROUSD", caps)?.map(MicroUsd),
            state_dir,
            cache_dir,
            postgres_bin: text("CODETEAM_POSTGRES_BIN").map(PathBuf::from),
            invoke_key: text("CODETEAM_INVOKE_ACCESS_KEY").zip(secret("CODETEAM_INVOKE_SECRET_KEY")),
            proxy: secret("HTTPS_PROXY"),
            local_remotes: parsed::<u8>(text, "CODETEAM_LOCAL_REMOTES", "1 or 0")? == Some(1),
            retention: Keep {
                events: positive(text, "RETENTION_EVENTS_MONTHS", months)?,
                steps: positive(text, "RETENTION_STEPS_MONTHS", months)?,
                ledger: positive(text, "RETENTION_LEDGER_MONTHS", months)?,
            },
            repository_limits: RepositoryLimits {
                mirror_bytes: positive(text, "MIRROR_MAX_BYTES", whole)?.unwrap_or(usual.mirror_bytes),
                files: positive(text, "CHECKOUT_MAX_FILES", whole)?.unwrap_or(usual.files),
                file_bytes: positive(text, "FILE_MAX_BYTES", whole)?.unwrap_or(usual.file_bytes),
                pack_bytes: positive(text, "CHECKPOINT_MAX_BYTES", whole)?.unwrap_or(usual.pack_bytes),
            },
            metrics_emf: choice(text, "METRICS", &[("emf", true)])?.unwrap_or(false),
            log_format: choice(text, "LOG_FORMAT", &[("json", Some(Format::Json)), ("text", Some(Format::Text)), ("auto", None)])?
                .flatten(),
            otlp_endpoint: secret("OTEL_EXPORTER_OTLP_ENDPOINT"),
            forwarded_for: parsed::<u8>(text, "CODETEAM_FORWARDED_FOR", "1 or 0")? == Some(1),
            sandbox: parsed(text, "CODETEAM_SANDBOX", "none, seccomp, landlock, uid or full")?.unwrap_or(Level::Full),
            toolchains: text("CODETEAM_TOOLCHAINS").map(|list| std::env::split_paths(&list).collect()).unwrap_or_default(),
            networks: Networks::read(text)?,
            deployment: Deployment::read(text, secret)?,
            path: text("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ignored: Vec::new(),
            environment: Environment::default(),
            secrets: Vec::new(),
        };
        if (settings.database_route, settings.deployment.database_auth) == (Route::Transaction, DatabaseAuth::Iam) {
            let expected =
                "expected password, since DATABASE_POOLER is transaction: a pooler keeps one password and cannot take new tokens";
            return Err(SettingsError { name: "DATABASE_AUTH", value: "iam".to_owned(), expected: expected.to_owned() });
        }
        Ok(Self { secrets: secrets.take(), ..settings })
    }

    /// The proxy as HTTP clients take it.
    pub fn proxy_url(&self) -> Option<String> {
        self.proxy.as_ref().map(|proxy| proxy.expose().to_owned())
    }

    /// Where the App's credentials are, or will be.
    pub fn github_app_file(&self) -> PathBuf {
        self.github_app_file.clone().unwrap_or_else(|| self.state_dir.join("github-app.json"))
    }

    /// The walls around tools: the best that this machine gives, and that are wanted.
    pub fn sandbox_level(&self) -> Level {
        Machine::this().level_up_to(self.sandbox)
    }

    /// What tools may read beside the system and their workspace.
    pub fn readable(&self) -> Vec<PathBuf> {
        toolchains(self.path.as_ref()).into_iter().chain(self.toolchains.iter().cloned()).collect()
    }

    /// Tells `redactor` every secret.
    pub(crate) fn register(&self, redactor: &Redactor) {
        for (name, secret) in &self.secrets {
            redactor.register(name, secret);
        }
        for (name, secret) in self.environment.secrets() {
            redactor.register(name, &secret);
        }
    }

    /// The caps of `mode` as this process allows them.
    pub fn caps(&self, mode: Mode) -> Caps {
        let caps = Caps::of(mode);
        caps.lowest(Caps {
            steps: self.step_cap.unwrap_or(caps.steps),
            tokens: self.token_cap.unwrap_or(caps.tokens),
            active_ms: self.time_limit_ms.unwrap_or(caps.active_ms),
            cost_microusd: self.cost_cap.unwrap_or(caps.cost_microusd),
        })
    }
}

/// Where state and cache lie.
pub(crate) fn folders(text: impl Fn(&str) -> Option<String>, root: bool) -> (PathBuf, PathBuf) {
    let home = text("HOME").map(PathBuf::from);
    let directory = |own: &str, xdg: &str, in_home: &str, service: &str| {
        let fallback = || match (&home, root) {
            (Some(home), false) => text(xdg).map_or_else(|| home.join(in_home), PathBuf::from).join("codeteam"),
            _ => Path::new(service).join("codeteam"),
        };
        text(own).map_or_else(fallback, PathBuf::from)
    };
    let state = directory("CODETEAM_STATE_DIR", "XDG_STATE_HOME", ".local/state", "/var/lib");
    (state, directory("CODETEAM_CACHE_DIR", "XDG_CACHE_HOME", ".cache", "/var/cache"))
}

/// The GitHub whose pages are at `web`. GitHub's own workflows set the address of an API alone, for their programs: it means nothing here.
fn github_site(web: Option<String>, api: Option<String>) -> Result<Site, SettingsError> {
    let Some(web) = web else { return Ok(Site::github()) };
    let wrong = |name, value: &str| {
        let expected = "expected the address of a GitHub, such as https://github.example.com";
        // What stands before an @ may be a password.
        SettingsError { name, value: value.rsplit('@').next().unwrap_or_default().to_owned(), expected: expected.to_owned() }
    };
    let usual = Site::at(&web).map_err(|_| wrong("GITHUB_URL", &web))?;
    match api {
        Some(api) => Site::with_api(&web, &api).map_err(|_| wrong("GITHUB_API_URL", &api)),
        None => Ok(usual),
    }
}

/// The App's number and key: both, or none.
fn github_app(id: Option<String>, key: Option<Secret>) -> Result<Option<(u64, Secret)>, SettingsError> {
    let wrong = |name, value: &str, expected: &str| SettingsError { name, value: value.to_owned(), expected: expected.to_owned() };
    match (id, key) {
        (None, None) => Ok(None),
        // What is no number may be the key, in the wrong place.
        (Some(id), Some(key)) => match id.parse() {
            Ok(id) => Ok(Some((id, key))),
            Err(_) => Err(wrong("GITHUB_APP_ID", "***", "expected the App's number")),
        },
        (Some(_), None) => Err(wrong("GITHUB_APP_PRIVATE_KEY", "", "expected the App's key, since GITHUB_APP_ID is set")),
        (None, Some(_)) => Err(wrong("GITHUB_APP_ID", "", "expected the App's number, since GITHUB_APP_PRIVATE_KEY is set")),
    }
}

pub(crate) fn parsed<T: FromStr>(
    text: impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &str,
) -> Result<Option<T>, SettingsError> {
    let parse = |value: String| value.parse().map_err(|_| SettingsError { name, value, expected: format!("expected {expected}") });
    text(name).map(parse).transpose()
}

/// One of the values that `choices` names.
pub(crate) fn choice<T: Copy>(
    text: impl Fn(&str) -> Option<String>,
    name: &'static str,
    choices: &[(&str, T)],
) -> Result<Option<T>, SettingsError> {
    let Some(value) = text(name) else { return Ok(None) };
    let chosen = choices.iter().find(|(known, _)| *known == value).map(|(_, choice)| *choice);
    let names: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
    let expected = || format!("expected {}", names.join(" or "));
    chosen.map(Some).ok_or_else(|| SettingsError { name, value, expected: expected() })
}

pub(crate) fn positive<T: FromStr + PartialOrd + From<u8>>(
    text: impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &str,
) -> Result<Option<T>, SettingsError> {
    match parsed::<T>(&text, name, expected)? {
        Some(value) if value < T::from(1) => {
            Err(SettingsError { name, value: text(name).unwrap_or_default(), expected: format!("expected {expected}") })
        }
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)], root: bool) -> Result<Settings, SettingsError> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::read(|name| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()), root)
    }

    #[test]
    fn nothing_set_is_a_complete_configuration() {
        let settings = read(&[("HOME", "/home/dev")], false).unwrap();
        assert_eq!(settings.state_dir, Path::new("/home/dev/.local/state/codeteam"));
        assert_eq!(settings.cache_dir, Path::new("/home/dev/.cache/codeteam"));
        assert_eq!((settings.database_connections, settings.mode), (8, None));
        assert_eq!(settings.caps(Mode::Genius), Caps::GENIUS);
    }

    #[test]
    fn root_keeps_its_files_outside_of_its_home() {
        let settings = read(&[("HOME", "/root")], true).unwrap();
        assert_eq!(settings.cache_dir, Path::new("/var/cache/codeteam"));
    }

    #[test]
    fn caps_can_be_lowered_and_never_raised() {
        let settings = read(&[("STEP_CAP", "5"), ("TOKEN_CAP", "9999999")], false).unwrap();
        assert_eq!(settings.caps(Mode::Mechanic), Caps { steps: 5, ..Caps::MECHANIC });
    }

    #[test]
    fn a_setting_that_cannot_be_understood_is_named_with_its_value() {
        let error = read(&[("MODE", "wizard")], false).unwrap_err();
        assert_eq!(error.to_string(), r#"MODE is "wizard": expected mechanic or genius"#);
        assert!(read(&[("STEP_CAP", "0")], false).unwrap_err().to_string().starts_with(r#"STEP_CAP is "0": expected a whole number"#));
        assert!(read(&[("TOKEN_CAP", "-1")], false).is_err());
        assert!(read(&[("RETENTION_EVENTS_MONTHS", "0")], false).is_err(), "this month is always kept");
        let error = read(&[("CODETEAM_SANDBOX", "most")], false).unwrap_err();
        assert_eq!(error.to_string(), r#"CODETEAM_SANDBOX is "most": expected none, seccomp, landlock, uid or full"#);
        assert_eq!(read(&[("METRICS", "statsd")], false).unwrap_err().to_string(), r#"METRICS is "statsd": expected emf"#);
        let error = read(&[("LOG_FORMAT", "xml")], false).unwrap_err();
        assert_eq!(error.to_string(), r#"LOG_FORMAT is "xml": expected json or text or auto"#);
    }

    #[test]
    fn the_app_is_one_of_github_com_unless_another_github_is_named() {
        let of = |pairs: &[(&str, &str)]| read(pairs, false).map(|settings| settings.github_site).map_err(|error| error.to_string());
        assert_eq!(of(&[("GITHUB_API_URL", "https://api.elsewhere.example")]), Ok(Site::github()), "a workflow of GitHub's sets it");
        let own = ("GITHUB_URL", "https://github.example.com");
        assert_eq!(of(&[own]), Ok(Site::at("https://github.example.com").unwrap()));
        let api = ("GITHUB_API_URL", "https://api.github.example.com");
        assert_eq!(of(&[own, api]).unwrap().api(), "https://api.github.example.com");
        let expected = "expected the address of a GitHub, such as https://github.example.com";
        let bad = ("GITHUB_URL", "https://me:hunter2@github.example.com");
        assert_eq!(of(&[bad]), Err(format!(r#"GITHUB_URL is "github.example.com": {expected}"#)));
        assert_eq!(of(&[own, ("GITHUB_API_URL", "http://x")]), Err(format!(r#"GITHUB_API_URL is "http://x": {expected}"#)));
    }

    #[test]
    fn a_pooler_is_named_by_its_mode() {
        assert_eq!(read(&[("HOME", "/home/dev")], false).unwrap().database_route, Route::Session);
        assert_eq!(read(&[("DATABASE_POOLER", "transaction")], false).unwrap().database_route, Route::Transaction);
        let error = read(&[("DATABASE_POOLER", "statement")], false).unwrap_err();
        assert_eq!(error.to_string(), r#"DATABASE_POOLER is "statement": expected none or transaction"#);
        let error = read(&[("DATABASE_POOLER", "transaction"), ("DATABASE_AUTH", "iam")], false).unwrap_err();
        assert!(error.to_string().starts_with(r#"DATABASE_AUTH is "iam": expected password, since DATABASE_POOLER"#), "{error}");
    }

    #[test]
    fn every_secret_is_known_to_the_redactor() {
        let known = [
            ("ANTHROPIC_API_KEY", "A7kX9vQ2mL7pRt"),
            ("GITHUB_WEBHOOK_SECRET", "W3jH5gF8dS2aQ6"),
            ("GITHUB_WEBHOOK_SECRET_PREVIOUS", "P9rTyU4iO7eW1q"),
            ("CODETEAM_INVOKE_SECRET_KEY", "I8uY4tR7eZ5xC3"),
        ];
        let environment = [("NPM_TOKEN", "kX9vQ2mL7pRt4wZs"), ("SECRETS_DIR", "/run/secrets-4711"), ("EDITOR", "vi-kX9vQ2mL7pRt")];
        let environment = Environment(environment.map(|(name, value)| (name.into(), value.into())).to_vec());
        let [database, proxy] = ["Zs8nBc-kX9v", "Qm7pRt-4wZs"].map(|password| format!("http://u:{password}@h/d"));
        let mut pairs = known.to_vec();
        pairs.extend([("CODETEAM_INVOKE_ACCESS_KEY", "AKID"), ("DATABASE_URL", &database), ("HTTPS_PROXY", &proxy)]);
        let settings = Settings { environment, ..read(&pairs, false).unwrap() };
        let redactor = Redactor::new();
        settings.register(&redactor);
        for (name, secret) in known {
            assert_eq!(redactor.text(secret), format!("[redacted: {name}]"));
        }
        let others = "Zs8nBc-kX9v Qm7pRt-4wZs kX9vQ2mL7pRt4wZs /run/secrets-4711 vi-kX9vQ2mL7pRt";
        let expected = "[redacted: DATABASE_URL] [redacted: HTTPS_PROXY] [redacted: NPM_TOKEN] /run/secrets-4711 vi-kX9vQ2mL7pRt";
        assert_eq!(redactor.text(others), expected);
    }

    #[test]
    fn no_secret_is_ever_printed() {
        let settings = read(
            &[
                ("DATABASE_URL", "postgres://u:hunter2@h/d"),
                ("DATABASE_LISTEN_URL", "postgres://u:hunter2@h/d"),
                ("DATABASE_APP_URL", "postgres://u:hunter2@h/d"),
                ("ANTHROPIC_API_KEY", "hunter2"),
                ("OPENAI_API_KEY", "hunter2"),
                ("OPENAI_BASE_URL", "http://u:hunter2@h"),
                ("GOOGLE_API_KEY", "hunter2"),
                ("GOOGLE_BASE_URL", "http://u:hunter2@h"),
                ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://u:hunter2@h"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@h"),
            ],
            false,
        )
        .unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
