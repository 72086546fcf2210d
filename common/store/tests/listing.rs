//! Lists of jobs: filters, pages, steps.

use domain::{Kind, Mode, NewJob, Outcome, OutcomeName, QueueState};
use serde_json::json;
use store::listing::{self, Filter, State};
use store::{Db, finish};
use testkit::{TestDb, new_job};

use crate::{claim, held, now, ready, reserve, succeeded, take_step, waiting, write_job};

/// The ids of every page, from the first to the last.
async fn follow(db: &Db, filter: &Filter, limit: u32) -> Vec<String> {
    let (mut ids, mut before) = (Vec::new(), None);
    loop {
        let page = listing::page(db, filter, before, limit).await.unwrap();
        assert!(page.jobs.len() <= limit as usize);
        ids.extend(page.jobs.iter().map(|job| job.job_id.to_string()));
        match page.next {
            Some(next) => before = Some(next),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn every_filter_shows_the_jobs_that_it_names_and_no_others() {
    let test = TestDb::new().await;
    let db = &test.db;
    let lost = ready(db).await;
    let epoch = claim(db, lost).await;
    finish::finish(db, lost, epoch, &Outcome::Dead { cause: "lost".to_owned() }, &json!({})).await.unwrap();
    let done = ready(db).await;
    let epoch = claim(db, done).await;
    take_step(db, done, epoch, 1).await;
    finish::finish(db, done, epoch, &succeeded(), &json!({})).await.unwrap();
    let later = now();
    test.execute(&format!("update jobs set created_at = created_at - interval '1 minute' where job_id in ('{lost}', '{done}')")).await;
    let untriaged = waiting(db).await;
    let genius = NewJob { mode: Some(Mode::Genius), kind: Kind::Review, repository: "acme/till".to_owned(), ..new_job() };
    let genius = write_job(db, &genius).await;
    let (running, _) = held(db).await;
    let all = Filter::default();
    let queued = |state| Filter { state: Some(State::Queued(state)), ..Filter::default() };
    let cases = [
        (all.clone(), vec![running, genius, untriaged, done, lost]),
        (queued(QueueState::Ready), vec![genius]),
        (queued(QueueState::Leased), vec![running]),
        (queued(QueueState::Waiting), vec![untriaged]),
        (queued(QueueState::Dead), vec![lost]),
        (Filter { repository: Some("acme/till".to_owned()), ..queued(QueueState::Ready) }, vec![genius]),
        (Filter { mode: Some(Mode::Mechanic), ..queued(QueueState::Ready) }, vec![]),
        (Filter { kind: Some(Kind::Review), ..queued(QueueState::Ready) }, vec![genius]),
        (Filter { since: Some(later), ..queued(QueueState::Dead) }, vec![]),
        (Filter { outcome: Some(OutcomeName::Dead), ..queued(QueueState::Dead) }, vec![lost]),
        (Filter { state: Some(State::Finished), ..all.clone() }, vec![done]),
        (Filter { repository: Some("acme/till".to_owned()), ..all.clone() }, vec![genius]),
        (Filter { mode: Some(Mode::Genius), ..all.clone() }, vec![genius]),
        (Filter { kind: Some(Kind::Change), ..all.clone() }, vec![running, untriaged, done, lost]),
        (Filter { outcome: Some(OutcomeName::Succeeded), ..all.clone() }, vec![done]),
        (Filter { since: Some(later), ..all.clone() }, vec![running, genius, untriaged]),
        (Filter { kind: Some(Kind::Question), ..all }, vec![]),
    ];
    for (filter, jobs) in cases {
        let jobs: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        for limit in [1, 2, 100] {
            assert_eq!(follow(db, &filter, limit).await, jobs, "{filter:?}, {limit} a page");
        }
    }
    let line = listing::page(db, &Filter { state: Some(State::Finished), ..Filter::default() }, None, 1).await.unwrap().jobs.remove(0);
    assert_eq!(
        (line.outcome, line.steps, line.cost_microusd.0, line.title.as_str()),
        (Some(OutcomeName::Succeeded), 1, 150, "Fix the rounding")
    );
}

#[tokio::test]
async fn a_page_costs_the_same_however_rare_its_jobs_are() {
    let test = TestDb::new().await;
    let first = ready(&test.db).await;
    test.execute("update jobs set repository = 'acme/rare'").await;
    test.execute(
        "insert into jobs (job_id, repository, kind, trigger, input)
         select (left(replace(uuid_at(now() + n * interval '1 ms')::text, '-', ''), 20) || lpad(to_hex(n), 12, '0'))::uuid,
                'acme/shop', 'change', '{\"by\": \"api\"}', '{\"title\": \"x\"}'
         from generate_series(1, 20000) as n",
    )
    .await;
    let filter = Filter { repository: Some("acme/rare".to_owned()), ..Filter::default() };
    let page = listing::page(&test.db, &filter, None, 10).await.unwrap();
    assert!(page.jobs.is_empty(), "it is not among the newest 20,000");
    assert!(page.next.is_some(), "but more may follow");
    assert_eq!(follow(&test.db, &filter, 10).await, [first.to_string()]);
}

#[tokio::test]
async fn a_step_is_listed_with_what_it_took_and_on_request_with_what_its_tools_said() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    let reservation = reserve(&test.db, job_id, epoch, 2).await;
    store::steps::store_reply(&test.db, job_id, epoch, &crate::answer(2, reservation)).await.unwrap();
    let steps = listing::steps(&test.db, job_id, 0, 10, false).await.unwrap();
    let seen: Vec<_> = steps.iter().map(|step| (step.step_no, step.model_ms, step.tools_ms, step.tree.as_deref())).collect();
    assert_eq!(seen, [(1, 120, Some(30), Some("tree")), (2, 120, None, None)]);
    assert_eq!(steps[1].replied.as_ref().unwrap()["tools"], json!(["shell"]));
    assert!(steps[0].results.is_none());
    let steps = listing::steps(&test.db, job_id, 0, 1, true).await.unwrap();
    assert_eq!((steps.len(), &steps[0].results), (1, &Some(json!({ "said": 1 }))));
    assert_eq!(listing::steps(&test.db, job_id, 1, 10, false).await.unwrap()[0].step_no, 2);
}
