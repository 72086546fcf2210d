//! `codeteam github …`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use config::Stage;

/// The GitHub App.
#[derive(Subcommand, Debug)]
pub enum GitHub {
    /// Register the App in the browser: a local page leads to GitHub, and the App's key is stored when you come back, here or in the
    /// Secrets Manager of a deployment.
    Setup(Setup),
    /// Ask GitHub what the App may do and hear, and where it is installed; say what is missing.
    Check,
    /// Have GitHub send the webhooks again that it could not deliver.
    Redeliver(Redeliver),
}

/// `codeteam github setup`.
#[derive(Args, Debug)]
pub struct Setup {
    /// The App's name: at most 34 characters, and nobody else's on GitHub.
    #[arg(long, default_value = "AI Code Team", value_parser = parse_name)]
    pub name: String,
    /// Register it for this organization; for yourself unless given.
    #[arg(long, value_name = "LOGIN")]
    pub organization: Option<String>,
    /// Where GitHub reaches `codeteam serve` from outside, such as https://codeteam.example.com: webhooks go to
    /// /webhooks/github there. Without it the App gets no webhooks until you set their address on GitHub.
    #[arg(long, value_name = "URL", value_parser = parse_public_url)]
    pub url: Option<String>,
    /// The GitHub Enterprise Server that it is for, such as https://github.example.com.
    #[arg(long, value_name = "URL", default_value = "https://github.com")]
    pub github: String,
    /// Where the local page is served; loopback only.
    #[arg(long, default_value = "127.0.0.1:0", value_parser = super::parse_loopback)]
    pub listen: SocketAddr,
    /// Replace the App that is registered here, or in the deployment, already.
    #[arg(long)]
    pub replace: bool,
    /// Store the App in Secrets Manager for this deployment, dev or prod, and not in a file here. Deploy it first; run this where you
    /// deploy from, with the same AWS credentials.
    #[arg(long = "env", value_name = "ENVIRONMENT", value_parser = parse_stage)]
    pub environment: Option<Stage>,
    /// Register nothing: bring the App of this file, as an earlier setup wrote it, into the deployment.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "organization", "url", "github", "listen"])]
    pub from: Option<PathBuf>,
}

/// `codeteam github redeliver`.
#[derive(Args, Debug)]
pub struct Redeliver {
    /// How far to look back, such as 90m, 12h or 3d; GitHub keeps deliveries for three days.
    #[arg(long, default_value = "3d", value_parser = parse_span)]
    pub since: Duration,
    /// Only list them.
    #[arg(long)]
    pub dry_run: bool,
}

fn parse_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    match name.chars().count() {
        1..=34 => Ok(name.to_owned()),
        count => Err(format!("{count} characters: GitHub takes 1 to 34")),
    }
}

fn parse_stage(text: &str) -> Result<Stage, String> {
    [Stage::Dev, Stage::Prod].into_iter().find(|stage| stage.name() == text).ok_or_else(|| "expected dev or prod".to_owned())
}

fn parse_public_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").ok_or("expected a URL that begins with https://")?;
    if rest.is_empty() || rest.contains(['@', '?', '#', ' ']) {
        return Err("expected a plain address such as https://codeteam.example.com".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A number and `m`, `h` or `d`.
fn parse_span(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 90m, 12h or 3d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let number: u64 = number.parse().map_err(|_| expected())?;
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return Err(expected()),
    };
    match number.checked_mul(minutes * 60).filter(|seconds| (60..=30 * 86_400).contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("expected one minute to thirty days".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(parse_span("90m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_span("3d"), Ok(Duration::from_secs(259_200)));
        for bad in ["", "3", "d", "-1h", "3w", "0m", "99999999999999999999d", "31d", "é"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn webhooks_go_to_a_plain_https_address() {
        assert_eq!(parse_public_url("https://codeteam.example.com/").as_deref(), Ok("https://codeteam.example.com"));
        let with_password = format!("https://u:{}@h", "p");
        for bad in ["http://codeteam.example.com", "https://", &with_password, "https://h?x=1"] {
            assert!(parse_public_url(bad).is_err(), "{bad}");
        }
    }
}
