//! Old months go whole, and nothing that somebody still needs goes with them.

use domain::JobId;
use store::StoreError;
use store::ledger::verify;
use store::retention::{self, Keep};
use testkit::TestDb;

use crate::{count, held, take_step};

const ALL: Keep = Keep { events: Some(3), steps: Some(3), ledger: Some(3) };

/// Months long ago, each with a partition of all three tables.
async fn old_months(test: &TestDb, months: &[&str]) {
    for month in months {
        let (lowest, below) = (format!("uuid_at('{month}-01')"), format!("uuid_at(timestamptz '{month}-01' + interval '1 month')"));
        for table in ["events", "steps", "ledger"] {
            let name = format!("{table}_{}", month.replace('-', "_"));
            test.execute(&format!("create table {name} partition of {table} for values from ({lowest}) to ({below})")).await;
        }
    }
}

/// A finished job of the 5th of `month` with two rows in its ledger and some in the other tables.
async fn old_job(test: &TestDb, month: &str) -> JobId {
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    let old = test.value(&format!("select uuid_at('{month}-05 12:00+00')")).await;
    // The same job, as if it had come then.
    test.execute(&format!(
        "begin; set local session_replication_role = replica;
         update events set job_id = '{old}' where job_id = '{job_id}';
         update steps set job_id = '{old}' where job_id = '{job_id}';
         update ledger set job_id = '{old}' where job_id = '{job_id}';
         update jobs set job_id = '{old}' where job_id = '{job_id}';
         update queue set job_id = '{old}' where job_id = '{job_id}';
         do $$ declare r record; h bytea := decode(repeat('00', 32), 'hex'); begin
             for r in select * from ledger where job_id = '{old}' order by seq loop
                 h := ledger_hash(h, r.job_id, r.seq, r.at, r.kind, r.step_no, r.reservation_seq, r.model,
                                  r.uncached_input, r.cache_read, r.cache_write, r.output, r.cost_microusd);
                 update ledger set hash = h where job_id = r.job_id and seq = r.seq;
             end loop;
             update queue set ledger_head = h where job_id = '{old}';
         end $$;
         commit"
    ))
    .await;
    let job_id: JobId = old.parse().unwrap();
    store::finish::finish(&test.db, job_id, epoch, &crate::succeeded(), &serde_json::json!({})).await.unwrap();
    job_id
}

async fn partitions(test: &TestDb) -> String {
    let names = "select string_agg(relname, ' ' order by relname) from pg_class where relname ~ '^(events|steps|ledger)_20(20|21)_' and relkind = 'r'";
    test.value(names).await
}

#[tokio::test]
async fn months_before_those_to_keep_are_found_and_no_others() {
    let test = TestDb::new().await;
    old_months(&test, &["2020-12", "2021-01"]).await;
    let month = test.value("select to_char(now() at time zone 'UTC' - interval '3 months', 'YYYY-MM')").await;
    old_months(&test, &[&month]).await;
    assert_eq!(retention::months(&test.db, Keep::default()).await.unwrap(), []);
    let found = retention::months(&test.db, Keep { ledger: None, ..ALL }).await.unwrap();
    let names: Vec<&str> = found.iter().map(|month| month.partition.as_str()).collect();
    assert_eq!(names, ["events_2020_12", "events_2021_01", "steps_2020_12", "steps_2021_01"], "{month} is the third before this one");
}

