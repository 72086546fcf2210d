//! The words that ask for something: labels, commands, kinds.

use domain::{Command, Kind, Mode, StopCause, Trigger};

/// The word before what is asked of jobs that are there already.
const STEER: &str = "/codeteam";

/// The labels and commands that start jobs. A label `mechanic` and a comment that begins with
/// `/mechanic` mean the same; GitHub ignores the case of labels, and so does this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Triggers {
    /// Starts a job of [`Mode::Mechanic`].
    pub mechanic: String,
    /// Starts a job of [`Mode::Genius`].
    pub genius: String,
    /// The App's own name on the forge (its slug, with or without `[bot]`): assigned to it, or asked for a review, it does the work. `None` = it has
    /// none, and nobody can.
    pub login: Option<String>,
}

/// What a text says in its first line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said<'a> {
    /// Do this, named in the rest of the line; it may be empty.
    Work(&'a str),
    /// Something about jobs that are there already.
    Command(Command),
    /// Nothing to us.
    Nothing,
}

impl Default for Triggers {
    fn default() -> Self {
        Self { mechanic: Mode::Mechanic.to_string(), genius: Mode::Genius.to_string(), login: None }
    }
}

impl Triggers {
    /// The mode that a label or command asks for; `None` where it asks for none, as the API and the
    /// command line do, which name their mode themselves.
    pub fn mode(&self, trigger: &Trigger) -> Option<Mode> {
        match trigger {
            Trigger::Label { label } => self.named(label),
            Trigger::Command { command, .. } => match self.command(command) {
                Some((mode, _)) => Some(mode),
                None => match self.steering(command, "") {
                    Some(Command::Retry { mode }) => mode,
                    _ => None,
                },
            },
            Trigger::Assigned | Trigger::ReviewRequest | Trigger::Review { .. } => None,
            Trigger::Api | Trigger::Cli | Trigger::Retry | Trigger::Schedule { .. } => None,
        }
    }

    /// Whether a text begins with a command of any sort.
    pub fn commands(&self, text: &str) -> bool {
        self.said(text) != Said::Nothing
    }

    /// What the first line of `text` says.
    pub(crate) fn said<'a>(&self, text: &'a str) -> Said<'a> {
        let (line, rest) = lines(text);
        match self.command(line) {
            Some((_, task)) => Said::Work(task),
            None => self.steering(line, rest).map_or(Said::Nothing, Said::Command),
        }
    }

    /// The mode and the rest of a first line such as `/mechanic fix the rounding`.
    fn command<'a>(&self, line: &'a str) -> Option<(Mode, &'a str)> {
        let (name, rest) = word(line.strip_prefix('/')?);
        Some((self.named(name)?, rest))
    }

    /// What a first line such as `/codeteam stop` asks for. A hint goes on in the lines below.
    fn steering(&self, line: &str, below: &str) -> Option<Command> {
        let (name, said) = word(line);
        if !name.eq_ignore_ascii_case(STEER) {
            return None;
        }
        let (verb, rest) = word(said);
        let unknown = || Command::Unknown { word: said.to_owned() };
        Some(match (verb.to_lowercase().as_str(), rest) {
            ("", _) | ("help" | "ajuda", _) => Command::Help,
            ("stop" | "parar" | "pare", "") => Command::Stop { because: StopCause::Asked },
            ("retry" | "repetir" | "repita", "") => Command::Retry { mode: None },
            ("retry" | "repetir" | "repita", mode) => match self.named(mode).or_else(|| mode.to_lowercase().parse().ok()) {
                Some(mode) => Command::Retry { mode: Some(mode) },
                None => unknown(),
            },
            ("status", "") => Command::Status,
            ("cost" | "custo", "") => Command::Cost,
            ("hint" | "dica", text) => Command::Hint { text: format!("{text}\n{below}").trim().to_owned() },
            _ => unknown(),
        })
    }

    /// The kind that a label of an issue, or the first word after a command, names: `question`, `/mechanic review …`.
    /// `None` = it names none, and triage looks at the request itself.
    pub fn kind(word: &str) -> Option<Kind> {
        const WORDS: [(&str, Kind); 22] = [
            ("analyse", Kind::Analysis),
            ("analyze", Kind::Analysis),
            ("analysis", Kind::Analysis),
            ("analisar", Kind::Analysis),
            ("analise", Kind::Analysis),
            ("análise", Kind::Analysis),
            ("explain", Kind::Analysis),
            ("explicar", Kind::Analysis),
            ("explique", Kind::Analysis),
            ("investigate", Kind::Analysis),
            ("investigar", Kind::Analysis),
            ("investigue", Kind::Analysis),
            ("review", Kind::Review),
            ("revisar", Kind::Review),
            ("revise", Kind::Review),
            ("revisão", Kind::Review),
            ("question", Kind::Question),
            ("answer", Kind::Question),
            ("ask", Kind::Question),
            ("pergunta", Kind::Question),
            ("responder", Kind::Question),
            ("responda", Kind::Question),
        ];
        let word = word.trim_end_matches([':', ',', '.', '!']).to_lowercase();
        WORDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
    }

    /// The mode that a label or a command's word names.
    pub(super) fn named(&self, name: &str) -> Option<Mode> {
        if name.eq_ignore_ascii_case(&self.mechanic) {
            Some(Mode::Mechanic)
        } else if name.eq_ignore_ascii_case(&self.genius) {
            Some(Mode::Genius)
        } else {
            None
        }
    }

    /// Whether `login` is this App's own: its slug, or the account that it acts as.
    pub(super) fn is_own(&self, login: &str) -> bool {
        let name = |login: &str| login.strip_suffix("[bot]").unwrap_or(login).to_lowercase();
        self.login.as_deref().is_some_and(|own| name(own) == name(login))
    }
}

