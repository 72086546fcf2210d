//! Gates: what is paused is not claimed.

use domain::{JobId, MicroUsd, Mode, NewJob, OwnerId, Scope};
use store::gates::{self, Hold};
use store::queue::{self, LEASE};
use store::{budgets, lanes};
use testkit::{TestDb, new_job};

use crate::{ready, write_job};

async fn claim(test: &TestDb) -> Vec<JobId> {
    let claimed = queue::claim(&test.db, OwnerId::new(), Mode::Mechanic, 9, LEASE, None).await.unwrap();
    claimed.into_iter().map(|job| job.job_id).collect()
}

#[tokio::test]
async fn nothing_of_a_paused_scope_is_claimed_until_it_is_resumed() {
    for scope in [Scope::All, Scope::Mode(Mode::Mechanic), Scope::Repository("acme/shop".to_owned())] {
        let test = TestDb::new().await;
        let job_id = ready(&test.db).await;
        gates::pause(&test.db, &scope, Some("a release")).await.unwrap();
        assert_eq!(claim(&test).await, [], "{scope}");
        assert_eq!(queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, None).await.unwrap(), None, "{scope}, by its id");
        assert!(gates::resume(&test.db, &scope).await.unwrap());
        assert!(!gates::resume(&test.db, &scope).await.unwrap(), "it is open");
        assert_eq!(claim(&test).await, [job_id], "{scope}");
    }
}

#[tokio::test]
async fn a_gate_that_an_alarm_closed_is_resumed_as_well_and_a_budget_that_is_used_up_stays_closed() {
    const MECHANICS: Scope = Scope::Mode(Mode::Mechanic);
    let test = TestDb::new().await;
    let job_id = ready(&test.db).await;
    let by_alarm = "insert into gates (scope, reason, until, detail)
                    values ('mode:mechanic', 'budget', now() + interval '10 days', '{\"alarm\": 1}')
                    on conflict (scope, reason) do update set until = excluded.until, detail = excluded.detail";
    test.execute(by_alarm).await;
    gates::pause(&test.db, &MECHANICS, None).await.unwrap();
    assert_eq!(claim(&test).await, []);
    assert!(gates::resume(&test.db, &MECHANICS).await.unwrap());
    assert_eq!(gates::list(&test.db).await.unwrap(), []);
    // A budget of nothing is used up, whatever the alarm that came on top says.
    budgets::set(&test.db, &MECHANICS, MicroUsd(0)).await.unwrap();
    test.execute(by_alarm).await;
    assert!(gates::resume(&test.db, &MECHANICS).await.unwrap(), "the alarm's part");
    assert_eq!(claim(&test).await, []);
    assert_eq!(
        test.value("select string_agg((detail ? 'alarm')::text || ' ' || (until < now() + interval '1 day')::text, '') from gates").await,
        "false true"
    );
    assert!(!gates::resume(&test.db, &MECHANICS).await.unwrap(), "what is left is the budget's own");
    budgets::remove(&test.db, &MECHANICS).await.unwrap();
    assert_eq!(claim(&test).await, [job_id]);
}

#[tokio::test]
async fn a_gate_holds_back_its_own_scope_only() {
    let test = TestDb::new().await;
    ready(&test.db).await;
    let other = write_job(&test.db, &NewJob { repository: "acme/other".to_owned(), ..new_job() }).await;
    gates::pause(&test.db, &Scope::Repository("acme/shop".to_owned()), None).await.unwrap();
    gates::pause(&test.db, &Scope::Mode(Mode::Genius), None).await.unwrap();
    assert_eq!(claim(&test).await, [other]);
}

#[tokio::test]
async fn a_gate_opens_by_itself_when_its_time_is_over() {
    let test = TestDb::new().await;
    let job_id = ready(&test.db).await;
    test.execute("insert into gates (scope, reason, until, detail) values ('all', 'budget', now() + interval '1 minute', '{}')").await;
    assert_eq!(claim(&test).await, []);
    test.execute("update gates set until = now()").await;
    assert_eq!(claim(&test).await, [job_id]);
}

#[tokio::test]
async fn a_job_that_is_stopped_ends_though_its_scope_is_paused() {
    let test = TestDb::new().await;
    let job_id = ready(&test.db).await;
    gates::pause(&test.db, &Scope::All, None).await.unwrap();
    queue::stop(&test.db, job_id).await.unwrap();
    assert_eq!(claim(&test).await, [job_id]);
}

#[tokio::test]
async fn closed_gates_are_listed_with_why() {
    let test = TestDb::new().await;
    gates::pause(&test.db, &Scope::All, Some("a release")).await.unwrap();
    gates::pause(&test.db, &Scope::All, Some("a longer release")).await.unwrap();
    let listed = gates::list(&test.db).await.unwrap();
    let seen: Vec<_> = listed.iter().map(|gate| (gate.scope.to_string(), gate.reason.as_str(), gate.until, &gate.detail["why"])).collect();
    assert_eq!(seen, [("all".to_owned(), "paused", None, &serde_json::json!("a longer release"))]);
}

#[tokio::test]
async fn a_ready_job_says_what_holds_it_back() {
    let test = TestDb::new().await;
    lanes::limit(&test.db, "acme/shop", Some(1)).await.unwrap();
    let (first, second) = (ready(&test.db).await, ready(&test.db).await);
    assert_eq!(gates::holds(&test.db, second).await.unwrap(), []);
    crate::claim(&test.db, first).await;
    assert_eq!(gates::holds(&test.db, second).await.unwrap(), [Hold::Full { max_running: 1 }]);
    gates::pause(&test.db, &Scope::Mode(Mode::Mechanic), None).await.unwrap();
    gates::pause(&test.db, &Scope::Mode(Mode::Genius), None).await.unwrap();
    let holds = gates::holds(&test.db, second).await.unwrap();
    assert!(matches!(&holds[..], [Hold::Gate(gate), Hold::Full { .. }] if gate.scope == Scope::Mode(Mode::Mechanic)), "{holds:?}");
    assert_eq!(gates::holds(&test.db, first).await.unwrap(), [], "it runs");
    queue::stop(&test.db, second).await.unwrap();
    assert_eq!(gates::holds(&test.db, second).await.unwrap(), [], "its end is decided");
}
