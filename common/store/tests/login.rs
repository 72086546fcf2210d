//! The role of the services, which whoever migrates makes: not as a superuser, as at RDS, where there is none.

use std::time::Duration;

use domain::Secret;
use store::roles::{Login, grant, make_login, may_change_ledger};
use store::{Db, StoreError};
use testkit::TlsPostgres;

/// A server with the tables of this release in the database `team`. They belong to `owner`, who may make roles and no more.
struct Team {
    server: TlsPostgres,
    owner: Db,
}

impl Team {
    async fn start() -> Self {
        let server = TlsPostgres::start("Zw4-of-app").await;
        // Whatever is asked is written down, with its values.
        for setting in ["log_statement = 'all'", "log_min_duration_statement = 0"] {
            server.execute(&format!("alter system set {setting}")).await;
        }
        server.execute("select pg_reload_conf()").await;
        server.execute("create role owner login createrole password 'Xk9-of-owner'").await;
        server.execute("create database team owner owner").await;
        let owner = connect(&server.url_as("owner", "Xk9-of-owner", "team")).await.unwrap();
        owner.migrate().await.unwrap();
        Self { server, owner }
    }

    /// What `codeteam migrate` does with this URL of the services.
    async fn migrate(&self, url: &str) -> Result<(), StoreError> {
        let login = Login::of(&Secret::new(url))?;
        make_login(&self.owner, &login).await?;
        grant(&self.owner, &[login.role], &[]).await
    }

    async fn refusal(&self, url: &str) -> String {
        match self.migrate(url).await {
            Err(StoreError::Refused(said)) => said,
            other => panic!("{url}: {other:?}"),
        }
    }

    /// What a query of a test answers a superuser: one row, one text.
    async fn value(&self, query: &str) -> String {
        let db = connect(&self.server.owner_url("team")).await.unwrap();
        let query = format!("select ({query})::text");
        let value: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(db.pool()).await.unwrap();
        db.close().await;
        value.unwrap_or_default()
    }

    /// How the role `services` logs in: with a password, and with tokens.
    async fn ways(&self) -> String {
        self.value("select concat(rolcanlogin, rolpassword like 'SCRAM-SHA-256$%', pg_has_role(oid, 'rds_iam', 'member')) from pg_authid where rolname = 'services'")
            .await
    }
}

async fn connect(url: &Secret) -> Result<Db, StoreError> {
    Db::connect(url, 1, Duration::from_secs(10)).await
}

#[tokio::test]
async fn the_role_is_made_and_a_second_time_gets_the_new_password_which_the_server_never_sees() {
    let team = Team::start().await;
    let url = |password: &str| team.server.url_as("my-services", password, "team");
    team.migrate(url("Qm7-the-first").expose()).await.unwrap();
    let services = connect(&url("Qm7-the-first")).await.unwrap();
    services.check_schema().await.unwrap();
    assert!(!may_change_ledger(&services).await.unwrap());
    assert!(sqlx::query("create role another").execute(services.pool()).await.is_err(), "it may make nobody");
    let told = make_login(&services, &Login::of(&url("Qm7-of-itself")).unwrap()).await.unwrap_err().to_string();
    assert!(told.contains("permission denied for function make_login"), "{told}");

    team.migrate(url("Qm7-the-second").expose()).await.unwrap();
    let refused = connect(&url("Qm7-the-first")).await.unwrap_err();
    assert!(refused.is_login_refused(), "{refused}");
    connect(&url("Qm7-the-second")).await.unwrap().close().await;
    services.server_version().await.expect("a session that is open stays open");

    let asked = team.value("select string_agg(query, ' ') from pg_stat_activity").await;
    assert!(asked.contains("grant_roles"), "the session of whoever migrates: {asked}");
    let log = team.server.log();
    assert!(log.contains("make_login($1, $2, $3)") && log.contains("SCRAM-SHA-256$"), "the log has the statements with their values");
    for password in ["Qm7-the-first", "Qm7-the-second"] {
        assert!(!log.contains(password) && !asked.contains(password), "the server has seen a password");
    }
}

#[tokio::test]
async fn without_a_password_the_role_shows_tokens_of_iam_and_with_one_it_shows_none() {
    let team = Team::start().await;
    let (tokens, password) = ("postgres://services@localhost/team", "postgres://services:hunter2@localhost/team");
    assert_eq!(
        team.refusal(tokens).await,
        "DATABASE_APP_URL has no password for role \"services\", and this server takes no tokens of IAM (it has no role rds_iam): write one into it"
    );
    assert_eq!(team.value("select count(*) from pg_roles where rolname = 'services'").await, "0");
    team.server.execute("create role rds_iam; grant rds_iam to owner with admin option").await;
    for _ in 0..2 {
        team.migrate(tokens).await.unwrap();
        assert_eq!(team.ways().await, "tt", "a token, and no password");
    }
    for _ in 0..2 {
        team.migrate(password).await.unwrap();
        assert_eq!(team.ways().await, "ttf", "a password, and no token");
    }
    team.migrate(tokens).await.unwrap();
    assert_eq!(team.ways().await, "tt", "the password went");
}

#[tokio::test]
async fn a_url_that_would_give_the_services_too_much_or_lead_elsewhere_is_refused_and_changes_nothing() {
    let team = Team::start().await;
    let unchanged = "select string_agg(rolname || coalesce(rolpassword, ''), ' ' order by rolname) from pg_authid";
    let before = team.value(unchanged).await;
    for role in ["owner", "app"] {
        assert_eq!(
            team.refusal(&format!("postgres://{role}:hunter2@localhost/team")).await,
            format!("role \"{role}\", which DATABASE_APP_URL names, owns the tables or is a superuser: nothing can be kept from it")
        );
    }
    assert_eq!(
        team.refusal("postgres://services:hunter2@localhost/postgres").await,
        r#"DATABASE_APP_URL names the database "postgres", and the tables are in "team""#
    );
    let reserved = team.refusal("postgres://pg_services:hunter2@localhost/team").await;
    assert_eq!(reserved, r#"role name "pg_services" is reserved"#);
    team.server.execute("alter role owner nocreaterole").await;
    let said = team.refusal("postgres://my-services:hunter2@localhost/team").await;
    for part in
        ["owner may not make or change role \"my-services\"", "CREATEROLE", "create role \"my-services\" login; \\password", "--grant-app"]
    {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    assert_eq!(team.value(unchanged).await, before);
    // The way by hand.
    team.server.execute("create role \"my-services\" login").await;
    grant(&team.owner, &["my-services".to_owned()], &[]).await.unwrap();
}
