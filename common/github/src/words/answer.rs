//! Short answers to people: why something was not begun, what can be asked, how jobs stand.

use domain::{JobId, Kind, MicroUsd, Mode, OutcomeName, QueueState, Spent, WaitingFor};

use super::Language;
use crate::Triggers;

/// The most of an unknown word that is shown again.
const MOST_WORD_CHARS: usize = 40;

/// Why something was not begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Only who may push starts and steers jobs.
    MayNotPush {
        /// The login of who asked.
        login: String,
    },
    /// The pull request comes from a repository that this service may not push to.
    Fork {
        /// Its number.
        number: u64,
        /// The repository; empty = it is gone.
        repository: String,
    },
    /// The pull request is closed.
    Closed {
        /// Its number.
        number: u64,
    },
    /// There is no such pull request.
    Gone {
        /// Its number.
        number: u64,
    },
    /// A review asks for changes and says none.
    NothingAsked {
        /// The pull request.
        number: u64,
    },
    /// Nobody is known who asked, or another reason that only the log is for.
    Other {
        /// In English.
        reason: String,
    },
}

impl Refusal {
    /// The reason in a sentence.
    pub fn sentence(&self, language: Language) -> String {
        match (self, language) {
            (Self::MayNotPush { login }, Language::English) => {
                format!("{login} may not push to this repository, and only who may do that can start and steer jobs.")
            }
            (Self::MayNotPush { login }, Language::Portuguese) => {
                format!("{login} não tem permissão de escrita neste repositório, e só quem tem pode iniciar e conduzir tarefas.")
            }
            (Self::Fork { number, repository }, Language::English) => {
                let from = if repository.is_empty() { "a fork that is gone".to_owned() } else { format!("the fork `{repository}`") };
                format!("#{number} comes from {from}, where nothing can be pushed from here. A review of it is possible.")
            }
            (Self::Fork { number, repository }, Language::Portuguese) => {
                let from =
                    if repository.is_empty() { "de um fork que não existe mais".to_owned() } else { format!("do fork `{repository}`") };
                format!("#{number} vem {from}, para onde não se pode enviar nada daqui. Uma revisão é possível.")
            }
            (Self::Closed { number }, Language::English) => format!("#{number} is closed. Open it again and ask once more."),
            (Self::Closed { number }, Language::Portuguese) => format!("#{number} está fechado. Reabra e peça novamente."),
            (Self::Gone { number }, Language::English) => format!("There is no pull request #{number} in this repository."),
            (Self::Gone { number }, Language::Portuguese) => format!("Não há pull request #{number} neste repositório."),
            (Self::NothingAsked { number }, Language::English) => {
                format!("The review of #{number} asks for changes and does not say which: write them into it or at the lines.")
            }
            (Self::NothingAsked { number }, Language::Portuguese) => {
                format!("A revisão de #{number} pede mudanças e não diz quais: escreva-as nela ou nas linhas.")
            }
            (Self::Other { reason }, _) => reason.clone(),
        }
    }
}

/// A job in a list of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    /// The job.
    pub job_id: JobId,
    /// What it produces.
    pub kind: Kind,
    /// Who does it; `None` = nobody has decided yet.
    pub mode: Option<Mode>,
    /// Where it stands.
    pub place: Place,
    /// What it has spent.
    pub spent: Spent,
}

/// Where a job stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the queue.
    Queued(QueueState, Option<WaitingFor>),
    /// It is being stopped.
    Stopping,
    /// It ended.
    Ended(OutcomeName),
}