/// The first line without what is white behind it, and the rest.
pub(super) fn lines(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.trim_end(), rest)
}

/// The first word and the rest.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Option<Command> {
        match Triggers::default().said(text) {
            Said::Command(command) => Some(command),
            _ => None,
        }
    }

    #[test]
    fn the_first_line_says_what_is_asked_of_a_job_that_is_there() {
        let retry = |mode| Some(Command::Retry { mode });
        let unknown = |word: &str| Some(Command::Unknown { word: word.to_owned() });
        for (text, command) in [
            ("/codeteam stop", Some(Command::Stop { because: StopCause::Asked })),
            ("/CodeTeam Stop \nplease", Some(Command::Stop { because: StopCause::Asked })),
            ("/codeteam retry", retry(None)),
            ("/codeteam retry genius", retry(Some(Mode::Genius))),
            ("/codeteam repetir Mechanic", retry(Some(Mode::Mechanic))),
            ("/codeteam retry harder", unknown("retry harder")),
            ("/codeteam status", Some(Command::Status)),
            ("/codeteam custo", Some(Command::Cost)),
            ("/codeteam hint  use banker's rounding\r\nand tests", Some(Command::Hint { text: "use banker's rounding\nand tests".into() })),
            ("/codeteam hint", Some(Command::Hint { text: String::new() })),
            ("/codeteam", Some(Command::Help)),
            ("/codeteam help", Some(Command::Help)),
            ("/codeteam dance now", unknown("dance now")),
            ("/codeteam stop it", unknown("stop it")),
            (" /codeteam stop", None),
            ("> /codeteam stop", None),
            ("/codeteams stop", None),
            ("codeteam stop", None),
            ("please\n/codeteam stop", None),
        ] {
            assert_eq!(asked(text), command, "{text:?}");
        }
    }

    #[test]
    fn a_retry_names_its_mode_as_a_trigger_too() {
        let mode = |command: &str| Triggers::default().mode(&Trigger::Command { command: command.to_owned(), comment: None });
        assert_eq!(mode("/codeteam retry genius"), Some(Mode::Genius));
        assert_eq!(mode("/codeteam retry"), None);
        assert_eq!(mode("/codeteam stop"), None);
    }

    #[test]
    fn the_app_is_known_by_its_slug_and_as_a_bot() {
        let triggers = Triggers { login: Some("shop-team".to_owned()), ..Triggers::default() };
        assert!(triggers.is_own("shop-team") && triggers.is_own("Shop-Team[bot]"));
        assert!(!triggers.is_own("shop") && !Triggers::default().is_own("shop-team"));
    }
}
