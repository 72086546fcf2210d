//! The directory that stands in for GitHub.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use domain::JobId;
use domain::review::Side;
use github::{
    CheckAction, CheckRun, CheckState, Comment, Emotion, Forge, ForgeError, LineComment, LocalForge, NewPullRequest, NewReview, Permission,
    PullRequest, Review, Subject, Unregistered,
};
use tempfile::TempDir;

const TALLY: &str = "acme/tally";

fn root() -> TempDir {
    TempDir::new().unwrap()
}

fn change(head: &str) -> NewPullRequest {
    NewPullRequest { head: head.into(), base: "main".into(), title: "Fix rounding".into(), body: "Why and how.".into(), draft: true }
}

/// A forge that knows acme/tally.
async fn forge(root: &TempDir) -> LocalForge {
    let forge = LocalForge::new(root.path(), Unregistered::Refuse);
    forge.register(TALLY, "/srv/tally.git", [("octocat".to_owned(), Permission::Write)]).await.unwrap();
    forge
}

fn names(folder: impl AsRef<Path>) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_registered_repository_has_a_remote_and_permissions() {
    let root = root();
    let forge = forge(&root).await;
    assert_eq!(forge.remote(TALLY).await.unwrap(), "/srv/tally.git");
    assert_eq!(forge.permission(TALLY, "Octocat").await.unwrap(), Permission::Write);
    assert_eq!(forge.permission(TALLY, "hubot").await.unwrap(), Permission::None);
}

#[tokio::test]
async fn registering_again_takes_permissions_away_and_keeps_pull_requests() {
    let root = root();
    let forge = forge(&root).await;
    let pull = forge.put_pull_request(TALLY, &change("codeteam/1")).await.unwrap();
    forge.register(TALLY, "/srv/moved.git", []).await.unwrap();
    assert_eq!(forge.remote(TALLY).await.unwrap(), "/srv/moved.git");
    assert_eq!(forge.permission(TALLY, "octocat").await.unwrap(), Permission::None);
    assert_eq!(forge.find_pull_request(TALLY, "codeteam/1").await.unwrap(), Some(pull));
}

#[tokio::test]
async fn a_pull_request_is_a_file_that_says_everything() {
    let root = root();
    let pull = forge(&root).await.put_pull_request(TALLY, &change("codeteam/1")).await.unwrap();
    let file = root.path().join("acme/tally/pulls/1.json");
    let url = format!("file://{}", file.display());
    assert_eq!(pull, PullRequest { number: 1, url, open: true, fork: None, head_commit: None, request: change("codeteam/1") });
    assert_eq!(serde_json::from_slice::<PullRequest>(&fs::read(file).unwrap()).unwrap(), pull);
}

