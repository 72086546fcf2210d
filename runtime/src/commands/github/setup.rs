//! `codeteam github setup`: an App comes about in the browser, and its credentials are stored: here, or for a deployment.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use config::Settings;
use github::app::{AppCredentials, HttpOptions, Manifest, Site};
use rand::distr::{Alphanumeric, SampleString};
use redact::Redactor;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::deployed::{Deployed, load};
use super::{check, page};
use crate::cli::Setup;
use crate::exit::{Failure, Outcome};
use crate::{screen, shutdown};

/// How long the browser is waited for: GitHub's code is good for an hour.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Where the credentials are to go.
enum Place {
    /// Into a file, for services on this machine.
    Here(PathBuf),
    /// Into Secrets Manager.
    Deployed(Deployed),
}

pub(super) async fn run(args: Setup, json: bool, settings: Settings) -> Outcome {
    let place = match Deployed::named(&args, &settings)? {
        Some(deployed) => Place::Deployed(deployed),
        None => Place::Here(settings.github_app_file()),
    };
    place.check(&args).await?;
    let credentials = match &args.from {
        Some(file) => load(file)?,
        None => register(&args, &place, &settings).await?,
    };
    match place {
        Place::Here(file) => {
            let row = json!({ "file": file });
            let text = format!("App {} is registered; its key is in {} (0600)", credentials.app_id, file.display());
            tell(&credentials, row, &text, json, &settings).await?;
            screen::progress(match &args.url {
                Some(_) => "then start `codeteam serve`; `codeteam github check` says whether everything is in place",
                None => NO_WEBHOOKS,
            });
        }
        Place::Deployed(deployed) => {
            let lying = args.from.as_deref().unwrap_or(deployed.file());
            for (name, secret) in credentials.secrets() {
                Redactor::of_process().register(name, secret);
            }
            let (entries, kept) = deployed.keep(&credentials, lying).await;
            if kept.is_err() {
                let row = json!({ "app_id": credentials.app_id, "slug": credentials.slug, "entries": entries, "file": lying });
                screen::data(json, &row, || format!("App {} is registered and not yet in Secrets Manager", credentials.app_id))?;
                return kept;
            }
            let left = leave(args.from.as_deref(), deployed.file());
            let text = format!("App {} is in Secrets Manager", credentials.app_id);
            if args.from.is_none() && args.url.is_none() {
                screen::progress(NO_WEBHOOKS);
            }
            deployed.next(&credentials);
            tell(&credentials, json!({ "entries": entries, "file": left }), &text, json, &settings).await?;
        }
    }
    Ok(())
}

const NO_WEBHOOKS: &str = "it gets no webhooks yet: set their address (https://…/webhooks/github) and a secret in the App's settings";

impl Place {
    /// Everything that can be seen to be wrong while nothing is given away yet.
    async fn check(&self, args: &Setup) -> Result<(), Failure> {
        // Where root sets the App up, services find folder and file as their own.
        if args.from.is_none() && self.file().parent().is_some_and(|folder| !folder.exists()) {
            config::prepare_service_folders()?;
        }
        match self {
            Self::Here(_) if args.from.is_some() => {
                Err(Failure::Usage("--from brings an App into a deployment: name it with --env dev or --env prod".to_owned()))
            }
            Self::Here(file) if file.exists() && !args.replace => {
                Err(Failure::Usage(format!("{} holds an App already: --replace replaces it", file.display())))
            }
            Self::Here(_) => Ok(()),
            Self::Deployed(deployed) => deployed.check(args).await,
        }
    }

    /// The file that the credentials are written into as soon as they are here.
    fn file(&self) -> &Path {
        match self {
            Self::Here(file) => file,
            Self::Deployed(deployed) => deployed.file(),
        }
    }

    /// Whether services read that file.
    fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }
}

