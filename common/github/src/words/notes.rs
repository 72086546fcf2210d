//! What people should know beside a result: what was left out and why, what the repository's settings led to.

use domain::Sensitive;
use domain::project::Fault;

use super::translated::part;
use super::{Language, fault};

/// The most paths that one note names.
const MOST_PATHS: usize = 20;

/// Something to know beside a result. Paths, commands and what programs said are the caller's to make inert.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note<'a> {
    /// Changes of a kind that the repository does not permit were left out.
    NotPermitted {
        /// The file that could permit them.
        file: &'a str,
        /// Which kind.
        kind: Sensitive,
        /// Of these paths.
        paths: &'a [&'a str],
    },
    /// Changes outside of what may be changed were left out.
    NotAllowed {
        /// The file that says what may be changed.
        file: &'a str,
        /// What may be; empty = nothing.
        globs: &'a [&'a str],
        /// Of these paths.
        paths: &'a [&'a str],
    },
    /// The base has moved, and conflicts with the change.
    Conflicts {
        /// The branch.
        branch: &'a str,
        /// In these files.
        paths: &'a [&'a str],
    },
    /// The repository names advice for agents that is not there.
    NoAdvice {
        /// The file that names it.
        file: &'a str,
        /// What it names.
        path: &'a str,
        /// What holds instead.
        instead: &'a str,
    },
    /// Something is wrong in the repository's file.
    Fault(&'a Fault),
    /// Because of it nobody knows which paths may be changed.
    NothingAllowed(&'a Fault),
    /// Dependencies were fetched.
    Fetched {
        /// By this command.
        command: &'a str,
    },
    /// They were not, since a list of them asks for more than packages.
    NotFetchable {
        /// The command that was not run.
        command: &'a str,
        /// The list.
        file: &'a str,
        /// Its line.
        line: &'a str,
    },
    /// They were not, since the time for it was over.
    NoTimeToFetch {
        /// The command that was not run.
        command: &'a str,
        /// How long fetching may take.
        seconds: u64,
    },
    /// They were not: the command failed.
    FetchFailed {
        /// The command.
        command: &'a str,
        /// How it ended, in English, and its own words.
        how: &'a str,
    },
    /// The proxy refused something that was to be fetched.
    NotReached {
        /// What, and why, in English.
        what: &'a str,
    },
    /// They were not fetched again, since the job itself changed what says so.
    NotFetchedAgain,
}

impl Note<'_> {
    /// The note in a sentence.
    pub fn sentence(&self, language: Language) -> String {
        match language {
            Language::English => self.english(),
            Language::Portuguese => self.portuguese(),
        }
    }

    fn english(&self) -> String {
        match *self {
            Self::NotPermitted { file, kind, paths } => {
                let paths = listed(paths, Language::English);
                format!("left out, since `{file}` of this repository does not permit a job to change {kind} (sensitive_changes): {paths}")
            }
            Self::NotAllowed { file, globs, paths } => {
                let (globs, paths) = (globs_or(globs, "nothing"), listed(paths, Language::English));
                format!("left out, since `{file}` of this repository allows only `{globs}` to be changed: {paths}")
            }
            Self::Conflicts { branch, paths } => {
                format!("{branch} has moved since this was begun, and conflicts in {}", listed(paths, Language::English))
            }
            Self::NoAdvice { file, path, instead } => {
                format!("{file} names {path:?} as its instructions, and there is no such file; {instead} holds instead")
            }
            Self::Fault(fault) => fault.to_string(),
            Self::NothingAllowed(fault) => {
                format!("{fault}; so nobody knows which paths may be changed, and nothing was begun: repair the file and ask again")
            }
            Self::Fetched { command } => format!("dependencies: `{command}` fetched them"),
            Self::NotFetchable { command, file, line } => {
                format!("dependencies: `{command}` was not run, since {file} has {line:?}: only plain names and versions are fetched")
            }
            Self::NoTimeToFetch { command, seconds } => format!("dependencies: `{command}` was not run: fetching had taken {seconds} s"),
            Self::FetchFailed { command, how } => format!("dependencies: `{command}`: {how}"),
            Self::NotReached { what } => format!("dependencies: the proxy refused: {what}"),
            Self::NotFetchedAgain => "dependencies: not fetched again, since the job has changed files that say what is fetched".to_owned(),
        }
    }

    fn portuguese(&self) -> String {
        match *self {
            Self::NotPermitted { file, kind, paths } => {
                let paths = listed(paths, Language::Portuguese);
                format!(
                    "ficou de fora, pois o `{file}` deste repositório não permite que uma tarefa altere {kind} (sensitive_changes): {paths}"
                )
            }
            Self::NotAllowed { file, globs, paths } => {
                let (globs, paths) = (globs_or(globs, "nada"), listed(paths, Language::Portuguese));
                format!("ficou de fora, pois o `{file}` deste repositório só permite alterar `{globs}`: {paths}")
            }
            Self::Conflicts { branch, paths } => {
                format!("{branch} avançou desde o início desta tarefa e conflita em {}", listed(paths, Language::Portuguese))
            }
            Self::NoAdvice { file, path, instead } => {
                format!("{file} indica {path:?} como instruções, e esse arquivo não existe; vale {instead}")
            }
            Self::Fault(fault) => fault::portuguese(fault),
            Self::NothingAllowed(fault) => {
                format!(
                    "{}; assim não se sabe quais caminhos podem ser alterados, e nada foi iniciado: corrija o arquivo e peça de novo",
                    fault::portuguese(fault)
                )
            }
            Self::Fetched { command } => format!("dependências: obtidas com `{command}`"),
            Self::NotFetchable { command, file, line } => {
                format!("dependências: `{command}` não foi executado, pois {file} contém {line:?}: só nomes e versões simples são obtidos")
            }
            Self::NoTimeToFetch { command, seconds } => {
                format!("dependências: `{command}` não foi executado: a obtenção já tinha levado {seconds} s")
            }
            Self::FetchFailed { command, how } => format!("dependências: `{command}`: {}", part(how)),
            Self::NotReached { what } => format!("dependências: o proxy recusou: {}", part(what)),
            Self::NotFetchedAgain => {
                "dependências: não foram obtidas de novo, pois a tarefa alterou arquivos que dizem o que é obtido".to_owned()
            }
        }
    }
}

