//! How an App comes about in a browser: a form with this manifest goes to GitHub, a code comes back, and the code is good for
//! the App's credentials, once (<https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>).

use domain::{Clock, Secret, SystemClock};
use serde::Deserialize;
use serde_json::{Value, json};

use super::about::{NEEDED_EVENTS, NEEDED_PERMISSIONS};
use super::http::Http;
use super::{AppCredentials, Call, HttpOptions, Site, denied, encoded};
use crate::ForgeError;

/// An App to register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// What it is called: at most 34 characters, and nobody else's.
    pub name: String,
    /// Where people read what it is.
    pub url: String,
    /// Where its webhooks go; `None` = none yet.
    pub webhook_url: Option<String>,
    /// Where the browser brings the code.
    pub redirect_url: String,
    /// Whose it is to be: an organisation, or `None` for the person in the browser.
    pub organization: Option<String>,
}

impl Manifest {
    /// What the form's field `manifest` holds.
    pub fn to_json(&self) -> Value {
        let permissions: Value = NEEDED_PERMISSIONS.iter().map(|(subject, level)| ((*subject).to_owned(), json!(level))).collect();
        let mut manifest = json!({
            "name": self.name,
            "url": self.url,
            "redirect_url": self.redirect_url,
            "description": "Turns issues into pull requests.",
            "public": false,
            "default_permissions": permissions,
        });
        if let Some(url) = &self.webhook_url {
            manifest["hook_attributes"] = json!({ "url": url, "active": true });
            manifest["default_events"] = json!(NEEDED_EVENTS);
        }
        manifest
    }

    /// Where the form is posted to. `state` comes back with the code.
    pub fn action(&self, site: &Site, state: &str) -> String {
        let (web, state) = (site.web(), encoded(state));
        match &self.organization {
            Some(organization) => format!("{web}/organizations/{}/settings/apps/new?state={state}", encoded(organization)),
            None => format!("{web}/settings/apps/new?state={state}"),
        }
    }
}

#[derive(Deserialize)]
struct Registered {
    id: u64,
    #[serde(default)]
    slug: Option<String>,
    pem: Secret,
    #[serde(default)]
    webhook_secret: Option<Secret>,
}

/// The credentials of the App that `code` stands for. It works once, and for an hour.
///
/// # Errors
/// [`ForgeError::NotFound`] where GitHub does not know the code, or not any more.
pub async fn exchange(site: &Site, options: &HttpOptions, code: &str) -> Result<AppCredentials, ForgeError> {
    let http = Http::new(site.api(), options)?;
    let call = Call::post(format!("/app-manifests/{}/conversions", encoded(code)), None).shown_as("/app-manifests/…/conversions");
    let registered: Registered = http.send(&call, None, SystemClock.now()).await.map_err(denied)?.json()?;
    let credentials = AppCredentials::new(site.clone(), registered.id, registered.pem);
    let credentials = credentials.map_err(|error| ForgeError::Invalid(format!("GitHub's new App: {error}")))?;
    Ok(AppCredentials { slug: registered.slug, webhook_secret: registered.webhook_secret, ..credentials })
}