/// What can be asked; `unknown` = what was written that nobody knows.
pub fn help(language: Language, triggers: &Triggers, unknown: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(word) = unknown {
        let word: String = word.chars().filter(|char| !matches!(char, '`' | '\n' | '\r')).take(MOST_WORD_CHARS).collect();
        text.push_str(&match language {
            Language::English => format!("I do not know `/codeteam {word}`.\n\n"),
            Language::Portuguese => format!("Não conheço `/codeteam {word}`.\n\n"),
        });
    }
    let (mechanic, genius) = (&triggers.mechanic, &triggers.genius);
    text.push_str(&match language {
        Language::English => format!(
            "| command | what happens |\n| --- | --- |\n\
             | `/{mechanic} …` | a small model does it: fixes, reviews, analyses, questions |\n\
             | `/{genius} …` | a large model does it |\n\
             | `/codeteam stop` | the job that runs ends; what was done is kept |\n\
             | `/codeteam retry [{mechanic} or {genius}]` | the last job is done again |\n\
             | `/codeteam hint …` | the running job reads it before its next step |\n\
             | `/codeteam status` | how it goes |\n\
             | `/codeteam cost` | what it cost |\n"
        ),
        Language::Portuguese => format!(
            "| comando | o que acontece |\n| --- | --- |\n\
             | `/{mechanic} …` | um modelo pequeno faz: correções, revisões, análises, perguntas |\n\
             | `/{genius} …` | um modelo grande faz |\n\
             | `/codeteam stop` | a tarefa em andamento termina; o que foi feito fica |\n\
             | `/codeteam retry [{mechanic} ou {genius}]` | a última tarefa é feita de novo |\n\
             | `/codeteam hint …` | a tarefa em andamento lê isto antes do próximo passo |\n\
             | `/codeteam status` | como está |\n\
             | `/codeteam cost` | quanto custou |\n"
        ),
    });
    text
}

/// How jobs stand: one line each, newest first.
pub fn status(language: Language, lines: &[Line]) -> String {
    if lines.is_empty() {
        return none(language).to_owned();
    }
    let head = language.pick(
        "| job | what | state | steps | tokens | cost |\n| --- | --- | --- | ---: | ---: | ---: |\n",
        "| tarefa | o quê | estado | passos | tokens | custo |\n| --- | --- | --- | ---: | ---: | ---: |\n",
    );
    let rows = lines.iter().map(|line| {
        let Line { job_id, kind, mode, place, spent } = line;
        let mode = mode.map(|mode| format!(", {mode}")).unwrap_or_default();
        let state = state(language, *place);
        format!(
            "| `{}` | {kind}{mode} | {state} | {} | {} | {} |\n",
            job_id.short(),
            spent.steps,
            spent.tokens,
            spent.cost_microusd.exact()
        )
    });
    format!("{head}{}", rows.collect::<String>())
}

/// What jobs cost, with the sum.
pub fn cost(language: Language, lines: &[Line]) -> String {
    if lines.is_empty() {
        return none(language).to_owned();
    }
    let sum = lines.iter().fold(MicroUsd::ZERO, |sum, line| MicroUsd(sum.0.saturating_add(line.spent.cost_microusd.0)));
    let said = match language {
        Language::English => format!("Together {}.", sum.exact()),
        Language::Portuguese => format!("No total {}.", sum.exact()),
    };
    format!("{}\n{said}\n", status(language, lines))
}

/// There is no job that a command could be about.
pub fn nothing_runs(language: Language) -> &'static str {
    language.pick("No job is under way here.", "Nenhuma tarefa está em andamento aqui.")
}

/// There is no job that could be done again.
pub fn nothing_to_repeat(language: Language) -> &'static str {
    language.pick("No job has ended here that could be done again.", "Nenhuma tarefa terminou aqui que possa ser feita de novo.")
}

/// A job is still under way that is asked for again.
pub fn still_runs(language: Language) -> &'static str {
    language.pick(
        "The last job is still under way: `/codeteam stop` ends it, then ask again.",
        "A última tarefa ainda está em andamento: `/codeteam stop` a encerra, depois peça de novo.",
    )
}

