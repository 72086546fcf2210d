//! A thousand jobs, page by page.

use std::collections::BTreeSet;

use testkit::TestDb;

use super::{get, serve, start_job, token};

#[tokio::test]
async fn a_thousand_jobs_are_paged_through_without_loss_while_new_ones_are_written() {
    let db = TestDb::new().await;
    let up = serve(&db).await;
    let token = token(&db, "me", "admin").await;
    // Written as `enqueue` does, only faster.
    db.execute(
        "with written as (
             insert into jobs (job_id, repository, kind, mode, trigger, input)
             select (left(replace(uuid_at(now() - interval '1 minute' + n * interval '1 ms')::text, '-', ''), 20) || lpad(to_hex(n), 12, '0'))::uuid,
                    'acme/shop', 'change', 'mechanic', '{\"by\": \"api\"}', '{\"title\": \"x\"}'
             from generate_series(1, 1000) as n
             returning job_id
         )
         insert into queue (job_id, lane, mode, state) select job_id, 'acme/shop', 'mechanic', 'ready' from written",
    )
    .await;
    let before: BTreeSet<String> = db.value("select string_agg(job_id::text, ' ') from jobs").await.split(' ').map(str::to_owned).collect();
    assert_eq!(before.len(), 1_000);
    for filter in ["", "&state=ready", "&repository=acme/shop&mode=mechanic"] {
        let mut seen = Vec::new();
        let mut path = format!("/api/v1/jobs?limit=37{filter}");
        loop {
            start_job(&up, &token, "meanwhile").await;
            let page = get(&up, &token, &path).await;
            assert_eq!(page.status, 200, "{}", page.json());
            seen.extend(page.json()["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap().to_owned()));
            let Some(link) = page.headers.get("link") else { break };
            path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap().to_owned();
        }
        let once: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(once.len(), seen.len(), "none twice: {filter}");
        assert!(before.is_subset(&once), "none left out: {filter}");
    }
}
