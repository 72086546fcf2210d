//! Budgets, costs, the exported ledger, retention and roles, from the command line.

use e2e::{Codeteam, Repository};
use serde_json::json;
use testkit::TestDb;

use super::{call, done};

fn finish() -> serde_json::Value {
    call("finish", json!({ "title": "Look", "summary": "Seen.", "confidence": "low" }))
}

#[tokio::test]
async fn a_job_over_the_days_budget_waits_and_goes_on_when_it_is_raised() {
    let (db, repository) = (TestDb::new().await, Repository::of(&[("a.txt", "one\n")]).await);
    let codeteam = async |arguments: &[&str]| Codeteam::new(arguments).on(db.url.expose()).run().await;
    codeteam(&["budget", "list"]).await.expect(0, &["no budgets"]);
    codeteam(&["budget", "set", "repository:acme/shop", "0.000001"]).await.expect(0, &["repository:acme/shop may spend $0.0000 a day"]);
    let job_id = &*done(&db, &repository, &[finish()], &[]).await;
    let shown = codeteam(&["show", job_id, "--json"]).await.json(0);
    assert_eq!((&shown["job"]["queue"]["state"], &shown["job"]["queue"]["waiting_for"]), (&json!("waiting"), &json!("budget")), "{shown}");
    codeteam(&["budget", "set", "repository:acme/shop", "20"]).await.expect(0, &[]);
    let script = super::script(&[finish()]);
    let work = Codeteam::new(["work", "--until-idle"]).on(db.url.expose()).env("CODETEAM_SCRIPT", script.path());
    work.run().await.expect(0, &[]);
    let budget = &codeteam(&["budget", "list", "--json"]).await.json_lines()[0];
    assert_eq!((&budget["scope"], &budget["limit_microusd"]), (&json!("repository:acme/shop"), &json!(20_000_000)));
    let paid = codeteam(&["show", job_id, "--json"]).await.json(0)["job"]["finished"]["spent"]["cost_microusd"].clone();
    assert_eq!((&budget["settled_microusd"], &budget["reserved_microusd"]), (&paid, &json!(0)));
    for by in ["repo", "model", "mode", "day"] {
        let costs = codeteam(&["cost", "--by", by, "--json"]).await.json_lines();
        assert_eq!((costs.len(), &costs[0]["paid_microusd"]), (1, &paid), "{by}");
    }
    codeteam(&["cost"]).await.expect(0, &["REPO", "acme/shop", "total"]);
    codeteam(&["budget", "list"]).await.expect(0, &["SCOPE", "repository:acme/shop", "$20.0000", "open"]);
    codeteam(&["budget", "remove", "repository:acme/shop"]).await.expect(0, &["without a limit"]);
    codeteam(&["budget", "remove", "repository:acme/shop"]).await.expect(2, &["there is no budget of repository:acme/shop"]);
    codeteam(&["budget", "set", "everything", "1"]).await.expect(2, &["expected all, mode:mechanic"]);
    codeteam(&["budget", "set", "all", "ten"]).await.expect(2, &["expected an amount of US dollars"]);
    codeteam(&["cost", "--from", "yesterday"]).await.expect(2, &["expected a day such as"]);
}

#[tokio::test]
async fn the_exported_ledger_is_csv_with_a_head_and_a_line_for_each_row() {
    let (db, repository) = (TestDb::new().await, Repository::of(&[("a.txt", "one\n")]).await);
    let job_id = &*done(&db, &repository, &[finish()], &[]).await;
    let codeteam = async |arguments: &[&str]| Codeteam::new(arguments).on(db.url.expose()).run().await;
    let exported = codeteam(&["ledger", "export", "--csv"]).await;
    exported.expect(0, &[]);
    let lines: Vec<&str> = exported.stdout.split("\r\n").collect();
    let head =
        "job_id,seq,at,kind,repository,mode,step_no,reservation_seq,model,uncached_input,cache_read,cache_write,output,cost_microusd,hash";
    assert_eq!((lines[0], lines.len(), lines[3]), (head, 4, ""));
    assert!(
        lines[1].starts_with(&format!("{job_id},1,")) && lines[1].contains(",reserved,acme/shop,mechanic,1,,scripted,"),
        "{}",
        lines[1]
    );
    let rows = codeteam(&["ledger", "export", "--json"]).await.json_lines();
    assert_eq!(
        (rows.len(), &rows[1]["kind"], &rows[1]["reservation_seq"], &rows[0]["reservation_seq"]),
        (2, &json!("settled"), &json!(1), &json!(null))
    );
    let none = codeteam(&["ledger", "export", "--to", "2020-01-01"]).await;
    assert_eq!(none.stdout, format!("{head}\r\n"));
    // The worker may have anchored them already.
    codeteam(&["ledger", "verify", "--incremental"]).await.expect(0, &["2 rows of 1 jobs, ", ": every chain holds"]);
    let unknown = format!("1:{}", "0".repeat(64));
    codeteam(&["ledger", "verify", "--anchor", &unknown]).await.expect(1, &["anchor 1: it is not the one that the log names"]);
}

