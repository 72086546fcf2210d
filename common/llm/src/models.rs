//! The price table: which models there are, what they cost, which mode prefers which.

use std::collections::BTreeMap;

use domain::{Mode, Price};
use serde::Deserialize;
use time::Date;

use crate::{ProviderName, Providers};

time::serde::format_description!(iso_day, Date, "[year]-[month]-[day]");

/// One model, as `prices.toml` describes it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct ModelInfo {
    /// Its name here: what jobs, settings and the ledger call it.
    pub name: String,
    /// Its name at its provider, where that is another.
    #[serde(default)]
    pub provider_model: Option<String>,
    /// Who runs it.
    pub provider: ProviderName,
    /// What it charges.
    #[serde(flatten)]
    pub price: Price,
    /// Input and output tokens of one call together, as far as `price` holds.
    pub context_window: u64,
    /// The most output tokens of one call.
    pub max_output: u64,
    /// The day on which `price` was last compared with `source`.
    #[serde(with = "iso_day")]
    pub priced_on: Date,
    /// Where the price is published.
    pub source: String,
}

impl ModelInfo {
    /// What its provider calls it.
    pub fn name_at_provider(&self) -> &str {
        self.provider_model.as_deref().unwrap_or(&self.name)
    }
}

/// How many names an unknown one is answered with.
const NEAREST: usize = 3;

/// The price table.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    pub(crate) modes: BTreeMap<String, Vec<String>>,
    pub(crate) model: Vec<ModelInfo>,
}

/// A model that the price table does not have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no model {name:?} in the price table; {}", advice(nearest, known))]
pub struct UnknownModel {
    /// What was asked for.
    pub name: String,
    /// The names that exist and are near to it, the nearest first; at most three.
    pub nearest: Vec<String>,
    /// Every name that exists.
    pub known: Vec<String>,
}

/// No model of a mode has its provider configured.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no model for {mode}: set {}", needs.join(" or "))]
pub struct NoModel {
    /// The mode that needs one.
    pub mode: Mode,
    /// What could be set, any of which would do.
    pub needs: Vec<String>,
}

impl Models {
    /// The table that is built in.
    pub fn builtin() -> Self {
        toml::from_str(include_str!("../prices.toml")).expect("prices.toml is part of the binary and parsed by a test")
    }

    /// The model called `name`.
    ///
    /// # Errors
    /// [`UnknownModel`], with the nearest names.
    pub fn lookup(&self, name: &str) -> Result<&ModelInfo, UnknownModel> {
        self.model.iter().find(|model| model.name == name).ok_or_else(|| {
            let known: Vec<String> = self.model.iter().map(|model| model.name.clone()).collect();
            // A part of a name is nearer than any other name: "claude" means one of Claude's. Of names that are no part, those
            // are near that have more in common with it than not.
            let is_part = |known: &str| known.contains(name) || name.contains(known);
            let near = |known: &str| is_part(known) || distance(name, known) * 2 < name.len().max(known.len());
            let mut nearest: Vec<String> = known.iter().filter(|known| !name.is_empty() && near(known)).cloned().collect();
            nearest.sort_by_cached_key(|known| (!is_part(known), distance(name, known)));
            nearest.truncate(NEAREST);
            UnknownModel { name: name.to_owned(), nearest, known }
        })
    }

    /// Every model, in the order of the table.
    pub fn all(&self) -> impl Iterator<Item = &ModelInfo> {
        self.model.iter()
    }

    /// The models of `mode`, the preferred one first.
    pub fn of(&self, mode: Mode) -> impl Iterator<Item = &ModelInfo> {
        let names = self.modes.get(<&str>::from(mode)).map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(|name| self.model.iter().find(|model| model.name == *name))
    }

    /// The first model of `mode` whose provider is configured.
    ///
    /// # Errors
    /// [`NoModel`], which says what would help.
    pub fn default_for(&self, mode: Mode, providers: &Providers) -> Result<&ModelInfo, NoModel> {
        self.of(mode).find(|model| providers.has(model.provider)).ok_or_else(|| {
            let providers = self.of(mode).map(|model| model.provider);
            let mut needs: Vec<_> = providers.map(ProviderName::needs).collect();
            needs.dedup();
            NoModel { mode, needs }
        })
    }
}

