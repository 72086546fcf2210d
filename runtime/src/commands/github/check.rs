//! `codeteam github check`: what the App may do and hear, and where.

use config::Settings;
use github::app::App;
use serde::Serialize;

use crate::exit::{Failure, Outcome};
use crate::screen;

/// The App as GitHub has it, and what is missing.
#[derive(Serialize)]
pub(super) struct Report {
    app_id: u64,
    name: String,
    url: String,
    /// What the App lacks or has too much of, a sentence each.
    problems: Vec<String>,
    installations: Vec<Place>,
}

impl Report {
    /// What the App itself lacks or has too much of.
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }
}

/// An installation.
#[derive(Serialize)]
struct Place {
    account: String,
    repositories: String,
    problems: Vec<String>,
}

pub(super) async fn run(json: bool, settings: Settings) -> Outcome {
    let app = super::app(settings)?;
    let report = report(&app).await?;
    screen::data(json, &report, || text(&report))?;
    let problems = report.problems.len() + report.installations.iter().map(|place| place.problems.len()).sum::<usize>();
    match (problems, report.installations.is_empty()) {
        (0, false) => Ok(()),
        (0, true) => Err(environment("the App is installed nowhere yet, so it hears nothing: open the address above and install it")),
        (1, _) => Err(environment("1 problem, see above")),
        _ => Err(environment(&format!("{problems} problems, see above"))),
    }
}

fn environment(what: &str) -> Failure {
    Failure::Environment(anyhow::anyhow!("{what}"))
}

/// Asks GitHub.
pub(super) async fn report(app: &App) -> Result<Report, Failure> {
    let failed = |error: github::ForgeError| Failure::Environment(error.into());
    let about = app.about().await.map_err(failed)?;
    let installations = app.installations().await.map_err(failed)?;
    let places = installations.iter().map(|installation| {
        let account = installation.account.as_ref().and_then(|owner| owner.login.clone());
        let suspended = installation.suspended_at.is_some().then(|| "it is suspended: its owner has to lift that".to_owned());
        Place {
            account: account.unwrap_or_else(|| format!("installation {}", installation.id)),
            repositories: installation.repository_selection.clone(),
            problems: installation.missing().into_iter().chain(suspended).collect(),
        }
    });
    Ok(Report {
        app_id: about.id,
        problems: about.missing().into_iter().chain(about.needless()).collect(),
        installations: places.collect(),
        name: about.name,
        url: about.html_url,
    })
}

fn text(report: &Report) -> String {
    let mut lines = vec![format!("App {} ({}), {}", report.app_id, report.name, report.url)];
    lines.extend(report.problems.iter().map(|problem| format!("PROBLEM  {problem}")));
    for place in &report.installations {
        let state = if place.problems.is_empty() { "ok     " } else { "PROBLEM" };
        lines.push(format!("{state}  {}, {} repositories", place.account, place.repositories));
        lines.extend(place.problems.iter().map(|problem| format!("         {problem}")));
    }
    lines.join("\n")
}
