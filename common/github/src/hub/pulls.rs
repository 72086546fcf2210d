//! Pull requests: one for each head, whatever became of it.

use serde::Deserialize;
use serde_json::json;

use crate::app::{Repository, encoded};
use crate::{ForgeError, NewPullRequest, PullRequest};

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    state: String,
    title: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    draft: bool,
    head: Branch,
    base: Branch,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
    #[serde(default)]
    sha: Option<String>,
    /// `None` = it was deleted.
    #[serde(default)]
    repo: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    full_name: String,
}

impl Pull {
    fn told(self, repository: Repository<'_>) -> PullRequest {
        let home = repository.name().to_string();
        let head = self.head.repo.map(|repo| repo.full_name).unwrap_or_default();
        PullRequest {
            number: self.number,
            url: self.html_url,
            open: self.state == "open",
            fork: (!head.eq_ignore_ascii_case(&self.base.repo.map_or(home, |repo| repo.full_name))).then_some(head),
            head_commit: self.head.sha,
            request: NewPullRequest {
                head: self.head.name,
                base: self.base.name,
                title: self.title,
                body: self.body.unwrap_or_default(),
                draft: self.draft,
            },
        }
    }
}

/// The pull request of the branch `head` of `repository` itself: an open one, else the newest.
pub(super) async fn find(repository: Repository<'_>, head: &str) -> Result<Option<PullRequest>, ForgeError> {
    let filter = encoded(&format!("{}:{head}", repository.name().owner()));
    let pulls: Vec<Pull> = repository.list(&format!("/pulls?state=all&head={filter}")).await?;
    // A fork of the same owner has the same filter.
    let own = pulls.into_iter().map(|pull| pull.told(repository)).filter(|pull| pull.request.head == head && pull.fork.is_none());
    Ok(own.max_by_key(|pull| (pull.open, pull.number)))
}

/// Pull request `number`.
pub(super) async fn get(repository: Repository<'_>, number: u64) -> Result<Option<PullRequest>, ForgeError> {
    Ok(repository.find::<Pull>(&format!("/pulls/{number}")).await?.map(|pull| pull.told(repository)))
}

/// Looks up, then creates or changes.
pub(super) async fn put(repository: Repository<'_>, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
    if let Some(there) = find(repository, &new.head).await? {
        return renew(repository, there, new).await;
    }
    let refused = match create(repository, new, new.draft).await {
        // Not every plan of GitHub's has drafts.
        Err(ForgeError::Invalid(text)) if new.draft && text.to_ascii_lowercase().contains("draft pull request") => {
            create(repository, new, false).await
        }
        other => other,
    };
    match refused {
        // Somebody opened it between our question and now.
        Err(ForgeError::Invalid(text)) => match find(repository, &new.head).await? {
            Some(there) => renew(repository, there, new).await,
            None => Err(ForgeError::Invalid(text)),
        },
        other => other,
    }
}

async fn create(repository: Repository<'_>, new: &NewPullRequest, draft: bool) -> Result<PullRequest, ForgeError> {
    let body = json!({ "head": new.head, "base": new.base, "title": new.title, "body": new.body, "draft": draft });
    Ok(repository.post::<Pull>("/pulls", body).await?.told(repository))
}

/// Gives the pull request that is there title and body of `new`. Whether it is a draft, and where it is to be merged, may have
/// been decided by a person since.
async fn renew(repository: Repository<'_>, there: PullRequest, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
    if there.request.title == new.title && same(&there.request.body, &new.body) {
        return Ok(there);
    }
    let body = json!({ "title": new.title, "body": new.body });
    Ok(repository.patch::<Pull>(&format!("/pulls/{}", there.number), body).await?.told(repository))
}

/// Whether two texts are one to GitHub, which may end lines in its own way.
pub(super) fn same(there: &str, new: &str) -> bool {
    there.replace("\r\n", "\n").trim_end() == new.replace("\r\n", "\n").trim_end()
}
