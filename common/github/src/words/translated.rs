//! What this product says of a failure, in the language of whoever asked for the job.
//!
//! Causes are kept as English sentences: the API, the command line, the log and the filters of the dead-letter queue read them so, some are
//! made by SQL, and those of earlier releases are there already. So they are translated where they are told, and the English sentence is
//! the key, as in gettext. What other programs and providers said stands in them as it is, in quotation marks. A sentence that is not
//! here is told as it is.

use domain::Outcome;

use super::Language;
use super::sentences::{PARTS, SENTENCES};

/// `said`, which is kept in English, as it is told in `language`.
pub fn translated(said: &str, language: Language) -> String {
    match language {
        Language::English => said.to_owned(),
        Language::Portuguese => found(SENTENCES, said).unwrap_or_else(|| said.to_owned()),
    }
}

/// The same for what is a part of a sentence.
pub(super) fn part(said: &str) -> String {
    found(SENTENCES, said).or_else(|| found(PARTS, said)).unwrap_or_else(|| said.to_owned())
}

fn found(list: &[(&str, &str)], said: &str) -> Option<String> {
    list.iter().find_map(|(english, portuguese)| {
        let values = values(english, said)?;
        let value = |name: &str| {
            let (kind, value) = values.iter().find(|(kind, _)| kind.trim_start_matches('+') == name)?;
            Some(if kind.starts_with('+') { part(value) } else { (*value).to_owned() })
        };
        let (begin, mut rest) = portuguese.split_once('{').unwrap_or((portuguese, ""));
        let mut told = begin.to_owned();
        while let Some((name, after)) = rest.split_once('}') {
            let (literal, next) = after.split_once('{').unwrap_or((after, ""));
            told.push_str(&value(name).unwrap_or_default());
            told.push_str(literal);
            rest = next;
        }
        Some(told)
    })
}

/// What stands in `said` in the places of `template`, by their names; `None` = it is another sentence.
fn values<'a>(template: &'a str, said: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let (begin, mut rest) = template.split_once('{').unwrap_or((template, ""));
    let mut said = said.strip_prefix(begin)?;
    let mut values = Vec::new();
    while let Some((name, after)) = rest.split_once('}') {
        let (literal, next) = after.split_once('{').unwrap_or((after, ""));
        let value = match (literal, next) {
            ("", _) => said,
            (end, "") => said.strip_suffix(end)?,
            (between, _) => said.split_once(between)?.0,
        };
        values.push((name, value));
        said = &said[value.len() + literal.len()..];
        rest = next;
    }
    said.is_empty().then_some(values)
}

/// An outcome as it is told in `language`: why it is one is kept in English.
pub fn outcome(outcome: &Outcome, language: Language) -> Outcome {
    match outcome {
        Outcome::Failed { cause } => Outcome::Failed { cause: translated(cause, language) },
        Outcome::Dead { cause } => Outcome::Dead { cause: translated(cause, language) },
        Outcome::Succeeded { .. } | Outcome::Capped { .. } | Outcome::Stopped | Outcome::Refused { .. } => outcome.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use testkit::english_left;

    use super::*;

    fn names(template: &str) -> BTreeSet<&str> {
        template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.trim_start_matches('+')).collect()
    }

    /// With something in every place.
    fn filled(template: &str) -> String {
        let pieces: Vec<&str> =
            template.split('{').enumerate().map(|(at, piece)| if at == 0 { piece } else { piece.split_once('}').unwrap().1 }).collect();
        pieces.join("x7")
    }

    #[test]
    fn every_sentence_is_found_again_and_is_portuguese_with_everything_that_the_english_one_names() {
        for (english, portuguese) in SENTENCES.iter().chain(PARTS) {
            let unsaid: Vec<_> = names(english).difference(&names(portuguese)).copied().filter(|name| *name != "_").collect();
            assert_eq!(unsaid, Vec::<&str>::new(), "{english}");
            assert!(names(portuguese).is_subset(&names(english)), "{portuguese}");
            let told = part(&filled(english));
            assert_eq!(told, filled(portuguese), "another one fits first, or places do not fit");
            assert_eq!(english_left(&told), Vec::<String>::new(), "{english} is told as {told}");
        }
    }

    #[test]
    fn what_others_said_stays_as_it_is_within_a_portuguese_sentence() {
        let told = |said| translated(said, Language::Portuguese);
        assert_eq!(
            told("openai is overloaded or broken (HTTP 503): no capacity; the next call goes to claude-haiku-4-5"),
            "openai está sobrecarregado ou com defeito (HTTP 503): “no capacity”; a próxima chamada vai para claude-haiku-4-5"
        );
        assert_eq!(told("git failed (exit code 128): fatal: bad object"), "o git falhou (código de saída 128): “fatal: bad object”");
        assert_eq!(
            told("no model for mechanic: set OPENAI_API_KEY or AWS_REGION and AWS credentials"),
            "não há modelo para mechanic: defina OPENAI_API_KEY ou AWS_REGION e as credenciais da AWS"
        );
        assert_eq!(
            told("commit 1a2b has more than 200000 files, the limit CHECKOUT_MAX_FILES: raise it on workers that have the room"),
            "o commit 1a2b tem mais de 200000 arquivos, o limite CHECKOUT_MAX_FILES: aumente-o em executores que tenham espaço"
        );
        assert_eq!(translated("timed out", Language::English), "timed out");
    }

    #[test]
    fn a_sentence_that_is_not_in_the_list_is_told_as_it_is() {
        for said in ["", "a text of an earlier release", "a mudança não foi enviada: tem mais de 64 MiB", "{model}", "this or that"] {
            assert_eq!(translated(said, Language::Portuguese), said);
        }
        // What a stranger wrote never becomes a place.
        let refused = translated("the model refused: {said} {", Language::Portuguese);
        assert_eq!(refused, "o modelo se recusou: “{said} {”");
    }

    #[test]
    fn an_outcome_is_told_with_its_cause_in_that_language() {
        let dead = Outcome::Dead { cause: "its worker was lost 5 times without progress".to_owned() };
        let told = Outcome::Dead { cause: "o executor se perdeu 5 vezes sem progresso".to_owned() };
        assert_eq!((outcome(&dead, Language::Portuguese), outcome(&dead, Language::English)), (told, dead));
        assert_eq!(outcome(&Outcome::Stopped, Language::Portuguese), Outcome::Stopped);
    }
}
