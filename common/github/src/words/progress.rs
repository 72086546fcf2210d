//! The comment and the check run that tell how a job goes.

use domain::{Caps, JobId, Kind, Mode, Outcome, Spent};

use super::Language;
use crate::{CheckAction, CheckRun, CheckState};

/// How a job stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Progress {
    /// The job.
    pub job_id: JobId,
    /// What it produces.
    pub kind: Kind,
    /// Who does it.
    pub mode: Mode,
    /// The model of its last call.
    pub model: Option<String>,
    /// What goes on.
    pub stage: Stage,
    /// What it has spent.
    pub spent: Spent,
    /// What it may spend.
    pub caps: Caps,
    /// The commit that it starts from, once its checkout is ready.
    pub base: Option<String>,
    /// The tools of its last step.
    pub tools: Vec<String>,
    /// Where its result is.
    pub links: Vec<Link>,
    /// What its preparation noted: told at the end where there is no result to tell it with.
    pub notes: Vec<String>,
}

/// A place to look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Link {
    /// The pull request.
    PullRequest(String),
    /// The review.
    Review(String),
    /// The comment with the answer.
    Comment(String),
    /// The branch, by its name.
    Branch(String),
}

/// What goes on with a job.
#[derive(Clone, PartialEq, Debug)]
pub enum Stage {
    /// No worker has it yet.
    Queued,
    /// A worker has it.
    Working,
    /// Something was away; it is tried again.
    TriedAgain {
        /// What happened, in that language.
        cause: String,
    },
    /// A day's budget has no room for it.
    WaitsForBudget,
    /// It asked a person.
    Asks {
        /// What.
        question: String,
    },
    /// It waits for a moment.
    Sleeps,
    /// Somebody asked it to stop.
    Stopping,
    /// It ended.
    Ended {
        /// How, in the words and the language in which it is published.
        outcome: Outcome,
    },
}

/// The comment: where it stands, what it took of what it may take, what was done, how to steer it. `marker` is what it is found by.
pub fn comment(progress: &Progress, language: Language, marker: &str) -> String {
    let mut text = format!("**AI Code Team** · {}\n\n{}\n", headline(progress, language), table(progress, language));
    text.push_str(&checklist(progress, language));
    if let Some(detail) = detail(progress, language) {
        text.push_str(&format!("\n{detail}\n"));
    }
    if !progress.notes.is_empty() && matches!(&progress.stage, Stage::Ended { outcome } if !matches!(outcome, Outcome::Succeeded { .. })) {
        let notes: String = progress.notes.iter().map(|note| format!("- {note}\n")).collect();
        text.push_str(&format!("\n{}\n\n{notes}", language.pick("Notes:", "Observações:")));
    }
    let steering = match progress.stage {
        Stage::Ended { ref outcome } => next_command(outcome, language),
        _ => language
            .pick(
                "Steer it with `/codeteam hint …`, end it with `/codeteam stop`, ask with `/codeteam status`.",
                "Oriente com `/codeteam hint …`, encerre com `/codeteam stop`, pergunte com `/codeteam status`.",
            )
            .to_owned(),
    };
    format!("{text}\n{steering}\n\n<sub>job {}</sub>\n{marker}\n", progress.job_id)
}

/// The same as a check run of `commit`, with its buttons.
pub fn check_run(progress: &Progress, language: Language, commit: &str) -> CheckRun {
    let (state, actions) = match &progress.stage {
        Stage::Queued => (CheckState::Queued, vec![CheckAction::Stop]),
        Stage::Asks { .. } | Stage::Working | Stage::TriedAgain { .. } | Stage::WaitsForBudget | Stage::Sleeps => {
            (CheckState::InProgress, vec![CheckAction::Stop])
        }
        Stage::Stopping => (CheckState::InProgress, vec![]),
        Stage::Ended { outcome } => (ended(outcome), vec![CheckAction::Retry]),
    };
    let mut summary = format!("{}\n", table(progress, language));
    summary.push_str(&checklist(progress, language));
    if let Some(detail) = detail(progress, language) {
        summary.push_str(&format!("\n{detail}\n"));
    }
    CheckRun {
        job_id: progress.job_id,
        commit: commit.to_owned(),
        name: format!("AI Code Team {}", progress.job_id.short()),
        state,
        title: headline(progress, language),
        summary,
        actions,
    }
}

fn ended(outcome: &Outcome) -> CheckState {
    match outcome {
        Outcome::Succeeded { finish } if finish.needs_human.is_some() => CheckState::ActionRequired,
        Outcome::Succeeded { .. } => CheckState::Success,
        Outcome::Stopped => CheckState::Cancelled,
        Outcome::Capped { .. } | Outcome::Failed { .. } | Outcome::Dead { .. } | Outcome::Refused { .. } => CheckState::Neutral,
    }
}