fn globs_or(globs: &[&str], none: &str) -> String {
    if globs.is_empty() { none.to_owned() } else { globs.join(", ") }
}

fn listed(paths: &[&str], language: Language) -> String {
    let shown = paths.iter().take(MOST_PATHS).map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
    match (paths.len().saturating_sub(MOST_PATHS), language) {
        (0, _) => shown,
        (more, Language::English) => format!("{shown} and {more} more"),
        (more, Language::Portuguese) => format!("{shown} e mais {more}"),
    }
}

/// Why a change was not handed in, or not where it was to go: the cause that its job fails with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeptBack<'a> {
    /// It is too large to be looked through for secrets.
    TooLarge {
        /// What may be, in MiB.
        most_mib: usize,
    },
    /// It holds a secret of this service.
    Secret {
        /// The file.
        path: &'a str,
        /// Whose secret.
        kind: &'a str,
    },
    /// It holds what looks like somebody's secret.
    LooksSecret {
        /// The file.
        path: &'a str,
        /// What it looks like.
        kind: &'a str,
    },
    /// The branch that it goes on with has moved or is gone, so it went beside.
    Beside {
        /// The branch that it was to go on with.
        head: &'a str,
        /// The commit at which that is now, if it is there.
        moved_to: Option<&'a str>,
        /// Where the change is.
        branch: &'a str,
        /// Its commit.
        commit: &'a str,
    },
}

