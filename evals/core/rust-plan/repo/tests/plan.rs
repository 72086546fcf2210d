use plan::{Plan, PlanError};

#[test]
fn a_line_without_a_colon_is_named() {
    assert_eq!(Plan::parse("build:\n\ndeploy build\n"), Err(PlanError::Line(3)));
}

#[test]
fn comments_and_empty_lines_are_skipped() {
    assert_eq!(Plan::parse("# first\n\nbuild:\n").unwrap().len(), 1);
}