#[tokio::test]
async fn the_second_pull_request_of_a_head_is_the_first_one_told_anew() {
    let root = root();
    let forge = forge(&root).await;
    let first = forge.put_pull_request(TALLY, &change("codeteam/1")).await.unwrap();
    let retold = NewPullRequest { title: "Another title".into(), body: "Another body".into(), base: "next".into(), ..change("codeteam/1") };
    let kept = NewPullRequest { base: first.request.base.clone(), ..retold.clone() };
    let told = PullRequest { request: kept, ..first };
    assert_eq!(forge.put_pull_request(TALLY, &retold).await.unwrap(), told);
    assert_eq!(forge.find_pull_request(TALLY, "codeteam/1").await.unwrap(), Some(told));
    let other = forge.put_pull_request(TALLY, &change("codeteam/2")).await.unwrap();
    assert_eq!(other.number, 2);
    assert_eq!(forge.find_pull_request(TALLY, "codeteam/2").await.unwrap(), Some(other));
    assert_eq!(forge.find_pull_request(TALLY, "codeteam/3").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_workers_that_open_one_head_at_once_make_one_record() {
    let root = root();
    forge(&root).await;
    let mut opening = tokio::task::JoinSet::new();
    for worker in 0..32 {
        // A forge of its own each, as separate processes have: only the files connect them.
        let forge = LocalForge::new(root.path(), Unregistered::Refuse);
        let head = format!("codeteam/{}", worker % 2);
        opening.spawn(async move { forge.put_pull_request(TALLY, &change(&head)).await.unwrap() });
    }
    let opened: BTreeSet<(u64, String)> = opening.join_all().await.into_iter().map(|pull| (pull.number, pull.request.head)).collect();
    assert_eq!(opened.len(), 2, "{opened:?}");
    assert_eq!(names(root.path().join("acme/tally/pulls")), BTreeSet::from(["1.json".to_owned(), "2.json".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_workers_that_comment_at_once_lose_no_comment() {
    let root = root();
    forge(&root).await;
    let mut commenting = tokio::task::JoinSet::new();
    for worker in 0..32 {
        let forge = LocalForge::new(root.path(), Unregistered::Refuse);
        commenting.spawn(async move { forge.put_comment(TALLY, 7, &format!("<{worker}>"), &format!("from <{worker}>")).await.unwrap().id });
    }
    let ids: BTreeSet<u64> = commenting.join_all().await.into_iter().collect();
    assert_eq!(ids, (1..=32).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_workers_that_write_the_comment_of_one_job_write_one() {
    let root = root();
    forge(&root).await;
    let mut commenting = tokio::task::JoinSet::new();
    for worker in 0..32 {
        let forge = LocalForge::new(root.path(), Unregistered::Refuse);
        let body = format!("from {worker} <!-- codeteam:1 -->");
        commenting.spawn(async move { forge.put_comment(TALLY, 7, "codeteam:1 ", &body).await.unwrap() });
    }
    let ids: BTreeSet<u64> = commenting.join_all().await.into_iter().map(|comment| comment.id).collect();
    assert_eq!(ids, BTreeSet::from([1]));
    assert_eq!(names(root.path().join("acme/tally/issues/7/comments")), BTreeSet::from(["1.json".to_owned()]));
}

#[tokio::test]
async fn a_comment_is_found_by_its_marker_on_its_own_issue_only() {
    let root = root();
    let forge = forge(&root).await;
    forge.put_comment(TALLY, 7, "something", "something else").await.unwrap();
    let comment = forge.put_comment(TALLY, 7, "codeteam:1", "done <!-- codeteam:1 -->").await.unwrap();
    assert_eq!(forge.find_comment(TALLY, 7, "codeteam:1").await.unwrap(), Some(comment));
    assert_eq!(forge.find_comment(TALLY, 7, "codeteam:2").await.unwrap(), None);
    assert_eq!(forge.find_comment(TALLY, 8, "codeteam:1").await.unwrap(), None);
    let retold = forge.put_comment(TALLY, 7, "codeteam:1", "done better <!-- codeteam:1 -->").await.unwrap();
    assert_eq!(forge.find_comment(TALLY, 7, "codeteam:1").await.unwrap(), Some(retold));
    assert_eq!(names(root.path().join("acme/tally/issues/7/comments")), BTreeSet::from(["1.json".to_owned(), "2.json".to_owned()]));
}

#[tokio::test]
async fn what_a_killed_process_left_half_written_is_never_read_and_soon_removed() {
    let root = root();
    let forge = forge(&root).await;
    forge.put_pull_request(TALLY, &change("codeteam/1")).await.unwrap();
    let pulls = root.path().join("acme/tally/pulls");
    fs::write(pulls.join(".half-written-Xq3v9z"), "{\"number\": 2, \"hea").unwrap();
    assert_eq!(forge.find_pull_request(TALLY, "codeteam/2").await.unwrap(), None);
    assert_eq!(forge.put_pull_request(TALLY, &change("codeteam/2")).await.unwrap().number, 2);
    assert_eq!(names(pulls), BTreeSet::from(["1.json".to_owned(), "2.json".to_owned()]));
}

#[tokio::test]
async fn a_record_that_somebody_broke_is_named() {
    let root = root();
    let forge = forge(&root).await;
    forge.put_pull_request(TALLY, &change("codeteam/1")).await.unwrap();
    fs::write(root.path().join("acme/tally/pulls/1.json"), "{").unwrap();
    let error = forge.find_pull_request(TALLY, "codeteam/1").await.unwrap_err();
    assert!(matches!(&error, ForgeError::Unavailable(cause) if cause.to_string().contains("acme/tally/pulls/1.json")), "{error}");
}

#[tokio::test]
async fn an_unregistered_repository_does_not_exist_and_nothing_is_written() {
    let root = root();
    let forge = LocalForge::new(root.path(), Unregistered::Refuse);
    for error in [
        forge.permission(TALLY, "octocat").await.unwrap_err(),
        forge.remote(TALLY).await.unwrap_err(),
        forge.find_pull_request(TALLY, "codeteam/1").await.unwrap_err(),
        forge.put_pull_request(TALLY, &change("codeteam/1")).await.unwrap_err(),
        forge.find_comment(TALLY, 7, "codeteam:1").await.unwrap_err(),
        forge.put_comment(TALLY, 7, "hello", "hello").await.unwrap_err(),
    ] {
        assert!(matches!(&error, ForgeError::NotFound(text) if text.contains("no repository \"acme/tally\"")), "{error}");
    }
    assert_eq!(names(root.path()), BTreeSet::new());
}

#[tokio::test]
async fn where_unregistered_repositories_are_recorded_nobody_has_a_permission_in_them() {
    let root = root();
    let forge = LocalForge::new(root.path(), Unregistered::Record);
    assert_eq!(forge.find_pull_request(TALLY, "codeteam/1").await.unwrap(), None);
    assert_eq!(names(root.path()), BTreeSet::new());
    forge.put_pull_request(TALLY, &change("codeteam/1")).await.unwrap();
    assert_eq!(forge.permission(TALLY, "octocat").await.unwrap(), Permission::None);
    let error = forge.remote(TALLY).await.unwrap_err();
    assert!(matches!(&error, ForgeError::NotFound(text) if text.contains("give the job a `remote`")), "{error}");
}

#[tokio::test]
async fn names_that_leave_the_directory_are_refused() {
    let root = root();
    let forge = LocalForge::new(root.path().join("forge"), Unregistered::Record);
    for repository in ["../outside", "acme/..", "acme", "/etc/passwd", "acme/tally/pulls"] {
        let error = forge.put_comment(repository, 7, "hello", "hello").await.unwrap_err();
        assert!(matches!(&error, ForgeError::Invalid(text) if text.contains(repository)), "{error}");
    }
    assert_eq!(names(root.path()), BTreeSet::new());
}

#[tokio::test]
async fn a_pull_request_into_itself_is_refused() {
    let root = root();
    let error = forge(&root).await.put_pull_request(TALLY, &change("main")).await.unwrap_err();
    assert!(matches!(error, ForgeError::Invalid(_)), "{error}");
}

#[tokio::test]
async fn a_review_is_a_file_with_its_comments_and_the_second_with_its_marker_is_the_first_told_anew() {
    let root = root();
    let forge = forge(&root).await;
    let pull = forge.put_pull_request(TALLY, &change("feature")).await.unwrap();
    assert_eq!(forge.pull_request(TALLY, pull.number).await.unwrap(), Some(pull));
    assert_eq!(forge.pull_request(TALLY, 2).await.unwrap(), None);
    assert_eq!(forge.find_review(TALLY, 1, "<!-- job 1 -->").await.unwrap(), None);
    let comment = LineComment { path: "a.py".into(), line: 2, side: Side::Left, body: "Why?".into() };
    let new = NewReview { commit: "c0ffee".into(), body: "Not yet. <!-- job 1 -->".into(), comments: vec![comment] };
    let first = forge.put_review(TALLY, 1, "<!-- job 1 -->", &new).await.unwrap();
    let file = root.path().join("acme/tally/pulls/1/reviews/1.json");
    assert_eq!(first, Review { id: 1, url: format!("file://{}", file.display()), review: new.clone() });
    assert_eq!(serde_json::from_slice::<Review>(&fs::read(&file).unwrap()).unwrap(), first);
    let retold = NewReview { body: "Now. <!-- job 1 -->".into(), comments: vec![], ..new.clone() };
    let told = Review { review: NewReview { body: retold.body.clone(), ..new.clone() }, ..first };
    assert_eq!(forge.put_review(TALLY, 1, "<!-- job 1 -->", &retold).await.unwrap(), told);
    assert_eq!(forge.find_review(TALLY, 1, "<!-- job 1 -->").await.unwrap(), Some(told));
    let other = NewReview { body: "<!-- job 2 -->".into(), ..new };
    assert_eq!(forge.put_review(TALLY, 1, "<!-- job 2 -->", &other).await.unwrap().id, 2);
    // The pull request beside its folder of reviews is still one.
    assert_eq!(forge.find_pull_request(TALLY, "feature").await.unwrap().unwrap().number, 1);
}

#[tokio::test]
async fn reactions_answers_and_check_runs_are_kept_once() {
    let root = TempDir::new().unwrap();
    let forge = LocalForge::new(root.path(), Unregistered::Record);
    for emotion in [Emotion::Eyes, Emotion::Eyes, Emotion::Rocket] {
        forge.react("acme/tally", Subject::Issue { number: 7 }, emotion).await.unwrap();
    }
    let shown = std::fs::read_to_string(root.path().join("acme/tally/reactions/issue-7.json")).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Emotion>>(&shown).unwrap(), [Emotion::Eyes, Emotion::Rocket]);

    let first = forge.put_reply("acme/tally", 1, 5, "<!-- m -->", "Once <!-- m -->").await.unwrap();
    let second = forge.put_reply("acme/tally", 1, 5, "<!-- m -->", "Twice <!-- m -->").await.unwrap();
    assert_eq!(second, Comment { body: "Twice <!-- m -->".into(), ..first });

    let run = CheckRun {
        job_id: JobId::new(),
        commit: "1".repeat(40),
        name: "AI Code Team".into(),
        state: CheckState::InProgress,
        title: "Step 1".into(),
        summary: "…".into(),
        actions: vec![CheckAction::Stop],
    };
    let id = forge.put_check_run("acme/tally", None, &run).await.unwrap();
    let ended = CheckRun { state: CheckState::Success, actions: vec![CheckAction::Retry], ..run.clone() };
    assert_eq!(forge.put_check_run("acme/tally", None, &ended).await.unwrap(), id, "it is found by its job");
    let other = CheckRun { job_id: JobId::new(), ..run };
    assert_ne!(forge.put_check_run("acme/tally", None, &other).await.unwrap(), id);
}

#[tokio::test]
async fn a_comment_is_edited_while_it_is_there() {
    let root = TempDir::new().unwrap();
    let forge = LocalForge::new(root.path(), Unregistered::Record);
    let comment = forge.put_comment("acme/tally", 7, "<!-- m -->", "Step 1 <!-- m -->").await.unwrap();
    forge.edit_comment("acme/tally", 7, comment.id, "Step 2 <!-- m -->").await.unwrap();
    let there = forge.find_comment("acme/tally", 7, "<!-- m -->").await.unwrap();
    assert_eq!(there, Some(Comment { body: "Step 2 <!-- m -->".into(), ..comment }));
    let gone = forge.edit_comment("acme/tally", 7, 99, "Step 3").await.unwrap_err();
    assert!(matches!(gone, ForgeError::NotFound(_)), "{gone}");
}