fn headline(progress: &Progress, language: Language) -> String {
    let stage = match &progress.stage {
        Stage::Queued => language.pick("queued", "na fila"),
        Stage::Working => language.pick("working", "trabalhando"),
        Stage::TriedAgain { .. } => language.pick("will be tried again", "será tentado de novo"),
        Stage::WaitsForBudget => language.pick("waits for a budget", "espera por orçamento"),
        Stage::Asks { .. } => language.pick("waits for your answer", "espera pela sua resposta"),
        Stage::Sleeps => language.pick("waits", "espera"),
        Stage::Stopping => language.pick("stopping", "encerrando"),
        Stage::Ended { outcome } => match outcome {
            Outcome::Succeeded { finish } if finish.needs_human.is_some() => {
                language.pick("a person has to decide", "uma pessoa precisa decidir")
            }
            Outcome::Succeeded { .. } => language.pick("done", "pronto"),
            Outcome::Capped { .. } => language.pick("stopped at a cap", "parou em um limite"),
            Outcome::Failed { .. } => language.pick("failed", "falhou"),
            Outcome::Stopped => language.pick("stopped on request", "encerrado a pedido"),
            Outcome::Dead { .. } => language.pick("gave up", "desistiu"),
            Outcome::Refused { .. } => language.pick("refused", "recusado"),
        },
    };
    let kind = match progress.kind {
        Kind::Change => language.pick("change", "mudança"),
        Kind::Analysis => language.pick("analysis", "análise"),
        Kind::Review => language.pick("review", "revisão"),
        Kind::Question => language.pick("question", "pergunta"),
    };
    let model = progress.model.as_ref().map(|model| format!(", {model}")).unwrap_or_default();
    format!("{stage} · {kind}, {}{model}", progress.mode)
}

fn table(Progress { spent, caps, .. }: &Progress, language: Language) -> String {
    let (steps, tokens, cost, time) = match language {
        Language::English => ("steps", "tokens", "cost", "time"),
        Language::Portuguese => ("passos", "tokens", "custo", "tempo"),
    };
    let of = language.pick("of", "de");
    format!(
        "| {steps} | {tokens} | {cost} | {time} |\n| --- | --- | --- | --- |\n| {} {of} {} | {} {of} {} | {} {of} {} | {} {of} {} |\n",
        spent.steps,
        caps.steps,
        language.thousands(spent.tokens),
        language.thousands(caps.tokens),
        spent.cost_microusd.exact(),
        caps.cost_microusd.exact(),
        clock(spent.active_ms),
        clock(caps.active_ms),
    )
}

/// Minutes and seconds.
fn clock(ms: u64) -> String {
    format!("{}:{:02}", ms / 60_000, ms / 1_000 % 60)
}

fn checklist(progress: &Progress, language: Language) -> String {
    let ended = matches!(progress.stage, Stage::Ended { .. });
    let started = progress.spent.steps > 0;
    let checkout = match &progress.base {
        Some(commit) => format!("{} `{}`", language.pick("checkout of", "cópia de"), commit.get(..10).unwrap_or(commit)),
        None => language.pick("checkout", "cópia do repositório").to_owned(),
    };
    let work = match (ended, progress.tools.as_slice()) {
        (true, _) | (false, []) => language.pick("work", "trabalho").to_owned(),
        (false, tools) => {
            let tools: Vec<String> = tools.iter().map(|tool| format!("`{tool}`")).collect();
            format!("{} {}: {}", language.pick("work, step", "trabalho, passo"), progress.spent.steps, tools.join(", "))
        }
    };
    let result = if progress.links.is_empty() {
        let none = match progress.kind {
            Kind::Change => language.pick("draft pull request", "pull request em rascunho"),
            Kind::Review => language.pick("review", "revisão"),
            Kind::Analysis | Kind::Question => language.pick("answer", "resposta"),
        };
        none.to_owned()
    } else {
        progress.links.iter().map(|link| link.markdown(language)).collect::<Vec<_>>().join(", ")
    };
    let rows = [
        (true, language.pick("accepted", "aceito").to_owned()),
        (progress.base.is_some(), checkout),
        (ended && started, work),
        (!progress.links.is_empty(), result),
    ];
    rows.iter().map(|(done, what)| format!("- {} {what}\n", if *done { "☑" } else { "☐" })).collect()
}

