//! Git over HTTP, served by git itself.

use std::path::Path;

use process::{Command, run};

use super::reply::{Reply, missing, said};
use crate::model::http::Request;
use crate::repository::PATH;

/// What a request for a repository asks: the repository as `owner/name`, and the rest of its path with the query.
pub(super) fn parts(path: &str) -> Option<(&str, &str)> {
    let (repository, rest) = path.strip_prefix('/')?.split_once(".git/")?;
    (repository.split('/').count() == 2).then_some((repository, rest))
}

/// Whether it asks to push.
pub(super) fn pushes(path: &str) -> bool {
    path.ends_with("git-receive-pack")
}

/// The branches that a push names.
pub(super) fn branches(request: &Request) -> Vec<String> {
    // Commands stand before the pack, each as `old new ref`; the first has capabilities behind a zero.
    let head = String::from_utf8_lossy(&request.body[..request.body.len().min(4096)]).into_owned();
    let named = head.split("refs/heads/").skip(1);
    named.filter_map(|rest| rest.split(|end: char| end.is_control() || end == ' ').next().map(str::to_owned)).collect()
}

/// Lets `git http-backend` answer for the repository at `folder`.
pub(super) async fn serve(folder: &Path, rest: &str, request: &Request) -> Reply {
    if request.header("transfer-encoding").is_some() {
        return said(411, "this server takes no chunked bodies");
    }
    let (Some(root), Some(name)) = (folder.parent(), folder.file_name()) else { return missing() };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let command = Command::new("git")
        .arg("http-backend")
        .path(PATH)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{}/{path}", name.to_string_lossy()))
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "x-access-token")
        .output_cap(256 << 20)
        .stdin(request.body.clone());
    let output = run(command, &Default::default()).await.expect("git http-backend runs");
    let end = output.stdout.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else { return said(500, &format!("git http-backend says nothing: {}", output.stderr_text())) };
    let head = String::from_utf8_lossy(&output.stdout[..end]).into_owned();
    let headers: Vec<(&str, &str)> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let status = headers.iter().find(|(name, _)| *name == "Status").and_then(|(_, status)| status.get(..3)?.parse().ok());
    let reply = Reply::bytes(status.unwrap_or(200), &output.stdout[end + 4..]);
    headers.into_iter().filter(|(name, _)| *name != "Status").fold(reply, |reply, (name, value)| reply.header(name, value))
}
