//! The local page of `codeteam github setup`: a button that leads to GitHub, and the way back.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use github::app::{AppCredentials, HttpOptions, Manifest, Site, exchange};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

/// Where the browser comes back to.
pub(super) const RETURN: &str = "/registered";

/// How long the last answer may take to reach the browser.
const LAST_ANSWER: Duration = Duration::from_secs(3);

/// What is to be registered where.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    /// The App.
    pub manifest: Manifest,
    /// The GitHub.
    pub site: Site,
    /// Comes back with the code: who does not know it did not come from this page.
    pub state: String,
    /// How GitHub is reached.
    pub options: HttpOptions,
}

type Keep = Box<dyn Fn(&AppCredentials) -> anyhow::Result<()> + Send + Sync>;

struct Page {
    registration: Registration,
    /// `127.0.0.1:4711`: a browser that was led here under another name is not answered.
    host: String,
    /// Stores the credentials before the browser is told: GitHub gives them away only once.
    keep: Keep,
    done: mpsc::Sender<anyhow::Result<AppCredentials>>,
    /// Whether a code was taken: a page that is loaded again does not spend another one.
    taken: Mutex<bool>,
}

/// Serves the page until GitHub's code has become credentials, which `keep` stores.
///
/// # Errors
/// Those of GitHub and of `keep`.
pub(super) async fn serve(
    listener: TcpListener,
    registration: Registration,
    keep: impl Fn(&AppCredentials) -> anyhow::Result<()> + Send + Sync + 'static,
) -> anyhow::Result<AppCredentials> {
    let (done, mut registered) = mpsc::channel(1);
    let host = listener.local_addr()?.to_string();
    let page = Arc::new(Page { registration, host, keep: Box::new(keep), done, taken: Mutex::new(false) });
    let router = Router::new().route("/", get(button)).route(RETURN, get(returned)).with_state(page);
    let over = CancellationToken::new();
    let server = tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(over.clone().cancelled_owned()).into_future());
    let credentials = registered.recv().await.context("the local page ended")?;
    over.cancel();
    // A browser that keeps its connection has its answer by then.
    drop(tokio::time::timeout(LAST_ANSWER, server).await);
    credentials
}

async fn button(State(page): State<Arc<Page>>, request: Request) -> Response {
    if let Some(refused) = page.refusal(&request) {
        return refused;
    }
    let Registration { manifest, site, state, .. } = &page.registration;
    let action = escaped(&manifest.action(site, state));
    let (name, manifest) = (escaped(&manifest.name), escaped(&manifest.to_json().to_string()));
    let body = format!(
        "<p>GitHub will ask you to name the App and to confirm what it may do: write code, issues, pull requests and checks of the \
         repositories in which you install it, and nothing else.</p>\
         <form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"manifest\" value=\"{manifest}\">\
         <button>Register “{name}” on {}</button></form>",
        escaped(site.web())
    );
    html(StatusCode::OK, &body, site.web())
}

#[derive(Deserialize)]
struct Returned {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
}

async fn returned(State(page): State<Arc<Page>>, request: Request) -> Response {
    if let Some(refused) = page.refusal(&request) {
        return refused;
    }
    let site = &page.registration.site;
    let query = serde_urlencoded::from_str(request.uri().query().unwrap_or_default());
    let Returned { code, state } = query.unwrap_or(Returned { code: String::new(), state: String::new() });
    let known = bool::from(state.as_bytes().ct_eq(page.registration.state.as_bytes()));
    if !known || code.is_empty() {
        let body = "<p>This did not come from the page that registers the App. Go back to the first page and press the button.</p>";
        return html(StatusCode::BAD_REQUEST, body, site.web());
    }
    let mut taken = page.taken.lock().await;
    if *taken {
        return html(StatusCode::OK, "<p>That was done already. You can close this page.</p>", site.web());
    }
    *taken = true;
    let credentials = match exchange(site, &page.registration.options, &code).await {
        Ok(credentials) => (page.keep)(&credentials).map(|()| credentials),
        Err(error) => Err(anyhow::Error::new(error).context("GitHub gave no credentials for its code")),
    };
    let answer = match &credentials {
        Ok(AppCredentials { slug: Some(slug), .. }) => {
            let install = escaped(&format!("{}/apps/{slug}/installations/new", site.web()));
            let body = format!("<p>The App is registered. <a href=\"{install}\">Install it</a> where it should work.</p>");
            html(StatusCode::OK, &body, site.web())
        }
        Ok(_) => html(StatusCode::OK, "<p>The App is registered. You can close this page.</p>", site.web()),
        Err(error) => html(StatusCode::BAD_GATEWAY, &format!("<p>{}</p>", escaped(&format!("{error:#}"))), site.web()),
    };
    // Nobody waits any more only when the command is being ended.
    drop(page.done.send(credentials).await);
    answer
}

impl Page {
    /// The answer to a browser that came under another name.
    fn refusal(&self, request: &Request) -> Option<Response> {
        let hosts: Vec<_> = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().ok()).collect();
        let elsewhere = || (StatusCode::MISDIRECTED_REQUEST, format!("this page is at http://{}\n", self.host)).into_response();
        (hosts != [Some(self.host.as_str())]).then(elsewhere)
    }
}

/// A page that loads nothing and posts to GitHub alone.
fn html(status: StatusCode, body: &str, web: &str) -> Response {
    let policy = format!("default-src 'none'; style-src 'unsafe-inline'; form-action {web}; base-uri 'none'; frame-ancestors 'none'");
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::CONNECTION, "close".to_owned()),
    ];
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>AI Code Team</title>\
         <style>body{{font:1.1rem/1.5 system-ui;max-width:38rem;margin:4rem auto;padding:0 1rem}}\
         button{{font:inherit;padding:.6rem 1.2rem}}</style><h1>AI Code Team</h1>{body}</html>\n"
    );
    (status, headers, text).into_response()
}

/// `text` within HTML, be it between tags or in an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' | '<' | '>' | '"' | '\'' => write!(escaped, "&#{};", char as u32).expect("writing into a String does not fail"),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_becomes_a_tag_or_an_attribute() {
        assert_eq!(escaped(r#"<b a="c">&'"#), "&#60;b a=&#34;c&#34;&#62;&#38;&#39;");
    }
}
