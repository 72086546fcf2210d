//! What the words of a request say about its kind and mode, in English and Portuguese. Plain values in, plain values
//! out; every rule has a name, which is told as the reason.

use domain::{Kind, Mode};

/// What the rules found; `None` = they say nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Guess {
    pub kind: Option<(Kind, &'static str)>,
    pub mode: Option<(Mode, &'static str)>,
}

/// How much of the body is looked at, in characters: further down stand logs and examples.
const MOST_BODY: usize = 1_500;
/// A request with so many items on its list is a large one.
const MANY_ITEMS: usize = 6;

const INTERROGATIVES: &[&str] = &[
    "what", "why", "how", "where", "when", "which", "who", "whose", "is", "are", "does", "do", "did", "was", "were", "should", "o que",
    "por que", "porque", "como", "onde", "quando", "qual", "quais", "quem", "sera", "existe",
];
/// Before a request in the form of a question: "can you fix it?" asks for a change.
const POLITE: &[&str] = &[
    "can you",
    "could you",
    "would you",
    "will you",
    "can we",
    "could we",
    "please",
    "voce pode",
    "pode",
    "poderia",
    "podemos",
    "por favor",
];
const CHANGES: &[&str] = &[
    "add",
    "adjust",
    "allow",
    "apply",
    "avoid",
    "build",
    "bump",
    "change",
    "clean",
    "convert",
    "correct",
    "create",
    "deduplicate",
    "delete",
    "disable",
    "drop",
    "enable",
    "ensure",
    "expose",
    "extend",
    "extract",
    "fix",
    "handle",
    "hide",
    "implement",
    "improve",
    "increase",
    "introduce",
    "limit",
    "log",
    "make",
    "merge",
    "migrate",
    "move",
    "optimise",
    "optimize",
    "parse",
    "prevent",
    "raise",
    "redesign",
    "reduce",
    "refactor",
    "reject",
    "remove",
    "rename",
    "repair",
    "replace",
    "return",
    "rewrite",
    "round",
    "simplify",
    "sort",
    "speed",
    "split",
    "stop",
    "support",
    "translate",
    "update",
    "upgrade",
    "use",
    "validate",
    "write",
    "adicione",
    "adicionar",
    "ajuste",
    "ajustar",
    "atualize",
    "atualizar",
    "corrija",
    "corrigir",
    "crie",
    "criar",
    "implemente",
    "implementar",
    "melhore",
    "melhorar",
    "mude",
    "mudar",
    "refatore",
    "refatorar",
    "remova",
    "remover",
    "renomeie",
    "renomear",
    "reescreva",
    "reescrever",
    "substitua",
    "substituir",
];
const REVIEWS: &[&str] = &["review", "code review", "revise", "revisar", "revisao", "faca uma revisao"];
const ANALYSES: &[&str] = &[
    "analyse",
    "analyze",
    "analysis",
    "assess",
    "audit",
    "compare",
    "describe",
    "estimate",
    "evaluate",
    "explain",
    "find out",
    "investigate",
    "list",
    "summarise",
    "summarize",
    "analise",
    "analisar",
    "avalie",
    "avaliar",
    "explique",
    "explicar",
    "investigue",
    "investigar",
    "descreva",
];
const FAULTS: &[&str] = &[
    "bug",
    "broken",
    "crash",
    "crashes",
    "does not",
    "doesn't",
    "error",
    "exception",
    "fail",
    "fails",
    "failing",
    "incorrect",
    "panic",
    "panics",
    "refuses",
    "regression",
    "wrong",
    "wrongly",
    "erro",
    "falha",
    "falhando",
    "nao funciona",
    "quebra",
    "quebrado",
    "errado",
];
const SECURITY: &[&str] = &[
    "security",
    "vulnerability",
    "vulnerabilities",
    "cve",
    "xss",
    "csrf",
    "sql injection",
    "code injection",
    "command injection",
    "privilege escalation",
    "authentication",
    "authorization",
    "encryption",
    "seguranca",
    "vulnerabilidade",
    "vulnerabilidades",
    "autenticacao",
];
const ARCHITECTURE: &[&str] =
    &["architecture", "architectural", "redesign", "re-architect", "rearchitect", "arquitetura", "redesenhar", "redesenhe"];
const REFACTORING: &[&str] = &[
    "refactor",
    "refactoring",
    "rewrite",
    "restructure",
    "overhaul",
    "refatore",
    "refatorar",
    "refatoracao",
    "reescreva",
    "reescrever",
    "reestruturar",
];
const SMALL: &[&str] =
    &["typo", "typos", "spelling", "rename", "bump", "comment", "comments", "readme", "small", "minor", "renomeie", "renomear", "pequeno"];

/// What `title` and `body` say; `named` is the kind that the request named itself.
pub(crate) fn guess(title: &str, body: &str, named: Option<Kind>) -> Guess {
    let title_words = words(title);
    let start: String = body.chars().take(MOST_BODY).collect();
    let all_words = format!("{title_words}{}", words(&start));
    let kind = named.map(|kind| (kind, "it was named")).or_else(|| kind(&title_words, title.trim_end().ends_with('?')));
    let mode = mode(kind.map(|(kind, _)| kind), &title_words, &all_words, body);
    Guess { kind, mode }
}

fn kind(title: &str, ends_with_mark: bool) -> Option<(Kind, &'static str)> {
    let polite = starts_with_one(title, POLITE);
    let task = polite.map_or(title, |polite| &title[polite.len() + 1..]);
    if starts_with_one(task, REVIEWS).is_some() {
        Some((Kind::Review, "it asks for a review"))
    } else if starts_with_one(task, ANALYSES).is_some() {
        Some((Kind::Analysis, "it asks for an analysis"))
    } else if starts_with_one(task, CHANGES).is_some() || (polite.is_some() && has_one(task, CHANGES)) {
        Some((Kind::Change, "it asks for a change"))
    } else if ends_with_mark || starts_with_one(title, INTERROGATIVES).is_some() {
        Some((Kind::Question, "it asks a question"))
    } else if has_one(title, FAULTS) {
        Some((Kind::Change, "it reports a fault"))
    } else {
        None
    }
}

fn mode(kind: Option<Kind>, title: &str, all: &str, body: &str) -> Option<(Mode, &'static str)> {
    let items = body.lines().filter(|line| ["- ", "* ", "1. "].iter().any(|mark| line.trim_start().starts_with(mark))).count();
    if matches!(kind, Some(Kind::Question | Kind::Analysis | Kind::Review)) {
        Some((Mode::Mechanic, "nothing is to be changed"))
    } else if has_one(all, SECURITY) {
        Some((Mode::Genius, "it is about security"))
    } else if has_one(title, SMALL) {
        Some((Mode::Mechanic, "it is a small change"))
    } else if has_one(all, ARCHITECTURE) {
        Some((Mode::Genius, "it is about the architecture"))
    } else if has_one(title, REFACTORING) {
        Some((Mode::Genius, "it is a refactoring"))
    } else if items >= MANY_ITEMS && kind == Some(Kind::Change) {
        Some((Mode::Genius, "it asks for many things"))
    } else if has_one(title, FAULTS) {
        Some((Mode::Mechanic, "it reports a fault"))
    } else {
        None
    }
}

/// The words of `text` in small letters and without accents, each between spaces.
fn words(text: &str) -> String {
    let mut words = String::from(" ");
    for char in text.chars().flat_map(char::to_lowercase) {
        match plain(char) {
            Some(letter) => words.push(letter),
            None if !words.ends_with(' ') => words.push(' '),
            None => {}
        }
    }
    if !words.ends_with(' ') {
        words.push(' ');
    }
    words
}

/// A letter without its accent; `None` = no part of a word.
fn plain(char: char) -> Option<char> {
    Some(match char {
        'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        '’' => '\'',
        char if char.is_alphanumeric() || char == '-' || char == '\'' => char,
        _ => return None,
    })
}

/// The one of `phrases` that `text` begins with.
fn starts_with_one<'a>(text: &str, phrases: &[&'a str]) -> Option<&'a str> {
    phrases
        .iter()
        .copied()
        .find(|phrase| text.strip_prefix(' ').and_then(|text| text.strip_prefix(phrase)).is_some_and(|rest| rest.starts_with(' ')))
}