#[tokio::test]
async fn a_month_of_finished_jobs_goes_and_the_ledger_says_what_is_missing() {
    let test = TestDb::new().await;
    old_months(&test, &["2020-12", "2021-01"]).await;
    old_job(&test, "2021-01").await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    assert!(verify(&test.db, None).await.unwrap().holds());
    for month in retention::months(&test.db, ALL).await.unwrap() {
        retention::drop_month(&test.db, &month).await.unwrap();
    }
    assert_eq!(partitions(&test).await, "");
    let verified = verify(&test.db, None).await.unwrap();
    assert!(verified.holds(), "{verified:?}");
    let retired: Vec<&str> = verified.retired.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!((retired, verified.jobs), (vec!["ledger_2020_12", "ledger_2021_01"], 1));
    assert_eq!(count(&test, "jobs").await, 2, "jobs stay");
    // What is anchored and not retired may still not go.
    crate::anchors::anchor(&test).await;
    test.execute(&format!(
        "begin; set local session_replication_role = replica; delete from ledger where job_id = '{job_id}';
         update queue set ledger_seq = 0, ledger_head = decode(repeat('00', 32), 'hex'), cost_microusd = 0; commit"
    ))
    .await;
    assert_eq!(verify(&test.db, None).await.unwrap().faults.len(), 1);
}

#[tokio::test]
async fn a_month_that_was_dropped_by_hand_is_a_fault() {
    let test = TestDb::new().await;
    old_months(&test, &["2021-01"]).await;
    let job_id = old_job(&test, "2021-01").await;
    test.execute("drop table ledger_2021_01").await;
    let faults = verify(&test.db, None).await.unwrap().faults;
    assert_eq!(faults.iter().map(|fault| fault.job_id).collect::<Vec<_>>(), [job_id]);
}

#[tokio::test]
async fn a_month_with_an_unfinished_job_stays_and_so_does_one_that_is_not_over() {
    let test = TestDb::new().await;
    old_months(&test, &["2021-01"]).await;
    let job_id = old_job(&test, "2021-01").await;
    test.execute(&format!("insert into queue (job_id, lane, mode, state) values ('{job_id}', 'acme/shop', 'mechanic', 'dead')")).await;
    let months = retention::months(&test.db, ALL).await.unwrap();
    for month in &months {
        assert_eq!(month.unfinished, 1);
        let said = retention::drop_month(&test.db, month).await.unwrap_err();
        assert!(matches!(&said, StoreError::Refused(said) if said.contains("unfinished")), "{said}");
    }
    assert_eq!(partitions(&test).await, "events_2021_01 ledger_2021_01 steps_2021_01");
    let this = test.try_execute("select retire_month('events', now()::date)").await.unwrap_err();
    assert!(this.contains("is not over"), "{this}");
    assert!(test.try_execute("select retire_month('jobs', '2021-01-01')").await.is_err());
    assert!(test.try_execute("select drop_retired('events', '2021-01-01')").await.is_err(), "it is in use");
}

#[tokio::test]
async fn a_busy_table_is_not_waited_for_and_an_interrupted_drop_is_finished_later() {
    let test = TestDb::new().await;
    old_months(&test, &["2021-01"]).await;
    let month = retention::months(&test.db, ALL).await.unwrap().remove(0);
    let mut reader = test.db.pool().begin().await.unwrap();
    sqlx::query("select count(*) from events").execute(&mut *reader).await.unwrap();
    assert!(matches!(retention::drop_month(&test.db, &month).await, Err(StoreError::Unavailable(_))));
    reader.commit().await.unwrap();
    test.execute("select retire_month('events', '2021-01-01')").await;
    assert_eq!(retention::drop_leftovers(&test.db).await.unwrap(), 1);
    assert_eq!(partitions(&test).await, "ledger_2021_01 steps_2021_01");
    assert_eq!(retention::drop_leftovers(&test.db).await.unwrap(), 0);
}

#[tokio::test]
async fn rows_that_came_before_their_months_partition_move_into_it() {
    let test = TestDb::new().await;
    for table in ["events", "steps", "ledger"] {
        let name = test.value(&format!("select '{table}' || to_char(now() at time zone 'UTC', '_YYYY_MM')")).await;
        test.execute(&format!("drop table {name}")).await;
    }
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    assert_eq!(count(&test, "ledger_other").await, 2);
    test.db.create_partitions().await.unwrap();
    assert_eq!(count(&test, "ledger_other").await + count(&test, "events_other").await + count(&test, "steps_other").await, 0);
    assert!(verify(&test.db, None).await.unwrap().holds());
    take_step(&test.db, job_id, epoch, 2).await;
    assert_eq!((count(&test, "ledger").await, count(&test, "ledger_other").await), (4, 0));
    // The moved rows can be changed as little as any.
    for statement in ["delete from ledger", "update ledger_other set seq = 1", "truncate ledger_other"] {
        let said = test.try_execute(statement).await;
        assert!(statement.contains("ledger_other set") || said.is_err(), "{statement}");
    }
    let enabled = "select count(*) from pg_trigger where tgname like '%_append_only' and tgenabled <> 'O'";
    assert_eq!(test.value(enabled).await, "0");
}

