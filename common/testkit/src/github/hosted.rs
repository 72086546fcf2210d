//! One repository as the server keeps it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::reply::{Reply, created, missing, ok, said};
use super::{APP_ID, BOT};

/// A repository: its conversations, and where git finds it. Tests look at it and put things into it.
#[derive(Debug)]
pub struct Hosted {
    /// `owner/name`, as it was written first.
    pub name: String,
    /// The bare repository; `None` = git is not served.
    pub git: Option<PathBuf>,
    /// Comments by issue or pull request and id.
    pub comments: BTreeMap<(u64, u64), Value>,
    /// Comments at lines, by pull request and id.
    pub at_lines: BTreeMap<(u64, u64), Value>,
    /// By pull request and id.
    pub reviews: BTreeMap<(u64, u64), Value>,
    /// By number.
    pub pulls: BTreeMap<u64, Value>,
    /// By id.
    pub checks: BTreeMap<u64, Value>,
    /// As (path, content): one of a kind, however often it is sent.
    pub reactions: Vec<(String, String)>,
    ids: Arc<AtomicU64>,
}

/// What is asked of a repository.
pub(super) struct Ask<'a> {
    pub method: &'a str,
    /// The whole path, without its query.
    pub path: &'a str,
    /// Its parts behind `/repos/owner/name`.
    pub parts: &'a [&'a str],
    pub query: &'a BTreeMap<String, String>,
    pub body: &'a Value,
    pub pages: Pages<'a>,
}

/// How lists are cut into pages.
#[derive(Clone, Copy)]
pub(super) struct Pages<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub query: &'a BTreeMap<String, String>,
    /// The same as it came.
    pub raw: &'a str,
    pub most: usize,
}

impl Hosted {
    pub(super) fn new(name: &str, git: Option<PathBuf>, ids: Arc<AtomicU64>) -> Self {
        Self {
            name: name.to_owned(),
            git,
            comments: BTreeMap::new(),
            at_lines: BTreeMap::new(),
            reviews: BTreeMap::new(),
            pulls: BTreeMap::new(),
            checks: BTreeMap::new(),
            reactions: Vec::new(),
            ids,
        }
    }

    fn id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn page(&self, what: &str, number: u64, anchor: &str) -> String {
        format!("https://github.com/{}/{what}/{number}{anchor}", self.name)
    }

    /// A comment of `login` on `number`; its id.
    pub fn comment(&mut self, number: u64, login: &str, body: &str) -> u64 {
        let id = self.id();
        let url = self.page("issues", number, &format!("#issuecomment-{id}"));
        self.comments.insert((number, id), json!({ "id": id, "html_url": url, "body": body, "user": { "login": login } }));
        id
    }

    /// A comment of `login` at a line of `number`; its id.
    pub fn at_line(&mut self, number: u64, login: &str, body: &str, more: &Value) -> u64 {
        let id = self.id();
        let mut comment = json!({
            "id": id, "html_url": self.page("pull", number, &format!("#discussion_r{id}")), "body": body, "path": "src/lib.rs", "line": 3,
            "original_line": 3, "side": "RIGHT", "user": { "login": login },
        });
        merge(&mut comment, more);
        self.at_lines.insert((number, id), comment);
        id
    }

    /// A review of `login` of `number`; its id.
    pub fn review(&mut self, number: u64, login: &str, body: &str, commit: &str) -> u64 {
        let id = self.id();
        let url = self.page("pull", number, &format!("#pullrequestreview-{id}"));
        let review =
            json!({ "id": id, "html_url": url, "body": body, "commit_id": commit, "state": "COMMENTED", "user": { "login": login } });
        self.reviews.insert((number, id), review);
        id
    }

    /// A pull request; its number.
    pub fn pull(&mut self, head: &str, base: &str, more: &Value) -> u64 {
        let number = self.id();
        let repo = json!({ "full_name": self.name });
        let mut pull = json!({
            "number": number, "html_url": self.page("pull", number, ""), "state": "open", "draft": false,
            "title": "", "body": null, "head": { "ref": head, "sha": "c0ffee", "repo": repo }, "base": { "ref": base, "repo": repo },
        });
        merge(&mut pull, more);
        self.pulls.insert(number, pull);
        number
    }