fn has_one(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(&format!(" {phrase} ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(title: &str) -> Option<Kind> {
        guess(title, "", None).kind.map(|(kind, _)| kind)
    }

    fn mode_of(title: &str, body: &str) -> Option<(Mode, &'static str)> {
        guess(title, body, None).mode
    }

    #[test]
    fn questions_are_known_by_their_words_and_their_mark() {
        for title in [
            "Why is the total rounded twice",
            "Where does the price list live?",
            "The price list: is it cached?",
            "Por que o total é arredondado duas vezes?",
            "Onde fica a lista de preços",
            "Como funciona o cálculo do frete",
        ] {
            assert_eq!(kind_of(title), Some(Kind::Question), "{title}");
        }
    }

    #[test]
    fn a_polite_question_asks_for_what_it_names() {
        for title in
            ["Can you fix the rounding?", "Could we please rename the module?", "Pode corrigir o arredondamento?", "Please add a test"]
        {
            assert_eq!(kind_of(title), Some(Kind::Change), "{title}");
        }
        assert_eq!(kind_of("Can you explain the rounding?"), Some(Kind::Analysis));
        assert_eq!(kind_of("Você pode revisar o módulo de preços?"), Some(Kind::Review));
    }

    #[test]
    fn reviews_analyses_and_changes_are_known_by_how_they_begin() {
        for (title, kind) in [
            ("Review the money module", Kind::Review),
            ("Revisar o cálculo de impostos", Kind::Review),
            ("Explain how settlements work", Kind::Analysis),
            ("Analise o consumo de memória", Kind::Analysis),
            ("Fix the rounding", Kind::Change),
            ("Corrija o arredondamento", Kind::Change),
            ("settle refuses our holiday: shares by weight do not add up", Kind::Change),
            ("O relatório não funciona em dezembro", Kind::Change),
        ] {
            assert_eq!(kind_of(title), Some(kind), "{title}");
        }
        for title in ["Greet T12", "Preview of the invoice", "Addition of weights", "Howitzer"] {
            assert_eq!(kind_of(title), None, "{title}");
        }
    }

    #[test]
    fn security_architecture_and_refactoring_are_for_a_genius_and_small_things_are_not() {
        for (title, body, mode, rule) in [
            ("Update the login", "There is an SQL injection in the name.", Mode::Genius, "it is about security"),
            ("Atualize o login", "Há uma falha de segurança.", Mode::Genius, "it is about security"),
            ("Split the service", "The architecture must allow two regions.", Mode::Genius, "it is about the architecture"),
            ("Refactor the ledger", "", Mode::Genius, "it is a refactoring"),
            ("Refatore o módulo de preços", "", Mode::Genius, "it is a refactoring"),
            ("Rename the ledger", "A refactoring.", Mode::Mechanic, "it is a small change"),
            ("Totals are wrong", "", Mode::Mechanic, "it reports a fault"),
            ("Explain the architecture", "", Mode::Mechanic, "nothing is to be changed"),
            ("Add an export", "- a\n- b\n- c\n- d\n- e\n- f", Mode::Genius, "it asks for many things"),
        ] {
            assert_eq!(mode_of(title, body), Some((mode, rule)), "{title}");
        }
        assert_eq!(mode_of("Add an export", "As CSV."), None);
    }
}
