//! Halts whoever sends the N-th writing statement, in the middle of it.
//!
//! Triggers on every table that a worker writes count statements; the session that sends the N-th waits inside
//! of it until it is let go. What they count with are sequences, since those stand outside of transactions: they
//! can be read while the statement has not ended, and a rollback does not turn them back.

use e2e::wait::until;
use testkit::TestDb;

const TABLES: [&str; 6] = ["jobs", "queue", "steps", "events", "ledger", "effects"];

/// The triggers on one database.
pub struct Halt<'a> {
    db: &'a TestDb,
}

impl<'a> Halt<'a> {
    /// Counts from now on and halts the statement number `at`, from 1; 0 halts none.
    pub async fn at(db: &'a TestDb, at: usize) -> Self {
        for sequence in ["halt_statements", "halt_session", "halt_over"] {
            db.execute(&format!("create sequence {sequence} minvalue 0 start 0")).await;
        }
        db.execute("select nextval('halt_statements')").await;
        db.execute(&format!(
            "create function halt() returns trigger language plpgsql as $$
             begin
                 if current_setting('halt.seen', true) is distinct from statement_timestamp()::text then
                     perform set_config('halt.seen', statement_timestamp()::text, false);
                     if nextval('halt_statements') = {at} then
                         perform setval('halt_session', pg_backend_pid());
                         while (select last_value from halt_over) = 0 loop
                             perform pg_sleep(0.005);
                         end loop;
                     end if;
                 end if;
                 if tg_op = 'DELETE' then return old; end if;
                 return new;
             end
             $$"
        ))
        .await;
        for table in TABLES {
            db.execute(&format!("create trigger halt before insert or update or delete on {table} for each row execute function halt()"))
                .await;
        }
        Self { db }
    }

    /// The writing statements so far.
    pub async fn statements(&self) -> usize {
        self.db.value("select last_value from halt_statements").await.parse().expect("a sequence holds a number")
    }

    /// Waits until a session is halted.
    pub async fn reached(&self) {
        until("a statement is halted", async || (self.session().await != "0").then_some(())).await;
    }

    /// Lets the statement end, and waits until it has.
    pub async fn let_go(&self) {
        self.db.execute("select setval('halt_over', 1)").await;
        let query = format!("select count(*) from pg_stat_activity where pid = {} and state = 'active'", self.session().await);
        until("the statement has ended", async || (self.db.value(&query).await == "0").then_some(())).await;
    }

    /// Ends the session, so that its statement never happened.
    pub async fn undo(&self) {
        let session = self.session().await;
        self.db.execute(&format!("select pg_terminate_backend({session})")).await;
        let query = format!("select count(*) from pg_stat_activity where pid = {session}");
        until("the session is gone", async || (self.db.value(&query).await == "0").then_some(())).await;
    }

    async fn session(&self) -> String {
        self.db.value("select last_value from halt_session").await
    }
}
