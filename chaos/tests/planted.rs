//! A world in which everything went well, and then is made to look as if it had not: each check has to see it.

use std::path::Path;
use std::time::Duration;

use chaos::check::{Violation, check};
use chaos::model::script::Kind;
use chaos::repository::Repository;
use chaos::world::World;
use process::{Command, run};

const PERMITTED: &[&str] = &["succeeded"];

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_violation_is_seen_and_a_sound_world_has_none() {
    let (_folder, plan) = crate::plan();
    let mut world = World::start(&plan, "planted").await.unwrap();
    for kind in [Kind::Work, Kind::Work, Kind::Talk, Kind::Long] {
        world.ask(kind).await.unwrap();
    }
    world.quiet(Duration::from_secs(120)).await.unwrap();
    world.end().await.unwrap();
    let mut seen = violations(&world).await;
    assert_eq!(seen, []);

    let (job, other) = (world.tickets[0].clone(), world.tickets[1].clone());
    let (job_id, other_id) = (job.job_id.unwrap(), other.job_id.unwrap());
    let of = |name: &str| world.repositories.iter().find(|repository| repository.name == name).unwrap();
    let repository = of(&job.repository);
    let branch = branch_of(repository, &job_id).await;

    world.model.falsify(&job.tag, 2, |served| served.replied += 1);
    planted("no repeated paid call", &world, &mut seen).await;

    // The same greeting and the right number of branches, and not everything else that the job did.
    let long = world.tickets[3].clone();
    let (forge, long_id) = (of(&long.repository), long.job_id.unwrap());
    let whole = branch_of(forge, &long_id).await;
    let path = repository.path.display().to_string();
    git(&forge.path, &["fetch", "--quiet", &path, &format!("+{branch}:{whole}")]).await;
    planted("one visible effect", &world, &mut seen).await;

    git(&repository.path, &["branch", &format!("{branch}-again"), &branch]).await;
    planted("one visible effect", &world, &mut seen).await;

    let pulls = repository.forge.join("pulls");
    std::fs::copy(pulls.join("1.json"), pulls.join("99.json")).unwrap();
    planted("one visible effect", &world, &mut seen).await;

    write(&world, &format!("update steps set epoch = epoch - 1 where job_id = '{other_id}' and step_no = 3 and half = 'results'")).await;
    planted("fences hold", &world, &mut seen).await;

    write(&world, &format!("delete from events where job_id = '{job_id}' and seq = 4")).await;
    planted("nothing twice", &world, &mut seen).await;

    write(
        &world,
        &format!("delete from ledger where job_id = '{job_id}' and seq = (select max(seq) from ledger where job_id = '{job_id}')"),
    )
    .await;
    planted("ledger chains hold", &world, &mut seen).await;

    write(
        &world,
        &format!(
            "drop index ledger_closes;
             insert into ledger (job_id, seq, at, kind, step_no, reservation_seq, model, cost_microusd, hash)
             select job_id, seq + 1, at, kind, step_no, reservation_seq, model, cost_microusd, hash from ledger
             where job_id = '{other_id}' order by seq desc limit 1"
        ),
    )
    .await;
    planted("nothing twice", &world, &mut seen).await;

    let again = format!(
        "insert into ledger (job_id, seq, at, kind, step_no, model, cost_microusd, hash)
         select job_id, seq + 1, at, 'reserved', 1, model, cost_microusd, hash from ledger
         where job_id = '{long_id}' order by seq desc limit 1"
    );
    write(&world, &again).await;
    planted("no repeated paid call", &world, &mut seen).await;
    assert!(seen.iter().any(|violation| violation.what.contains("after its reply was stored")), "{seen:#?}");

    write(&world, &format!("update ledger set cache_write = 200000 where job_id = '{long_id}' and step_no = 1 and kind = 'settled'")).await;
    planted("caps hold", &world, &mut seen).await;

    write(&world, &format!("update jobs set tokens = 50001 where job_id = '{job_id}'")).await;
    planted("caps hold", &world, &mut seen).await;

    write(&world, &format!("insert into queue (job_id, lane, state, waiting_for) values ('{job_id}', 'x', 'waiting', 'answer')")).await;
    planted("nothing lost", &world, &mut seen).await;

    write(&world, &format!("update jobs set outcome = 'stopped' where job_id = '{other_id}'")).await;
    planted("nothing lost", &world, &mut seen).await;

    std::fs::write(world.folder.join("tmp/left"), "").unwrap();
    planted("nothing left behind", &world, &mut seen).await;
}

/// The branch of a job carries the end of its id.
async fn branch_of(repository: &Repository, job_id: &str) -> String {
    let short: String = job_id.chars().filter(char::is_ascii_hexdigit).collect::<String>().split_off(20);
    repository.branches().await.unwrap().into_keys().find(|name| name.contains(&short)).unwrap()
}

/// The check finds something new, and that of this invariant.
async fn planted(invariant: &str, world: &World, seen: &mut Vec<Violation>) {
    let now = violations(world).await;
    let new: Vec<&Violation> = now.iter().filter(|violation| !seen.contains(violation)).collect();
    assert!(new.iter().any(|violation| violation.invariant == invariant), "expected {invariant:?} among what is new: {new:#?}");
    *seen = now;
}

async fn violations(world: &World) -> Vec<Violation> {
    check(world, PERMITTED).await.unwrap().violations
}

/// Past every trigger and reference.
async fn write(world: &World, statements: &str) {
    world
        .database
        .sql
        .execute(&format!("set session_replication_role = replica; {statements}; set session_replication_role = origin"))
        .await
        .unwrap();
}

async fn git(folder: &Path, arguments: &[&str]) {
    let output = run(Command::new("git").args(arguments).cwd(folder).path(testkit::PATH), &Default::default()).await.unwrap();
    assert!(output.exit.success(), "{}", output.stderr_text());
}
