//! As much of GitHub as a conversation needs, over HTTP: it keeps what it is sent, knows its tokens, pages its lists, and fails
//! where it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// The App that it knows.
pub const APP_ID: u64 = 4711;
/// The App's own account.
pub const BOT: &str = "code-team[bot]";

/// The server on a free port.
pub struct Server {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

/// What it keeps. Tests look at it and put things into it.
#[derive(Default)]
pub struct State {
    /// By issue and id.
    pub comments: BTreeMap<(u64, u64), Value>,
    /// Comments at lines, by pull request and id.
    pub at_lines: BTreeMap<(u64, u64), Value>,
    /// By pull request and id.
    pub reviews: BTreeMap<(u64, u64), Value>,
    /// By number.
    pub pulls: BTreeMap<u64, Value>,
    /// By id.
    pub checks: BTreeMap<u64, Value>,
    /// As (path, content).
    pub reactions: Vec<(String, String)>,
    /// Attempts to deliver a webhook, newest first.
    pub deliveries: Vec<Value>,
    /// What access tokens were asked for.
    pub minted: Vec<Value>,
    /// Every request, as `GET /path?query`.
    pub asked: Vec<String>,
    /// The number of the App's installation.
    pub installation: u64,
    /// Tokens that are not taken any more.
    pub revoked: Vec<String>,
    /// When tokens end.
    pub expires_at: String,
    /// The most items on a page.
    pub page: usize,
    /// What the next request that begins so is answered with, instead of being done.
    pub faults: Vec<(String, ResponseTemplate)>,
    last_id: u64,
}

impl State {
    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A comment of `login` on `number`; its id.
    pub fn comment(&mut self, number: u64, login: &str, body: &str) -> u64 {
        let id = self.id();
        let url = format!("https://github.com/acme/shop/issues/{number}#issuecomment-{id}");
        self.comments.insert((number, id), json!({ "id": id, "html_url": url, "body": body, "user": { "login": login } }));
        id
    }

    /// A comment of `login` at a line of `number`; its id.
    pub fn at_line(&mut self, number: u64, login: &str, body: &str, more: Value) -> u64 {
        let id = self.id();
        let url = format!("https://github.com/acme/shop/pull/{number}#discussion_r{id}");
        let mut comment = json!({
            "id": id, "html_url": url, "body": body, "path": "src/lib.rs", "line": 3, "original_line": 3, "side": "RIGHT",
            "user": { "login": login },
        });
        merge(&mut comment, &more);
        self.at_lines.insert((number, id), comment);
        id
    }

    /// A review of `login` of `number`; its id.
    pub fn review(&mut self, number: u64, login: &str, body: &str, commit: &str) -> u64 {
        let id = self.id();
        let url = format!("https://github.com/acme/shop/pull/{number}#pullrequestreview-{id}");
        let review =
            json!({ "id": id, "html_url": url, "body": body, "commit_id": commit, "state": "COMMENTED", "user": { "login": login } });
        self.reviews.insert((number, id), review);
        id
    }