impl KeptBack<'_> {
    /// The cause in a sentence.
    pub fn sentence(&self, language: Language) -> String {
        match (*self, language) {
            (Self::TooLarge { most_mib }, Language::English) => {
                format!("the change was not pushed: it has more than {most_mib} MiB, too many to be looked through for secrets")
            }
            (Self::TooLarge { most_mib }, Language::Portuguese) => {
                format!("a mudança não foi enviada: tem mais de {most_mib} MiB, demais para procurar segredos nela")
            }
            (Self::Secret { path, kind }, Language::English) => {
                format!("the change was not pushed: {path:?} holds {kind}, a secret of this service")
            }
            (Self::Secret { path, kind }, Language::Portuguese) => {
                format!("a mudança não foi enviada: {path:?} contém {kind}, um segredo deste serviço")
            }
            (Self::LooksSecret { path, kind }, Language::English) => {
                let what_to_do = "take it out, or commit that file yourself if it is harmless";
                format!("the change was not pushed: {path:?} holds what looks like a secret ({kind}): {what_to_do}")
            }
            (Self::LooksSecret { path, kind }, Language::Portuguese) => {
                let what_to_do = "remova-o, ou faça você mesmo o commit desse arquivo se for inofensivo";
                format!("a mudança não foi enviada: {path:?} contém o que parece ser um segredo ({kind}): {what_to_do}")
            }
            (Self::Beside { head, moved_to, branch, commit }, Language::English) => {
                let what = match moved_to {
                    Some(at) => format!("{head} has moved to {at} since this was begun, and nothing was overwritten"),
                    None => format!("{head} is gone"),
                };
                format!("{what}: the change is on the branch {branch}, commit {commit}")
            }
            (Self::Beside { head, moved_to, branch, commit }, Language::Portuguese) => {
                let what = match moved_to {
                    Some(at) => format!("{head} avançou para {at} desde o início desta tarefa, e nada foi sobrescrito"),
                    None => format!("{head} não existe mais"),
                };
                format!("{what}: a mudança está no ramo {branch}, commit {commit}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_named_with_its_rule_in_both_languages() {
        let note = Note::NotPermitted { file: ".codeteam.toml", kind: Sensitive::Workflows, paths: &[".github/workflows/ci.yml"] };
        assert_eq!(
            note.sentence(Language::English),
            "left out, since `.codeteam.toml` of this repository does not permit a job to change workflows (sensitive_changes): `.github/workflows/ci.yml`"
        );
        assert_eq!(
            note.sentence(Language::Portuguese),
            "ficou de fora, pois o `.codeteam.toml` deste repositório não permite que uma tarefa altere workflows (sensitive_changes): `.github/workflows/ci.yml`"
        );
        let nothing = Note::NotAllowed { file: ".codeteam.toml", globs: &[], paths: &["a"] };
        assert!(nothing.sentence(Language::Portuguese).ends_with("só permite alterar `nada`: `a`"));
    }

    #[test]
    fn every_note_is_told_in_portuguese_alone() {
        let read = domain::project::read(b"allowed_paths = [");
        let fault = &read.faults[0];
        let paths = &["a.rs"][..];
        let notes = [
            Note::NotPermitted { file: "f", kind: Sensitive::Symlinks, paths },
            Note::NotAllowed { file: "f", globs: &["src/**"], paths },
            Note::Conflicts { branch: "main", paths },
            Note::NoAdvice { file: "f", path: "a.md", instead: "AGENTS.md" },
            Note::Fault(fault),
            Note::NothingAllowed(fault),
            Note::Fetched { command: "cargo fetch" },
            Note::NotFetchable { command: "pip", file: "requirements.txt", line: "-e ." },
            Note::NoTimeToFetch { command: "npm ci", seconds: 600 },
            Note::FetchFailed { command: "npm ci", how: "exit code 1: npm ERR! the network is down" },
            Note::FetchFailed { command: "npm ci", how: "timed out: " },
            Note::FetchFailed { command: "npm ci", how: "no program \"npm\" in \"/usr/bin\"; install \"npm\" or put its folder on PATH" },
            Note::NotReached { what: "evil.example:443 is not among the hosts that dependencies are fetched from (CODETEAM_FETCH_HOSTS)" },
            Note::NotFetchedAgain,
        ];
        for note in notes {
            let text = note.sentence(Language::Portuguese);
            assert_eq!(testkit::english_left(&text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn many_paths_are_cut_and_counted() {
        let paths = ["a"; 23];
        let note = Note::Conflicts { branch: "main", paths: &paths };
        assert!(note.sentence(Language::English).ends_with("`a` and 3 more"));
        assert!(note.sentence(Language::Portuguese).ends_with("`a` e mais 3"));
    }

    #[test]
    fn why_a_change_was_kept_back_is_said_in_both_languages() {
        let secret = KeptBack::LooksSecret { path: "a.py", kind: "github-token" };
        assert!(secret.sentence(Language::English).starts_with("the change was not pushed: \"a.py\" holds what looks like a secret"));
        assert!(secret.sentence(Language::Portuguese).starts_with("a mudança não foi enviada: \"a.py\" contém o que parece"));
        let beside = KeptBack::Beside { head: "feature", moved_to: None, branch: "codeteam/1", commit: "c0ffee" };
        assert_eq!(beside.sentence(Language::Portuguese), "feature não existe mais: a mudança está no ramo codeteam/1, commit c0ffee");
    }
}