impl Link {
    fn markdown(&self, language: Language) -> String {
        match self {
            Self::PullRequest(url) => format!("[pull request]({url})"),
            Self::Review(url) => format!("[{}]({url})", language.pick("review", "revisão")),
            Self::Comment(url) => format!("[{}]({url})", language.pick("answer", "resposta")),
            Self::Branch(name) => format!("{} `{name}`", language.pick("branch", "ramo")),
        }
    }
}

/// What a person should know beside the headline: a question, a cause, what was kept.
fn detail(progress: &Progress, language: Language) -> Option<String> {
    let kept = language.pick("What was done until then is kept.", "O que foi feito até ali está guardado.");
    match &progress.stage {
        Stage::Asks { question } => {
            let how = language.pick("Answer with", "Responda com");
            Some(format!("**{question}**\n\n{how} `/codeteam hint …`."))
        }
        Stage::TriedAgain { cause } => Some(format!("{}: {cause}", language.pick("The last attempt failed", "A última tentativa falhou"))),
        Stage::WaitsForBudget => Some(
            language
                .pick(
                    "A budget of the day is used up; it goes on when there is room again.",
                    "Um orçamento do dia acabou; continua quando houver espaço de novo.",
                )
                .to_owned(),
        ),
        Stage::Ended { outcome } => match outcome {
            Outcome::Succeeded { finish } => finish.needs_human.clone().map(|question| format!("**{question}**")),
            Outcome::Capped { cap } => {
                let reached = language.pick("Its cap was reached:", "Limite atingido:");
                Some(format!("{reached} {}. {kept}", language.cap(*cap)))
            }
            Outcome::Failed { cause } | Outcome::Dead { cause } => Some(format!("{}: {cause}\n\n{kept}", language.pick("Cause", "Causa"))),
            Outcome::Refused { reason } => Some(reason.clone()),
            Outcome::Stopped => Some(kept_of_stopped(progress.job_id, progress.spent.steps, language)),
        },
        Stage::Queued | Stage::Working | Stage::Sleeps | Stage::Stopping => None,
    }
}

/// What is left of a job that was stopped, and how a person gets at it: nothing of it was pushed.
pub fn kept_of_stopped(job_id: JobId, steps: u32, language: Language) -> String {
    match (steps, language) {
        (0, Language::English) => "Nothing had been done yet, and nothing was pushed.".to_owned(),
        (0, Language::Portuguese) => "Nada tinha sido feito ainda, e nada foi enviado.".to_owned(),
        (_, Language::English) => {
            format!("Nothing was pushed. What was done until then is kept: `codeteam show {job_id} --diff` shows the change.")
        }
        (_, Language::Portuguese) => {
            format!("Nada foi enviado. O que foi feito até ali está guardado: `codeteam show {job_id} --diff` mostra a mudança.")
        }
    }
}

