use plan::{Plan, PlanError};

fn plan(text: &str) -> Plan {
    Plan::parse(text).unwrap()
}

#[test]
fn a_step_is_in_the_first_stage_that_it_can_be_in() {
    let plan = plan("deploy: build, migrate\nbuild: fetch\nmigrate:\nfetch:\nnotify: deploy\nlint: fetch\n");
    let stages = plan.stages().unwrap();
    assert_eq!(stages, [vec!["fetch", "migrate"], vec!["build", "lint"], vec!["deploy"], vec!["notify"]]);
    assert_eq!(plan.order().unwrap(), ["fetch", "migrate", "build", "lint", "deploy", "notify"]);
}

#[test]
fn an_empty_plan_has_no_stage() {
    assert_eq!(plan("# nothing\n").stages().unwrap(), Vec::<Vec<&str>>::new());
    assert!(plan("").order().unwrap().is_empty());
}

#[test]
fn a_circle_is_named_from_the_step_that_sorts_first() {
    let error = plan("z: start\nstart:\nc: a\nb: c\na: b, start\nafter: a\n").stages().unwrap_err();
    assert_eq!(error, PlanError::Circle(vec!["a".into(), "b".into(), "c".into()]));
    assert_eq!(error.to_string(), "a needs b needs c needs a");
}

#[test]
fn a_step_that_needs_itself_is_a_circle_of_one() {
    let error = plan("a:\nb: a, b\n").order().unwrap_err();
    assert_eq!(error, PlanError::Circle(vec!["b".into()]));
    assert_eq!(error.to_string(), "b needs b");
}

#[test]
fn what_only_leads_into_a_circle_is_not_part_of_it() {
    let error = plan("a: b\nb: c\nc: d\nd: c\n").stages().unwrap_err();
    assert_eq!(error, PlanError::Circle(vec!["c".into(), "d".into()]));
}

#[test]
fn what_is_not_in_the_plan_comes_before_circles() {
    let error = plan("a: b\nb: a\ndeploy: a, migrate\n").stages().unwrap_err();
    assert_eq!(error, PlanError::Unknown { step: "deploy".into(), needs: "migrate".into() });
    assert_eq!(error.to_string(), "deploy needs migrate, which is not in the plan");
}

#[test]
fn steps_are_there_once_and_needs_count_once() {
    let error = Plan::parse("build:\nlint:\nbuild: lint\n").unwrap_err();
    assert_eq!(error.to_string(), "build is there twice");
    assert!(matches!(error, PlanError::Twice(..)));
    let plan = plan("a:\nb: a, a\nc: b\n");
    assert_eq!(plan, Plan::parse("a:\nb: a\nc: b\n").unwrap());
    assert_eq!(plan.stages().unwrap().len(), 3);
}

#[test]
fn long_chains_and_wide_plans_take_no_time() {
    let chain: String = (1..20_000).map(|number| format!("s{number}: s{}\n", number - 1)).collect();
    let stages = plan(&(chain.clone() + "s0:\n"));
    assert_eq!(stages.stages().unwrap().len(), 20_000);
    let circle = plan(&(chain + "s0: s19999\n"));
    assert!(matches!(circle.stages(), Err(PlanError::Circle(steps)) if steps.len() == 20_000));
    let wide: String = (0..20_000).map(|number| format!("w{number}: base\n")).collect();
    assert_eq!(plan(&(wide + "base:\n")).stages().unwrap()[1].len(), 20_000);
}