    /// A pull request; its number.
    pub fn pull(&mut self, head: &str, base: &str, more: Value) -> u64 {
        let number = self.id();
        let repo = json!({ "full_name": "acme/shop" });
        let mut pull = json!({
            "number": number, "html_url": format!("https://github.com/acme/shop/pull/{number}"), "state": "open", "draft": false,
            "title": "", "body": null, "head": { "ref": head, "sha": "c0ffee", "repo": repo }, "base": { "ref": base, "repo": repo },
        });
        merge(&mut pull, &more);
        self.pulls.insert(number, pull);
        number
    }

    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let path = request.url.path().to_owned();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let query: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
        let asked = format!("{} {}{}", request.method, path, request.url.query().map(|query| format!("?{query}")).unwrap_or_default());
        self.asked.push(asked.clone());
        if let Some(fault) = self.faults.iter().position(|(begin, _)| asked.starts_with(begin)) {
            return self.faults.remove(fault).1;
        }
        let bearer = request.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = bearer.trim_start_matches("Bearer ");
        let wants_app = parts[0] == "app" || parts.last() == Some(&"installation");
        // A token that the App signed has three parts.
        let is_taken = if wants_app {
            token.split('.').count() == 3
        } else {
            token.starts_with("ghs_") && !self.revoked.iter().any(|gone| gone == token)
        };
        if parts[0] != "app-manifests" && !is_taken {
            return said(401, "Bad credentials");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let number = |part: &str| part.parse::<u64>().unwrap_or_default();
        let method = request.method.as_str();
        let host = request.headers.get("host").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let page = |items: Vec<Value>| paged(host, &path, &query, items, self.page);
        match (method, parts.as_slice()) {
            ("GET", ["app"]) => ok(json!({ "id": APP_ID, "slug": "code-team", "name": "Code Team", "permissions": {}, "events": [] })),
            ("GET", ["app", "installations"]) => page(vec![json!({ "id": self.installation, "account": { "login": "acme" } })]),
            ("GET", ["app", "hook", "deliveries"]) => page(self.deliveries.clone()),
            ("POST", ["app", "hook", "deliveries", _, "attempts"]) => ResponseTemplate::new(202).set_body_json(json!({})),
            ("POST", ["app-manifests", "good", "conversions"]) => ResponseTemplate::new(201).set_body_json(
                json!({ "id": APP_ID, "slug": "code-team", "pem": testkit::github::app_key(), "webhook_secret": "whsec_0123456789", "client_secret": "unused" }),
            ),
            ("POST", ["app", "installations", id, "access_tokens"]) if number(id) == self.installation => {
                self.minted.push(body);
                let token = format!("ghs_{:016}", self.minted.len());
                ResponseTemplate::new(201).set_body_json(json!({ "token": token, "expires_at": self.expires_at }))
            }
            ("GET", ["repos", "acme", "shop" | "Shop", "installation"]) => ok(json!({ "id": self.installation })),
            ("GET", ["users", "code-team%5Bbot%5D"]) => ok(json!({ "id": 99, "login": BOT, "type": "Bot" })),
            ("GET", ["users", "ada"]) => ok(json!({ "id": 7, "login": "Ada", "name": "Ada Lovelace" })),
            ("GET", ["repos", _, _, "collaborators", "ada", "permission"]) => ok(json!({ "permission": "write", "role_name": "maintain" })),
            ("GET", ["repos", _, _, "issues", on, "comments"]) => page(of(&self.comments, number(on))),
            ("POST", ["repos", _, _, "issues", on, "comments"]) => {
                let id = self.comment(number(on), BOT, &text("body"));
                created(self.comments[&(number(on), id)].clone())
            }
            ("PATCH" | "DELETE", ["repos", _, _, "issues", "comments", id]) => change(&mut self.comments, method, number(id), &body),
            ("POST", ["repos", _, _, .., "reactions"]) => {
                self.reactions.push((path.clone(), text("content")));
                created(json!({ "id": 1, "content": text("content") }))
            }
            ("GET", ["repos", _, _, "pulls"]) => {
                let head = query.get("head").and_then(|head| head.split_once(':')).map(|(_, branch)| branch.to_owned());
                let of_head = |pull: &&Value| head.as_deref().is_none_or(|head| pull["head"]["ref"] == head);
                page(self.pulls.values().filter(of_head).cloned().collect())
            }
            ("POST", ["repos", _, _, "pulls"]) => {
                if self.pulls.values().any(|pull| pull["head"]["ref"] == body["head"] && pull["state"] == "open") {
                    return said(422, "A pull request already exists for acme:x.");
                }
                let more = json!({ "title": body["title"], "body": body["body"], "draft": body["draft"] });
                let number = self.pull(&text("head"), &text("base"), more);
                created(self.pulls[&number].clone())
            }
            ("GET", ["repos", _, _, "pulls", on]) => self.pulls.get(&number(on)).map_or_else(missing, |pull| ok(pull.clone())),
            ("PATCH", ["repos", _, _, "pulls", on]) => match self.pulls.get_mut(&number(on)) {
                Some(pull) => {
                    merge(pull, &body);
                    ok(pull.clone())
                }
                None => missing(),
            },
            ("GET", ["repos", _, _, "pulls", on, "comments"]) => page(of(&self.at_lines, number(on))),
            ("POST", ["repos", _, _, "pulls", on, "comments", to, "replies"]) => {
                match self.at_lines.get(&(number(on), number(to))).is_some_and(|to| to["in_reply_to_id"].is_null()) {
                    true => {
                        let id = self.at_line(number(on), BOT, &text("body"), json!({ "in_reply_to_id": number(to) }));
                        created(self.at_lines[&(number(on), id)].clone())
                    }
                    false => missing(),
                }
            }
            ("PATCH" | "DELETE", ["repos", _, _, "pulls", "comments", id]) => change(&mut self.at_lines, method, number(id), &body),
            ("GET", ["repos", _, _, "pulls", on, "reviews"]) => page(of(&self.reviews, number(on))),
            ("GET", ["repos", _, _, "pulls", on, "reviews", id]) => {
                self.reviews.get(&(number(on), number(id))).map_or_else(missing, |review| ok(review.clone()))
            }
            ("POST", ["repos", _, _, "pulls", on, "reviews"]) => {
                let id = self.review(number(on), BOT, &text("body"), &text("commit_id"));
                for comment in body["comments"].as_array().cloned().unwrap_or_default() {
                    let words = comment["body"].as_str().unwrap_or_default().to_owned();
                    let mut more = comment;
                    more["pull_request_review_id"] = json!(id);
                    self.at_line(number(on), BOT, &words, more);
                }
                ok(self.reviews[&(number(on), id)].clone())
            }
            ("PUT", ["repos", _, _, "pulls", _, "reviews", id]) => change(&mut self.reviews, method, number(id), &body),
            ("GET", ["repos", _, _, "commits", sha, "check-runs"]) => {
                let runs: Vec<Value> = self.checks.values().filter(|run| run["head_sha"] == **sha).cloned().collect();
                ok(json!({ "total_count": runs.len(), "check_runs": runs }))
            }
            ("POST", ["repos", _, _, "check-runs"]) => {
                let id = self.id();
                let mut run = body;
                run["id"] = json!(id);
                run["app"] = json!({ "id": APP_ID });
                self.checks.insert(id, run.clone());
                created(run)
            }
            ("PATCH", ["repos", _, _, "check-runs", id]) => match self.checks.get_mut(&number(id)) {
                Some(run) => {
                    merge(run, &body);
                    ok(run.clone())
                }
                None => missing(),
            },
            _ => missing(),
        }
    }
}

impl Server {
    pub async fn start() -> Self {
        let server = MockServer::start().await;
        let state = State { installation: 77, page: 100, expires_at: "2100-01-01T00:00:00Z".to_owned(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        Mock::given(any()).respond_with(move |request: &Request| shared.lock().unwrap().answer(request)).mount(&server).await;
        Self { server, state }
    }

    pub fn url(&self) -> String {
        self.server.uri()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Every request as it came.
    pub async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap_or_default()
    }
}

/// An error as GitHub words it.
pub fn said(status: u16, message: &str) -> ResponseTemplate {
    let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest" });
    ResponseTemplate::new(status).set_body_json(body).insert_header("x-github-request-id", "AB12:34")
}

fn missing() -> ResponseTemplate {
    said(404, "Not Found")
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn created(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(body)
}

fn of(all: &BTreeMap<(u64, u64), Value>, number: u64) -> Vec<Value> {
    all.iter().filter(|((on, _), _)| *on == number).map(|(_, item)| item.clone()).collect()
}

fn change(all: &mut BTreeMap<(u64, u64), Value>, method: &str, id: u64, body: &Value) -> ResponseTemplate {
    let Some(key) = all.keys().find(|(_, there)| *there == id).copied() else { return missing() };
    if method == "DELETE" {
        all.remove(&key);
        return ResponseTemplate::new(204);
    }
    let item = all.get_mut(&key).expect("it was found");
    merge(item, body);
    ok(item.clone())
}

/// Lays the fields of `more` over those of `item`.
fn merge(item: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        item[name] = value.clone();
    }
}

/// One page of `items`, and where the next is.
fn paged(host: &str, path: &str, query: &BTreeMap<String, String>, items: Vec<Value>, most: usize) -> ResponseTemplate {
    let asked = |name: &str, default: usize| query.get(name).and_then(|value| value.parse().ok()).unwrap_or(default);
    let (size, page) = (asked("per_page", 30).min(most), asked("page", 1));
    let begin = (size * (page - 1)).min(items.len());
    let end = (begin + size).min(items.len());
    let reply = ok(json!(items[begin..end]));
    match end < items.len() {
        true => {
            let link = format!("<http://{host}{path}?per_page={size}&page={}>; rel=\"next\"", page + 1);
            reply.insert_header("link", link.as_str())
        }
        false => reply,
    }
}
