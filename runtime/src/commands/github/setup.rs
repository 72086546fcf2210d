//! `codeteam github setup`: an App comes about in the browser, and its key is stored here.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use config::Settings;
use github::app::{AppCredentials, HttpOptions, Manifest, Site};
use rand::distr::{Alphanumeric, SampleString};
use redact::Redactor;
use serde_json::json;
use tokio::net::TcpListener;

use super::{check, page};
use crate::cli::Setup;
use crate::exit::{Failure, Outcome};
use crate::{screen, shutdown};

/// How long the browser is waited for: GitHub's code is good for an hour.
const PATIENCE: Duration = Duration::from_secs(3_600);

pub(super) async fn run(args: Setup, json: bool, settings: Settings) -> Outcome {
    let file = settings.github_app_file();
    if file.exists() && !args.replace {
        return Err(Failure::Usage(format!("{} holds an App already: --replace replaces it", file.display())));
    }
    // Where root sets the App up, services find folder and file as their own. Now, while nothing is given away yet.
    if file.parent().is_some_and(|folder| !folder.exists()) {
        config::prepare_service_folders()?;
    }
    let site = Site::at(&args.github).map_err(|error| Failure::Usage(format!("--github: {error}")))?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let here = format!("http://{}", listener.local_addr()?);
    let manifest = Manifest {
        name: args.name,
        url: args.url.clone().unwrap_or_else(|| site.web().to_owned()),
        webhook_url: args.url.as_ref().map(|url| format!("{url}/webhooks/github")),
        redirect_url: format!("{here}{}", page::RETURN),
        organization: args.organization,
    };
    let state = Alphanumeric.sample_string(&mut rand::rng(), 32);
    screen::progress(&format!("open this address in your browser, and press the button there:\n\n  {here}\n"));
    let options = HttpOptions { proxy: settings.proxy_url(), ..HttpOptions::default() };
    let registration = page::Registration { manifest, site, state, options };
    let stop = shutdown::on_signal()?;
    let (kept_in, is_kept) = (file.clone(), Arc::new(AtomicBool::new(false)));
    let keep = {
        let is_kept = Arc::clone(&is_kept);
        move |credentials: &AppCredentials| store(credentials, &kept_in).map(|()| is_kept.store(true, Ordering::SeqCst))
    };
    let credentials = tokio::select! {
        credentials = page::serve(listener, registration, keep) => credentials?,
        // The last page may still be on its way to the browser.
        () = stop.cancelled() => match is_kept.load(Ordering::SeqCst) {
            true => AppCredentials::load(&file).map_err(anyhow::Error::new)?,
            false => return Err(Failure::Environment(anyhow!("interrupted before GitHub answered: nothing is stored"))),
        },
        () = tokio::time::sleep(PATIENCE) => {
            return Err(Failure::Environment(anyhow!("nobody came back from GitHub within an hour: nothing is stored")));
        }
    };
    finish(&credentials, &file, args.url.as_deref(), json, settings).await
}

/// Keeps what GitHub gave away only once.
fn store(credentials: &AppCredentials, file: &Path) -> anyhow::Result<()> {
    for (name, secret) in credentials.secrets() {
        Redactor::of_process().register(name, secret);
    }
    credentials.save(file)?;
    config::give_to_service(file)
}

async fn finish(credentials: &AppCredentials, file: &Path, url: Option<&str>, json: bool, settings: Settings) -> Outcome {
    let report = check::report(&super::app(settings)?).await?;
    let install = credentials.slug.as_ref().map(|slug| format!("{}/apps/{slug}/installations/new", credentials.site.web()));
    let row = json!({ "app_id": credentials.app_id, "slug": credentials.slug, "file": file, "install": install, "app": report });
    screen::data(json, &row, || format!("App {} is registered; its key is in {} (0600)", credentials.app_id, file.display()))?;
    if let Some(install) = install {
        screen::progress(&format!("install it where it should work: {install}"));
    }
    screen::progress(match url {
        Some(_) => "then start `codeteam serve`; `codeteam github check` says whether everything is in place",
        None => "it gets no webhooks yet: set their address (https://…/webhooks/github) and a secret in the App's settings",
    });
    Ok(())
}