#[tokio::test]
async fn bodies_and_keys_go_when_their_time_is_over() {
    let test = TestDb::new().await;
    test.execute(
        "insert into deliveries (delivery_id, event, received_at, body)
         select 'd' || n, 'issues', now() - make_interval(days => n), 'body' from generate_series(28, 33) n;
         insert into deliveries (delivery_id, event, received_at, body)
         select 'old' || n, 'issues', now() - interval '1 year', 'body' from generate_series(1, 2500) n;
         insert into commands (command_id, key, repository, number, actor, command, done_at)
         select gen_random_uuid(), 'k' || n, 'acme/shop', 7, 'bea', '{\"do\": \"status\"}', case when n > 28 then now() - make_interval(days => n) end
         from generate_series(28, 33) n;
         insert into job_keys (key, job_id, expires_at) values ('old', gen_random_uuid(), now()), ('new', gen_random_uuid(), now() + interval '1 day')",
    )
    .await;
    let cleared = retention::clear(&test.db).await.unwrap();
    assert_eq!((cleared.bodies, cleared.keys, cleared.commands), (2_504, 1, 4));
    assert_eq!(
        test.value("select string_agg(delivery_id, ' ' order by delivery_id) from deliveries where body is not null").await,
        "d28 d29"
    );
    assert_eq!(test.value("select string_agg(key, ' ') from job_keys").await, "new");
    assert_eq!(
        test.value("select string_agg(key, ' ' order by key) from commands").await,
        "k28 k29",
        "one is not done, one is not old enough"
    );
    assert_eq!(retention::clear(&test.db).await.unwrap(), retention::Cleared::default());
}

#[tokio::test]
async fn what_was_said_goes_with_its_job_and_later_where_a_pull_request_may_still_be_talked_about() {
    let test = TestDb::new().await;
    let jobs = [held(&test.db).await.0, held(&test.db).await.0, held(&test.db).await.0];
    let [ended, with_pull, dead] = jobs;
    test.execute(&format!(
        "insert into effects (job_id, name, state, detail) values ('{with_pull}', 'pull_request', 'confirmed', '{{}}');
         delete from queue where job_id <> '{dead}';
         insert into outbox (channel, repository, job_id, part, key, detail, urgency, done_at)
         select 'acme', 'acme/shop', job_id, part, concat_ws(' ', name, part, days), '{{}}', 0, now() - make_interval(days => days)
         from (values ('{ended}'::uuid, 'ended'), ('{with_pull}', 'pull'), ('{dead}', 'dead'), (null, 'nobody')) as job (job_id, name)
         cross join unnest(array['reaction', 'comment', 'check_run', 'notice']) part
         cross join unnest(array[29, 31, 366]) days;
         insert into outbox (channel, repository, part, key, detail, urgency) values ('acme', 'acme/shop', 'notice', 'not said', '{{}}', 0)"
    ))
    .await;
    assert_eq!(retention::clear(&test.db).await.unwrap().said, 8 + 6 + 8);
    let left = "select string_agg(key, ', ' order by key) from outbox where key not like 'dead %' and key not like '% 29'";
    assert_eq!(test.value(left).await, "not said, pull check_run 31, pull comment 31");
    assert_eq!(count(&test, "outbox where key like 'dead %'").await, 12);
    assert_eq!(count(&test, "outbox where key like '% 29'").await, 16);
}