#[tokio::test]
async fn old_months_are_shown_before_they_go() {
    let db = TestDb::new().await;
    let codeteam = async |arguments: &[&str]| Codeteam::new(arguments).on(db.url.expose()).run().await;
    db.execute("create table events_2021_01 partition of events for values from (uuid_at('2021-01-01')) to (uuid_at('2021-02-01'))").await;
    codeteam(&["retention"]).await.expect(0, &["cleared away 0 bodies", "no month is dropped unless you say how many to keep"]);
    codeteam(&["retention", "--events-months", "0"]).await.expect(2, &["--events-months"]);
    codeteam(&["retention", "--events-months", "6", "--dry-run"]).await.expect(0, &["would go", "events_2021_01"]);
    assert_eq!(db.value("select to_regclass('events_2021_01') is not null").await, "true");
    codeteam(&["retention", "--events-months", "6"]).await.expect(0, &["dropped", "events_2021_01"]);
    assert_eq!(db.value("select to_regclass('events_2021_01') is not null").await, "false");
}

#[tokio::test]
async fn migrate_makes_the_role_of_the_services_that_a_url_names() {
    let db = TestDb::new().await;
    let database = db.value("select current_database()").await;
    let role = format!("{database}_services");
    let migrate = async |url: &str| Codeteam::new(["migrate"]).on(db.url.expose()).env("DATABASE_APP_URL", url).run().await;
    let url = |password: &str| format!("postgres://{role}:{password}@localhost/{database}");
    let verifier = format!("select rolpassword from pg_authid where rolname = '{role}'");
    let said = format!("role {role} logs in with the password of DATABASE_APP_URL");
    migrate(&url("Qm7-the-first")).await.expect(0, &["the schema is up to date", &said]);
    let first = db.value(&verifier).await;
    assert!(first.starts_with("SCRAM-SHA-256$"), "{first}");
    migrate(&url("Qm7-the-second")).await.expect(0, &[&said]);
    assert_ne!(db.value(&verifier).await, first, "the new password");
    let may = format!("select has_table_privilege('{role}', 'jobs', 'delete') and not has_table_privilege('{role}', 'ledger', 'update')");
    assert_eq!(db.value(&may).await, "true");

    let secret = "hunter2-kX9v";
    let refused = async |url: &str, why: &str| {
        let ran = migrate(url).await;
        ran.expect(2, &["DATABASE_APP_URL", why]);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(secret), "a password is on the screen: {}", ran.stderr);
    };
    let owner = db.value("select current_user").await;
    refused(&format!("postgres://{owner}:{secret}@localhost/{database}"), "owns the tables or is a superuser").await;
    refused(&format!("postgres://{role}:{secret}@localhost/postgres"), r#"names the database "postgres""#).await;
    refused(&format!("postgres://localhost/{database}?password={secret}"), "names no user").await;
    refused(secret, "is no URL").await;
    db.execute(&format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn migrate_grants_to_roles_that_are_there() {
    let db = TestDb::new().await;
    let role = format!("{}_cli", db.value("select current_database()").await);
    let codeteam = async |arguments: &[&str]| Codeteam::new(arguments).on(db.url.expose()).run().await;
    codeteam(&["migrate", "--grant-app", &role]).await.expect(2, &["no role", &role, "create it first"]);
    db.execute(&format!("create role {role}")).await;
    codeteam(&["migrate", "--grant-app", &role]).await.expect(0, &["the schema is up to date"]);
    let may = format!(
        "select has_table_privilege('{role}', 'ledger', 'insert') and not has_table_privilege('{role}', 'ledger', 'update, delete, truncate')"
    );
    assert_eq!(db.value(&may).await, "true");
    db.execute(&format!("drop owned by {role}; drop role {role}")).await;
}
