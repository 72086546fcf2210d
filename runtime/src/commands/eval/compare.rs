//! A run beside the one before.

use std::collections::BTreeMap;

use domain::MicroUsd;
use serde::{Deserialize, Serialize};

use super::score::{Score, Scored};
use crate::screen::thousands;

/// What is read of a run before; whatever else its file says is for people.
#[derive(Debug, Deserialize)]
pub(super) struct LastRun {
    started_at: String,
    models: Vec<String>,
    tasks: Vec<LastTask>,
}

#[derive(Debug, Deserialize)]
struct LastTask {
    task: String,
    score: String,
    steps: i64,
    tokens: i64,
    cost_microusd: MicroUsd,
}

/// What differs. Sums are over the tasks that both ran.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Comparison {
    /// When the run before was started.
    with: String,
    /// The models that replied then, where they were others.
    other_models: Option<Vec<String>>,
    /// Tasks that both ran.
    both: usize,
    /// Solved now and not then.
    newly_solved: Vec<String>,
    /// Solved then and not now.
    no_longer_solved: Vec<String>,
    steps: i64,
    tokens: i64,
    cost_microusd: MicroUsd,
}

impl Comparison {
    /// Compares `tasks`, to which `models` replied, with `last`.
    pub(super) fn new(last: &LastRun, tasks: &[Scored], models: &[String]) -> Self {
        let before: BTreeMap<&str, &LastTask> =
            last.tasks.iter().filter(|task| task.score != "not_run").map(|task| (task.task.as_str(), task)).collect();
        let ran = tasks.iter().filter(|task| task.score != Score::NotRun);
        let both: Vec<(&Scored, &LastTask)> = ran.filter_map(|task| before.get(task.task.as_str()).map(|before| (task, *before))).collect();
        let changed = |now: Score, then: &str| {
            let is = both.iter().filter(|(task, before)| task.score == now && before.score == then);
            is.map(|(task, _)| task.task.clone()).collect::<Vec<_>>()
        };
        Self {
            with: last.started_at.clone(),
            other_models: (last.models != models).then(|| last.models.clone()),
            both: both.len(),
            newly_solved: changed(Score::Solved, "unsolved"),
            no_longer_solved: changed(Score::Unsolved, "solved"),
            steps: both.iter().map(|(now, then)| i64::from(now.steps) - then.steps).sum(),
            tokens: both.iter().map(|(now, then)| i64::try_from(now.tokens).unwrap_or(i64::MAX) - then.tokens).sum(),
            cost_microusd: both.iter().map(|(now, then)| now.cost_microusd - then.cost_microusd).sum(),
        }
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let plus = |number: i64| format!("{}{}", if number < 0 { "-" } else { "+" }, thousands(number.unsigned_abs()));
        let sign = if self.cost_microusd < MicroUsd::ZERO { "" } else { "+" };
        let mut lines = vec![format!(
            "against the run of {}, over {} tasks that both ran: {} steps, {} tokens, {sign}{}",
            self.with,
            self.both,
            plus(self.steps),
            plus(self.tokens),
            self.cost_microusd
        )];
        if let Some(models) = &self.other_models {
            lines.push(format!("other models then: {}", models.join(", ")));
        }
        for (what, tasks) in [("newly solved", &self.newly_solved), ("no longer solved", &self.no_longer_solved)] {
            if !tasks.is_empty() {
                lines.push(format!("{what}: {}", tasks.join(", ")));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use domain::{Kind, Mode};

    use super::*;

    fn scored(task: &str, score: Score, steps: u32) -> Scored {
        Scored {
            task: task.to_owned(),
            kind: Kind::Change,
            mode: Mode::Mechanic,
            languages: Vec::new(),
            score,
            why: Vec::new(),
            outcome: String::new(),
            finished: true,
            models: Vec::new(),
            steps,
            tokens: 1_000 * u64::from(steps),
            cost_microusd: MicroUsd(100 * i64::from(steps)),
            active_ms: 0,
            duration_ms: 0,
            produced: String::new(),
        }
    }

    #[test]
    fn what_both_ran_is_compared_and_nothing_else() {
        let before = [
            scored("a", Score::Unsolved, 5),
            scored("b", Score::Solved, 5),
            scored("c", Score::NotRun, 0),
            scored("gone", Score::Solved, 9),
        ];
        let file = serde_json::json!({ "started_at": "2026-11-26T10:00:00Z", "models": ["m"], "tasks": before, "more": 1 });
        let last: LastRun = serde_json::from_value(file).unwrap();
        let now = [
            scored("a", Score::Solved, 3),
            scored("b", Score::Unsolved, 6),
            scored("c", Score::Solved, 7),
            scored("new", Score::Solved, 7),
        ];
        let compared = Comparison::new(&last, &now, &["m".to_owned()]);
        assert_eq!((compared.both, &compared.other_models), (2, &None));
        assert_eq!((compared.newly_solved.clone(), compared.no_longer_solved.clone()), (vec!["a".to_owned()], vec!["b".to_owned()]));
        assert_eq!((compared.steps, compared.tokens, compared.cost_microusd), (-1, -1_000, MicroUsd(-100)));
        let lines = compared.lines().join("\n");
        assert!(lines.contains("over 2 tasks that both ran: -1 steps, -1,000 tokens, -$0.0001"), "{lines}");
        assert!(Comparison::new(&last, &now, &[]).lines().join("\n").contains("other models then: m"));
    }
}
