//! What the output of hidden tests says.

use process::{Exit, Output};

use super::task::Tests;

/// So many tests that failed, and so many last lines, say why not.
const WHY_LINES: usize = 12;

/// `None` = as many tests as must pass say that they did, and nothing failed; else why not.
pub(super) fn why_not(output: &Output, tests: &Tests) -> Option<String> {
    let text = output.stdout_text();
    let passed = passed(&text);
    if output.exit == Exit::Code(0) && passed >= tests.passed {
        return None;
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let failed = |line: &&&str| {
        let line = line.trim_start();
        ["not ok ", "FAIL: ", "ERROR: "].iter().any(|start| line.starts_with(start)) || line.ends_with(" ... FAILED")
    };
    let mut why: Vec<&str> = lines.iter().filter(failed).take(WHY_LINES).copied().collect();
    why.extend(&lines[lines.len().saturating_sub(WHY_LINES)..]);
    Some(format!("hidden tests: {}, {passed} of {} passed\n{}", output.exit, tests.passed, why.join("\n")))
}

/// How many tests a runner's output says have passed: unittest, cargo test, node --test. What is skipped does not count.
fn passed(output: &str) -> u64 {
    let number = |text: &str| text.trim().split(|char: char| !char.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    let (mut passed, mut ran) = (0, 0);
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) {
            passed += number(rest.1).unwrap_or(0);
        } else if let Some(rest) = line.strip_prefix("# pass ").or_else(|| line.strip_prefix("ℹ pass ")) {
            passed += number(rest).unwrap_or(0);
        } else if let Some(rest) = line.strip_prefix("Ran ") {
            ran = number(rest).unwrap_or(0);
        } else if ["OK", "FAILED"].iter().any(|word| line == *word || line.starts_with(&format!("{word} ("))) {
            let count = |what: &str| line.split_once(what).and_then(|(_, rest)| number(rest)).unwrap_or(0);
            let others: u64 = ["skipped=", "failures=", "errors="].map(count).iter().sum();
            passed += ran.saturating_sub(others);
            ran = 0;
        }
    }
    passed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_summaries_of_the_three_runners_are_counted() {
        assert_eq!(passed("...\nRan 7 tests in 0.002s\n\nOK\n"), 7);
        assert_eq!(passed("Ran 7 tests in 0.002s\n\nOK (skipped=2)\n"), 5);
        assert_eq!(passed("Ran 7 tests in 0.002s\n\nFAILED (failures=1, errors=2, skipped=1)\n"), 3);
        let cargo = "test result: ok. 3 passed; 0 failed; 0 ignored\n\ntest result: ok. 2 passed; 0 failed; 1 ignored\n";
        assert_eq!(passed(cargo), 5);
        assert_eq!(passed("test result: FAILED. 3 passed; 1 failed\n"), 3);
        assert_eq!(passed("# tests 4\n# pass 4\n# fail 0\n"), 4);
        assert_eq!(passed("ℹ tests 4\nℹ pass 3\nℹ fail 1\n"), 3);
    }

    fn output(exit: Exit, stdout: &str) -> Output {
        let duration = Duration::ZERO;
        Output { exit, stdout: stdout.into(), stderr: Vec::new(), stdout_omitted_bytes: 0, stderr_omitted_bytes: 0, duration }
    }

    #[test]
    fn a_program_that_ends_well_before_its_tests_have_run_passes_none() {
        let tests = Tests { command: String::new(), passed: 2, timeout: Duration::from_secs(1) };
        assert_eq!(why_not(&output(Exit::Code(0), "Ran 2 tests in 0.1s\n\nOK\n"), &tests), None);
        let why = why_not(&output(Exit::Code(0), ""), &tests).unwrap();
        assert!(why.contains("exit code 0, 0 of 2 passed"), "{why}");
        let why = why_not(&output(Exit::Code(1), "# pass 2\n"), &tests).unwrap();
        assert!(why.contains("exit code 1, 2 of 2"), "{why}");
        assert!(why_not(&output(Exit::TimedOut, ""), &tests).unwrap().contains("timed out"));
    }
}