    pub(super) fn answer(&mut self, ask: &Ask<'_>) -> Reply {
        let Ask { method, path, parts, query, body, pages } = *ask;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let number = |part: &str| part.parse::<u64>().unwrap_or_default();
        let owner = self.name.split('/').next().unwrap_or_default().to_owned();
        match (method, parts) {
            ("GET", ["issues", on, "comments"]) => pages.of(of(&self.comments, number(on))),
            ("POST", ["issues", on, "comments"]) => {
                let id = self.comment(number(on), BOT, &text("body"));
                created(&self.comments[&(number(on), id)])
            }
            ("PATCH" | "DELETE", ["issues", "comments", id]) => change(&mut self.comments, method, number(id), body),
            ("POST", [.., "reactions"]) => {
                let reaction = (path.to_owned(), text("content"));
                let shown = json!({ "id": 1, "content": reaction.1 });
                match self.reactions.contains(&reaction) {
                    true => ok(&shown),
                    false => {
                        self.reactions.push(reaction);
                        created(&shown)
                    }
                }
            }
            ("GET", ["pulls"]) => {
                let head = query.get("head").and_then(|head| head.split_once(':')).map(|(_, branch)| branch.to_owned());
                let of_head = |pull: &&Value| head.as_deref().is_none_or(|head| pull["head"]["ref"] == head);
                pages.of(self.pulls.values().filter(of_head).cloned().collect())
            }
            ("POST", ["pulls"]) => {
                if self.pulls.values().any(|pull| pull["head"]["ref"] == body["head"] && pull["state"] == "open") {
                    return said(422, &format!("A pull request already exists for {owner}:{}.", text("head")));
                }
                let more = json!({ "title": body["title"], "body": body["body"], "draft": body["draft"] });
                let number = self.pull(&text("head"), &text("base"), &more);
                created(&self.pulls[&number])
            }
            ("GET", ["pulls", on]) => self.pulls.get(&number(on)).map_or_else(missing, ok),
            ("PATCH", ["pulls", on]) => renew(self.pulls.get_mut(&number(on)), body),
            ("GET", ["pulls", on, "comments"]) => pages.of(of(&self.at_lines, number(on))),
            ("POST", ["pulls", on, "comments", to, "replies"]) => {
                match self.at_lines.get(&(number(on), number(to))).is_some_and(|to| to["in_reply_to_id"].is_null()) {
                    true => {
                        let id = self.at_line(number(on), BOT, &text("body"), &json!({ "in_reply_to_id": number(to) }));
                        created(&self.at_lines[&(number(on), id)])
                    }
                    false => missing(),
                }
            }
            ("PATCH" | "DELETE", ["pulls", "comments", id]) => change(&mut self.at_lines, method, number(id), body),
            ("GET", ["pulls", on, "reviews"]) => pages.of(of(&self.reviews, number(on))),
            ("GET", ["pulls", on, "reviews", id]) => self.reviews.get(&(number(on), number(id))).map_or_else(missing, ok),
            ("POST", ["pulls", on, "reviews"]) => {
                let id = self.review(number(on), BOT, &text("body"), &text("commit_id"));
                for comment in body["comments"].as_array().into_iter().flatten() {
                    let mut more = comment.clone();
                    more["pull_request_review_id"] = json!(id);
                    self.at_line(number(on), BOT, comment["body"].as_str().unwrap_or_default(), &more);
                }
                ok(&self.reviews[&(number(on), id)])
            }
            ("PUT", ["pulls", _, "reviews", id]) => change(&mut self.reviews, method, number(id), body),
            ("GET", ["commits", sha, "check-runs"]) => {
                let runs: Vec<Value> = self.checks.values().filter(|run| run["head_sha"] == **sha).cloned().collect();
                pages.within("check_runs", runs)
            }
            ("POST", ["check-runs"]) => {
                let id = self.id();
                let mut run = body.clone();
                run["id"] = json!(id);
                run["app"] = json!({ "id": APP_ID });
                self.checks.insert(id, run.clone());
                created(&run)
            }
            ("PATCH", ["check-runs", id]) => renew(self.checks.get_mut(&number(id)), body),
            _ => missing(),
        }
    }
}

impl Pages<'_> {
    /// One page of `items`, and where the next is.
    pub(super) fn of(self, items: Vec<Value>) -> Reply {
        self.cut(items, |page, _| json!(page))
    }

    /// The same as the field `name` of an object that also counts them.
    fn within(self, name: &str, items: Vec<Value>) -> Reply {
        self.cut(items, |page, all| json!({ "total_count": all, name: page }))
    }

    fn cut(self, items: Vec<Value>, shape: impl FnOnce(&[Value], usize) -> Value) -> Reply {
        let Self { host, path, query, raw, most } = self;
        let asked = |name: &str, default: usize| query.get(name).and_then(|value| value.parse().ok()).unwrap_or(default);
        let (size, page) = (asked("per_page", 30).min(most), asked("page", 1).max(1));
        let begin = (size * (page - 1)).min(items.len());
        let end = (begin + size).min(items.len());
        let reply = ok(&shape(&items[begin..end], items.len()));
        if end == items.len() {
            return reply;
        }
        let others: String = raw.split('&').filter(|pair| !pair.starts_with("page=")).map(|pair| format!("{pair}&")).collect();
        reply.header("link", &format!("<http://{host}{path}?{others}page={}>; rel=\"next\"", page + 1))
    }
}

fn of(all: &BTreeMap<(u64, u64), Value>, number: u64) -> Vec<Value> {
    all.iter().filter(|((on, _), _)| *on == number).map(|(_, item)| item.clone()).collect()
}

fn change(all: &mut BTreeMap<(u64, u64), Value>, method: &str, id: u64, body: &Value) -> Reply {
    let Some(key) = all.keys().find(|(_, there)| *there == id).copied() else { return missing() };
    if method == "DELETE" {
        all.remove(&key);
        return Reply::bytes(204, "");
    }
    renew(all.get_mut(&key), body)
}

fn renew(there: Option<&mut Value>, body: &Value) -> Reply {
    there.map_or_else(missing, |there| {
        merge(there, body);
        ok(there)
    })
}

/// Lays the fields of `more` over those of `item`.
fn merge(item: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        item[name] = value.clone();
    }
}