fn next_command(outcome: &Outcome, language: Language) -> String {
    let text = match outcome {
        Outcome::Succeeded { .. } => language.pick(
            "Not what you meant? `/codeteam retry`, by a larger model `/codeteam retry genius`.",
            "Não era isso? `/codeteam retry`, com um modelo maior `/codeteam retry genius`.",
        ),
        Outcome::Capped { .. } => language.pick(
            "More room and a larger model: `/codeteam retry genius`. The same again: `/codeteam retry`.",
            "Mais espaço e um modelo maior: `/codeteam retry genius`. O mesmo de novo: `/codeteam retry`.",
        ),
        _ => language.pick("Again: `/codeteam retry`.", "De novo: `/codeteam retry`."),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use domain::job::Confidence;
    use domain::{CapReached, Finish, MicroUsd};

    use super::*;

    fn progress(stage: Stage) -> Progress {
        Progress {
            job_id: "019ac000-0000-7000-8000-0000000000aa".parse().unwrap(),
            kind: Kind::Change,
            mode: Mode::Mechanic,
            model: Some("gpt-5-mini".to_owned()),
            stage,
            spent: Spent { steps: 3, tokens: 12_400, cost_microusd: MicroUsd(41_250), active_ms: 21_900 },
            caps: Caps::MECHANIC,
            base: Some("1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d".to_owned()),
            tools: vec!["edit_file".to_owned(), "shell".to_owned()],
            links: Vec::new(),
            notes: vec!["dependencies: `cargo fetch` fetched them".to_owned()],
        }
    }

    fn finish(needs_human: Option<&str>) -> Outcome {
        let finish = Finish {
            summary: "Rounds half to even.".to_owned(),
            title: "Round half to even".to_owned(),
            tests_run: Vec::new(),
            confidence: Confidence::High,
            needs_human: needs_human.map(str::to_owned),
            comments: Vec::new(),
        };
        Outcome::Succeeded { finish }
    }

    #[test]
    fn a_working_job_shows_what_it_took_of_what_it_may_take() {
        let text = comment(&progress(Stage::Working), Language::English, "<!-- m -->");
        assert_eq!(
            text,
            "**AI Code Team** · working · change, mechanic, gpt-5-mini\n\n\
             | steps | tokens | cost | time |\n\
             | --- | --- | --- | --- |\n\
             | 3 of 20 | 12,400 of 50,000 | $0.041250 of $0.500000 | 0:21 of 1:00 |\n\n\
             - ☑ accepted\n\
             - ☑ checkout of `1a2b3c4d5e`\n\
             - ☐ work, step 3: `edit_file`, `shell`\n\
             - ☐ draft pull request\n\n\
             Steer it with `/codeteam hint …`, end it with `/codeteam stop`, ask with `/codeteam status`.\n\n\
             <sub>job 019ac000-0000-7000-8000-0000000000aa</sub>\n\
             <!-- m -->\n"
        );
    }

    #[test]
    fn a_failure_names_its_cause_what_was_kept_and_the_next_command() {
        let capped = progress(Stage::Ended { outcome: Outcome::Capped { cap: CapReached::Tokens } });
        let text = comment(&capped, Language::English, "");
        assert!(text.contains("Its cap was reached: tokens. What was done until then is kept."), "{text}");
        assert!(text.contains("`/codeteam retry genius`"), "{text}");
        let failed = progress(Stage::Ended { outcome: Outcome::Failed { cause: "no branch \"main\"".to_owned() } });
        let text = comment(&failed, Language::Portuguese, "");
        assert!(text.contains("no branch \"main\"") && text.contains("guardado") && text.contains("De novo: `/codeteam retry`."), "{text}");
    }

    #[test]
    fn a_stopped_job_says_that_nothing_was_pushed_and_how_to_get_what_is_kept() {
        let stopped = progress(Stage::Ended { outcome: Outcome::Stopped });
        let text = comment(&stopped, Language::English, "");
        let how = "Nothing was pushed. What was done until then is kept: `codeteam show 019ac000-0000-7000-8000-0000000000aa --diff`";
        assert!(text.contains(how) && text.contains("Again: `/codeteam retry`."), "{text}");
        assert!(text.contains("\nNotes:\n\n- dependencies: `cargo fetch` fetched them\n"), "{text}");
        let early = Progress { spent: Spent::default(), ..stopped };
        assert!(comment(&early, Language::Portuguese, "").contains("Nada tinha sido feito ainda, e nada foi enviado."));
    }

    #[test]
    fn a_job_that_asks_shows_its_question_and_how_to_answer() {
        let text = comment(&progress(Stage::Asks { question: "Which rounding?".to_owned() }), Language::Portuguese, "");
        assert!(text.contains("**Which rounding?**\n\nResponda com `/codeteam hint …`."), "{text}");
    }

    #[test]
    fn a_check_run_can_be_stopped_while_it_runs_and_retried_when_it_ended() {
        let run = |stage| {
            let CheckRun { state, actions, .. } = check_run(&progress(stage), Language::English, "c");
            (state, actions)
        };
        assert_eq!(run(Stage::Working), (CheckState::InProgress, vec![CheckAction::Stop]));
        assert_eq!(run(Stage::Stopping), (CheckState::InProgress, vec![]));
        let ended = |outcome| run(Stage::Ended { outcome });
        assert_eq!(ended(finish(None)), (CheckState::Success, vec![CheckAction::Retry]));
        assert_eq!(ended(finish(Some("Which?"))), (CheckState::ActionRequired, vec![CheckAction::Retry]));
        // The commit is not to blame.
        let failed = Outcome::Failed { cause: "x".to_owned() };
        assert_eq!(ended(failed), (CheckState::Neutral, vec![CheckAction::Retry]));
        assert_eq!(ended(Outcome::Stopped), (CheckState::Cancelled, vec![CheckAction::Retry]));
    }

    #[test]
    fn the_result_is_linked() {
        let links = vec![Link::PullRequest("https://forge.example/acme/tally/pull/2".to_owned())];
        let done = Progress { links, ..progress(Stage::Ended { outcome: finish(None) }) };
        let text = comment(&done, Language::English, "");
        assert!(text.contains("- ☑ work\n- ☑ [pull request](https://forge.example/acme/tally/pull/2)\n"), "{text}");
        assert!(text.starts_with("**AI Code Team** · done · change, mechanic, gpt-5-mini\n"), "{text}");
    }
}
