//! Which language to answer in.

use domain::{CapReached, JobInput};
use whatlang::{Detector, Lang};

/// A language that the product writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Language {
    /// English: also for whoever writes in a third language.
    #[default]
    English,
    /// Portuguese.
    Portuguese,
}

impl Language {
    /// The language of what somebody asked. Code and quotations say nothing about it.
    pub fn of(asked: &JobInput) -> Self {
        Self::of_text(&asked.title, &asked.body)
    }

    fn of_text(title: &str, body: &str) -> Self {
        let prose = prose(&format!("{title}\n{body}"));
        // Short Portuguese is easily taken for Spanish, and who writes that reads Portuguese more easily than English.
        let detector = Detector::with_allowlist(vec![Lang::Eng, Lang::Por, Lang::Fra, Lang::Deu]);
        match detector.detect_lang(&prose) {
            Some(Lang::Por) => Self::Portuguese,
            _ => Self::English,
        }
    }

    /// What a cap is of.
    pub fn cap(self, cap: CapReached) -> &'static str {
        match cap {
            CapReached::Steps => self.pick("steps", "passos"),
            CapReached::Tokens => "tokens",
            CapReached::Money => self.pick("money", "dinheiro"),
            CapReached::Time => self.pick("time", "tempo"),
        }
    }

    /// A number as people read it: `12,400`.
    pub fn thousands(self, number: u64) -> String {
        let digits = number.to_string();
        let mut grouped = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push_str(self.pick(",", "."));
            }
            grouped.push(digit);
        }
        grouped
    }

    /// One of two texts.
    pub fn pick<'a>(self, english: &'a str, portuguese: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Portuguese => portuguese,
        }
    }
}

/// `text` without fenced code, code spans and quoted lines.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with('>') {
            // Every second piece lies between two backticks.
            prose.extend(line.split('`').step_by(2).chain(["\n"]));
        }
    }
    prose
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issue_is_answered_in_its_language() {
        let portuguese = [
            ("O total do carrinho está errado", ""),
            ("Corrigir arredondamento dos preços", "Os centavos somem quando dividimos a conta entre três pessoas."),
            ("Erro ao salvar", "Quando clico em salvar, a página não responde e perco o que escrevi."),
        ];
        for (title, body) in portuguese {
            assert_eq!(Language::of_text(title, body), Language::Portuguese, "{title}");
        }
        let english = [
            ("Fix rounding", ""),
            ("The cart's total is wrong", "Cents go missing when a bill is split in three."),
            ("Crash on save", "When I press save the page does not answer and I lose what I wrote."),
            ("Summe falsch", "Die Summe des Warenkorbs ist falsch, wenn drei Leute teilen."),
            ("", ""),
        ];
        for (title, body) in english {
            assert_eq!(Language::of_text(title, body), Language::English, "{title}");
        }
    }

    #[test]
    fn numbers_are_grouped_as_the_language_does_it() {
        let english = [0, 999, 1_000, 1_234_567].map(|number| Language::English.thousands(number));
        assert_eq!(english, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(Language::Portuguese.thousands(12_400), "12.400");
    }

    #[test]
    fn code_does_not_change_the_language() {
        let body = "```\nfn nao_sei(valor: u64) -> u64 { valor }\n// este é o código que não funciona quando a gente usa\n```\nIt panics.";
        assert_eq!(Language::of_text("The parser panics on empty input", body), Language::English);
    }
}