fn advice(nearest: &[String], known: &[String]) -> String {
    let list = |names: &[String], between: &str| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(between);
    match nearest {
        [] => format!("it has {}", list(known, ", ")),
        nearest => format!("did you mean {}?", list(nearest, " or ")),
    }
}

/// How many single-character edits lead from `a` to `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use domain::MicroUsd;
    use time::macros::date;

    use super::*;

    #[test]
    fn every_model_of_the_specification_is_there_and_dated() {
        let models = Models::builtin();
        let names = |mode| models.of(mode).map(|model| model.name.as_str()).collect::<Vec<_>>();
        // The specification's three of each mode, in its order, then the same vendor's model for those who have AWS alone.
        assert_eq!(names(Mode::Mechanic)[..3], ["gpt-5-mini", "gemini-2.5-flash", "claude-haiku-4-5"]);
        assert_eq!(names(Mode::Genius)[..3], ["gpt-5.1", "claude-opus-4-5", "gemini-3-pro-preview"]);
        for mode in [Mode::Mechanic, Mode::Genius] {
            let providers: Vec<_> = models.of(mode).skip(3).map(|model| model.provider).collect();
            assert_eq!(providers, [ProviderName::Bedrock]);
        }
        for model in models.all() {
            assert!(model.priced_on >= date!(2025 - 12 - 01), "{}", model.name);
            assert!(!model.source.is_empty(), "{}", model.name);
            assert!(model.max_output < model.context_window, "{}", model.name);
            assert!(model.price.cache_read_per_million < model.price.input_per_million, "{}", model.name);
            assert!(model.price.cache_write_per_million >= model.price.input_per_million, "{}", model.name);
            assert!(model.price.output_per_million > model.price.input_per_million, "{}", model.name);
        }
    }

    #[test]
    fn a_price_is_read_in_micro_dollars_per_million_tokens() {
        let models = Models::builtin();
        let haiku = models.lookup("claude-haiku-4-5").unwrap();
        let price = Price {
            input_per_million: MicroUsd(1_000_000),
            cache_read_per_million: MicroUsd(100_000),
            cache_write_per_million: MicroUsd(1_250_000),
            output_per_million: MicroUsd(5_000_000),
        };
        assert_eq!((haiku.provider, haiku.price), (ProviderName::Anthropic, price));
    }

    #[test]
    fn an_unknown_model_is_answered_with_the_nearest_names() {
        let nearest = |name: &str| Models::builtin().lookup(name).unwrap_err().nearest;
        assert_eq!(nearest("gpt-5-mni"), ["gpt-5-mini", "gpt-5.1"], "nothing else is near");
        assert_eq!(nearest("haiku")[0], "claude-haiku-4-5");
        assert_eq!(nearest("claude-opus-4.5")[0], "claude-opus-4-5");
        let text = Models::builtin().lookup("gpt-5-mni").unwrap_err().to_string();
        assert_eq!(text, r#"no model "gpt-5-mni" in the price table; did you mean "gpt-5-mini" or "gpt-5.1"?"#);
    }

    #[test]
    fn a_model_that_is_like_none_is_answered_with_what_there_is() {
        let error = Models::builtin().lookup("llama-4-maverick").unwrap_err();
        assert_eq!(error.nearest, [""; 0]);
        assert!(
            error.to_string().contains(r#"in the price table; it has "gpt-5-mini", "gemini-2.5-flash", "claude-haiku-4-5", "#),
            "{error}"
        );
    }

    #[test]
    fn without_any_key_the_error_names_the_keys_that_would_help() {
        let models = Models::builtin();
        let error = models.default_for(Mode::Mechanic, &Providers::new()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("no model for mechanic: set OPENAI_API_KEY or ") && text.contains("ANTHROPIC_API_KEY"), "{text}");
    }
}