/// Why nobody will read a hint of so many characters, of which it may have `most`.
pub fn hint_not_read(language: Language, chars: usize, most: usize) -> String {
    match (chars, language) {
        (0, Language::English) => "The hint is empty: say what the next step should know.".to_owned(),
        (0, Language::Portuguese) => "A dica está vazia: diga o que o próximo passo deve saber.".to_owned(),
        (chars, Language::English) if chars > most => format!("The hint has {chars} characters: at most {most}."),
        (chars, Language::Portuguese) if chars > most => format!("A dica tem {chars} caracteres: no máximo {most}."),
        (_, Language::English) => "The job is about to end or has ended: no further step will read a hint.".to_owned(),
        (_, Language::Portuguese) => "A tarefa está para terminar ou já terminou: nenhum passo vai mais ler uma dica.".to_owned(),
    }
}

fn none(language: Language) -> &'static str {
    language.pick("Nobody has asked for a job here yet.", "Ninguém pediu uma tarefa aqui ainda.")
}

fn state(language: Language, place: Place) -> &'static str {
    let (english, portuguese) = match place {
        Place::Queued(QueueState::Ready, _) => ("waits for a worker", "aguarda um executor"),
        Place::Queued(QueueState::Leased, _) => ("under way", "em andamento"),
        Place::Queued(QueueState::Waiting, Some(WaitingFor::Budget)) => ("waits for the budget", "aguarda o orçamento"),
        Place::Queued(QueueState::Waiting, Some(WaitingFor::Answer)) => ("waits for an answer", "aguarda uma resposta"),
        Place::Queued(QueueState::Waiting, _) => ("waits", "aguarda"),
        Place::Queued(QueueState::Dead, _) | Place::Ended(OutcomeName::Dead) => ("given up", "abandonada"),
        Place::Stopping => ("is being stopped", "está sendo encerrada"),
        Place::Ended(OutcomeName::Succeeded) => ("done", "concluída"),
        Place::Ended(OutcomeName::Capped) => ("ended at a cap", "encerrada em um limite"),
        Place::Ended(OutcomeName::Failed) => ("failed", "falhou"),
        Place::Ended(OutcomeName::Stopped) => ("stopped", "encerrada"),
        Place::Ended(OutcomeName::Refused) => ("refused", "recusada"),
    };
    language.pick(english, portuguese)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cost: i64, place: Place) -> Line {
        let spent = Spent { steps: 3, tokens: 4_500, cost_microusd: MicroUsd(cost), active_ms: 0 };
        let job_id = "0198c8f0-5f00-7000-8000-4c7b1e9d2a60".parse().unwrap();
        Line { job_id, kind: Kind::Change, mode: Some(Mode::Mechanic), place, spent }
    }

    #[test]
    fn the_cost_is_the_sum_of_its_lines() {
        let lines = [line(1_500_000, Place::Queued(QueueState::Leased, None)), line(250_000, Place::Ended(OutcomeName::Failed))];
        let said = cost(Language::English, &lines);
        assert!(said.ends_with("\nTogether $1.750000.\n"), "{said}");
        assert!(said.contains("| `4c7b1e9d2a60` | change, mechanic | under way | 3 | 4500 | $1.500000 |"), "{said}");
        assert_eq!(cost(Language::Portuguese, &[]), "Ninguém pediu uma tarefa aqui ainda.");
    }

    #[test]
    fn an_unknown_command_is_shown_as_code_that_cannot_end_early() {
        let said = help(Language::English, &Triggers::default(), Some("dance` @octocat\n# now"));
        assert!(said.starts_with("I do not know `/codeteam dance @octocat# now`.\n\n| command"), "{said}");
        assert!(help(Language::Portuguese, &Triggers::default(), None).starts_with("| comando"));
        let long = help(Language::English, &Triggers::default(), Some(&"x".repeat(1_000)));
        assert!(long.contains(&format!("/codeteam {}`", "x".repeat(40))), "{long}");
    }

    #[test]
    fn a_refusal_says_why_in_both_languages() {
        let fork = Refusal::Fork { number: 8, repository: "octocat/tally".to_owned() };
        assert!(fork.sentence(Language::English).starts_with("#8 comes from the fork `octocat/tally`"));
        assert!(fork.sentence(Language::Portuguese).starts_with("#8 vem do fork `octocat/tally`"));
    }
}
