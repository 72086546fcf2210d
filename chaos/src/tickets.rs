//! What was asked of the product: webhooks, signed as GitHub signs them, each with a job of its own.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::script::{Kind, Script, long_text};
use crate::webhook::deliver;

/// Who asks for everything.
pub const PERSON: &str = "hubot";

/// One issue that got a label, and the job that came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Ticket {
    /// The number of the issue.
    pub number: u64,
    /// What kind of job, and its name in titles and in the model's book.
    pub tag: String,
    /// The same as a kind.
    #[serde(skip)]
    pub kind: Kind,
    /// What the issue was labelled with.
    pub label: &'static str,
    /// `owner/name`.
    pub repository: String,
    /// The job, once somebody has accepted it.
    pub job_id: Option<String>,
    /// How many commands were asked about it that have an answer in words.
    pub questions: u64,
    /// How many comments were written on it by people.
    pub comments: u64,
}

impl Ticket {
    /// A ticket that nobody has handed in yet.
    pub fn new(number: u64, kind: Kind, repository: &str) -> Self {
        let tag = format!("{kind}-{number:04}");
        let label = Script { tag: tag.clone(), kind }.mode();
        Self { number, tag, kind, label, repository: repository.to_owned(), job_id: None, questions: 0, comments: 0 }
    }

    /// GitHub's number of a delivery: the same human action may be told under several.
    pub fn delivery(&self, copy: u64) -> String {
        format!("00000000-0000-4000-8{copy:03}-{:012}", self.number)
    }

    fn payload(&self) -> Value {
        let padding = if self.kind == Kind::Large { long_text() } else { String::new() };
        json!({
            "action": "labeled",
            "issue": { "number": self.number, "title": format!("Greet {}", self.tag), "body": "Please.", "updated_at": "2025-08-21T08:05:12Z" },
            "label": { "name": self.label },
            "repository": { "id": 1, "full_name": self.repository },
            "sender": { "login": PERSON, "type": "User" },
            "padding": padding,
        })
    }

    /// Hands it in at the server at `address`, under the number of its `copy`-th delivery; the job that it is.
    ///
    /// # Errors
    /// When the server does not accept it, or does not answer.
    pub async fn hand_in(&self, address: &str, copy: u64) -> Result<String> {
        let told = deliver(address, "issues", &self.delivery(copy), &self.payload()).await?;
        told["job_id"].as_str().map(str::to_owned).with_context(|| format!("no job came of {}: {told}", self.tag))
    }

    /// Comments on the issue, as the `comment`-th person who does; the command that it is.
    ///
    /// # Errors
    /// When the server does not accept it, or does not answer.
    pub async fn say(&self, address: &str, comment: u64, copy: u64, text: &str) -> Result<String> {
        let id = self.number * 1000 + comment;
        let mut payload = self.payload();
        payload["action"] = json!("created");
        payload["comment"] = json!({ "id": id, "body": text, "user": { "login": PERSON, "type": "User" } });
        let delivery = format!("00000000-0000-4000-9{copy:03}-{id:012}");
        let told = deliver(address, "issue_comment", &delivery, &payload).await?;
        told["command_id"].as_str().map(str::to_owned).with_context(|| format!("no command came of {text:?} on {}: {told}", self.tag))
    }
}