/// Has an App registered in the browser, and its credentials written into the file of `place`.
async fn register(args: &Setup, place: &Place, settings: &Settings) -> Result<AppCredentials, Failure> {
    let (file, for_services) = (place.file().to_owned(), place.is_here());
    let site = Site::at(&args.github).map_err(|error| Failure::Usage(format!("--github: {error}")))?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let here = format!("http://{}", listener.local_addr()?);
    let manifest = Manifest {
        name: args.name.clone(),
        url: args.url.clone().unwrap_or_else(|| site.web().to_owned()),
        webhook_url: args.url.as_ref().map(|url| format!("{url}/webhooks/github")),
        redirect_url: format!("{here}{}", page::RETURN),
        organization: args.organization.clone(),
    };
    let state = Alphanumeric.sample_string(&mut rand::rng(), 32);
    screen::progress(&format!("open this address in your browser, and press the button there:\n\n  {here}\n"));
    let options = HttpOptions { proxy: settings.proxy_url(), ..HttpOptions::default() };
    let registration = page::Registration { manifest, site, state, options };
    let stop = shutdown::on_signal()?;
    let (kept_in, is_kept) = (file.clone(), Arc::new(AtomicBool::new(false)));
    let keep = {
        let is_kept = Arc::clone(&is_kept);
        move |credentials: &AppCredentials| match store(credentials, &kept_in, for_services) {
            Ok(()) => {
                is_kept.store(true, Ordering::SeqCst);
                Ok(())
            }
            // Secrets Manager may take them all the same.
            Err(error) if !for_services => {
                screen::progress(&format!("{} cannot be written: {error:#}", kept_in.display()));
                Ok(())
            }
            Err(error) => Err(error),
        }
    };
    tokio::select! {
        credentials = page::serve(listener, registration, keep) => Ok(credentials?),
        // The last page may still be on its way to the browser.
        () = stop.cancelled() => match is_kept.load(Ordering::SeqCst) {
            true => load(&file),
            false => Err(Failure::Environment(anyhow!("interrupted before GitHub answered: nothing is stored"))),
        },
        () = tokio::time::sleep(PATIENCE) => {
            Err(Failure::Environment(anyhow!("nobody came back from GitHub within an hour: nothing is stored")))
        }
    }
}

/// Keeps what GitHub gave away only once.
fn store(credentials: &AppCredentials, file: &Path, for_services: bool) -> anyhow::Result<()> {
    for (name, secret) in credentials.secrets() {
        Redactor::of_process().register(name, secret);
    }
    credentials.save(file)?;
    if for_services { config::give_to_service(file) } else { Ok(()) }
}

/// Takes our file away, since Secrets Manager holds the App by now; what somebody else has written is theirs to remove. The file that
/// is left, if any.
fn leave<'a>(given: Option<&'a Path>, own: &'a Path) -> Option<&'a Path> {
    if let Some(given) = given.filter(|given| *given != own) {
        screen::progress(&format!("{} is of no more use here: remove it", given.display()));
        return Some(given);
    }
    match std::fs::remove_file(own) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            screen::progress(&format!("{} holds the App's key and cannot be removed: {error}", own.display()));
            Some(own)
        }
        _ => None,
    }
}

/// Asks GitHub what the App may do, and says that with `row` and what came of it.
async fn tell(credentials: &AppCredentials, mut row: Value, text: &str, json: bool, settings: &Settings) -> Outcome {
    let report = check::report(&settings.app_with(credentials)?).await;
    let install = credentials.slug.as_ref().map(|slug| format!("{}/apps/{slug}/installations/new", credentials.site.web()));
    row["app_id"] = json!(credentials.app_id);
    row["slug"] = json!(credentials.slug);
    row["install"] = json!(install);
    row["app"] = json!(report.as_ref().ok());
    screen::data(json, &row, || text.to_owned())?;
    if let Some(install) = install {
        screen::progress(&format!("install it where it should work: {install}"));
    }
    let report = report.map_err(|failure| {
        let what = "it is stored, and what it may do could not be checked (`codeteam github check` does)";
        Failure::Environment(anyhow!("App {}: {what}: {failure}", credentials.app_id))
    })?;
    report.problems().iter().for_each(|problem| screen::progress(&format!("PROBLEM  {problem}")));
    Ok(())
}
