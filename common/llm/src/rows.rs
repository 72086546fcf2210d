//! Servers and models that people add to the price table, as rows of a file in the form of `prices.toml`.
//!
//! ```toml
//! [modes]                                  # optional: in the place of a mode's own list
//! mechanic = ["qwen3-coder"]
//!
//! [[provider]]
//! name = "ollama"                          # any name that is not a vendor's
//! base_url = "http://localhost:11434/v1"   # what /chat/completions follows
//! key_setting = "OLLAMA_API_KEY"           # optional: the setting that holds its key
//!
//! [[model]]
//! name = "qwen3-coder"
//! provider = "ollama"                      # or a vendor, for a model that the built-in table lacks
//! provider_model = "qwen3-coder:30b"       # optional: what the provider calls it
//! input_per_million = 0
//! output_per_million = 0
//! context_window = 131_072
//! max_output = 16_384
//! priced_on = "2026-11-26"
//! source = "our own machine"
//! ```

use std::collections::BTreeMap;

use domain::{MicroUsd, Mode, Price, Secret};
use serde::Deserialize;
use time::Date;
use toml::Spanned;

use crate::{ModelInfo, Models, ProviderName};

time::serde::format_description!(iso_day, Date, "[year]-[month]-[day]");

/// A server that speaks OpenAI's Chat Completions.
#[derive(Clone, Debug)]
pub struct SelfHosted {
    /// What rows of models call it.
    pub name: ProviderName,
    /// Its address, with the version: what `/chat/completions` follows. It can hold a password.
    pub base_url: Secret,
    /// The setting that holds its key; `None` = it wants none.
    pub key_setting: Option<String>,
}

/// A row that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct BadRow {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    #[serde(default)]
    modes: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    #[serde(default)]
    provider: Vec<Spanned<ProviderRow>>,
    #[serde(default)]
    model: Vec<Spanned<ModelRow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderRow {
    name: ProviderName,
    base_url: String,
    key_setting: Option<String>,
}

/// A cache that costs nothing extra needs no price of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelRow {
    name: String,
    provider: ProviderName,
    provider_model: Option<String>,
    input_per_million: MicroUsd,
    cache_read_per_million: Option<MicroUsd>,
    cache_write_per_million: Option<MicroUsd>,
    output_per_million: MicroUsd,
    context_window: u64,
    max_output: u64,
    #[serde(with = "iso_day")]
    priced_on: Date,
    source: String,
}

impl Models {
    /// The table with the rows of `text`, and the servers that `text` names. Errors will say that they are
    /// from `file`.
    ///
    /// # Errors
    /// [`BadRow`]: a row that is not of the form, a name that is taken, a provider or model that nobody knows.
    pub fn with_rows(mut self, file: &str, text: &str) -> Result<(Self, Vec<SelfHosted>), BadRow> {
        let at = |offset: usize, what: String| BadRow { file: file.to_owned(), line: line(text, offset), what };
        let rows: Rows = toml::from_str(text).map_err(|error| at(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let mut servers: Vec<SelfHosted> = Vec::new();
        for row in rows.provider {
            let offset = row.span().start;
            let server = server(row.into_inner(), &servers).map_err(|what| at(offset, what))?;
            servers.push(server);
        }
        for row in rows.model {
            let offset = row.span().start;
            let model = model(row.into_inner(), &self, &servers).map_err(|what| at(offset, what))?;
            self.model.push(model);
        }
        for (mode, names) in rows.modes {
            let known: Mode =
                mode.get_ref().parse().map_err(|_| at(mode.span().start, format!("no mode {:?}: mechanic or genius", mode.get_ref())))?;
            for name in &names {
                self.lookup(name.get_ref()).map_err(|unknown| at(name.span().start, unknown.to_string()))?;
            }
            self.modes.insert(<&str>::from(known).to_owned(), names.into_iter().map(Spanned::into_inner).collect());
        }
        Ok((self, servers))
    }
}

fn server(row: ProviderRow, others: &[SelfHosted]) -> Result<SelfHosted, String> {
    let ProviderRow { name, base_url, key_setting } = row;
    if !matches!(name, ProviderName::SelfHosted(_)) {
        return Err(format!("the name {name} is a built-in provider's: choose another"));
    }
    if others.iter().any(|other| other.name == name) {
        return Err(format!("there is a [[provider]] {name} already"));
    }
    let url = reqwest::Url::parse(&base_url).map_err(|error| format!("the base_url of {name} is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the base_url of {name} must start with http:// or https://"));
    }
    Ok(SelfHosted { name, base_url: Secret::new(base_url), key_setting })
}

fn model(row: ModelRow, table: &Models, servers: &[SelfHosted]) -> Result<ModelInfo, String> {
    let ModelRow {
        name,
        provider,
        provider_model,
        input_per_million,
        output_per_million,
        context_window,
        max_output,
        priced_on,
        source,
        ..
    } = row;
    let price = Price {
        input_per_million,
        cache_read_per_million: row.cache_read_per_million.unwrap_or(input_per_million),
        cache_write_per_million: row.cache_write_per_million.unwrap_or(input_per_million),
        output_per_million,
    };
    let no_name = |name: &str| name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control());
    if no_name(&name) || provider_model.as_deref().is_some_and(no_name) {
        return Err(format!("{name:?} is no name for a model: it is empty or has spaces"));
    }
    if table.all().any(|other| other.name == name) {
        return Err(format!(
            "there is a model {name:?} already; give this one another name and say with provider_model what its provider calls it"
        ));
    }
    if matches!(provider, ProviderName::SelfHosted(_)) && !servers.iter().any(|server| server.name == provider) {
        return Err(format!("model {name:?} names the provider {provider}, which has no [[provider]] row here"));
    }
    if provider == ProviderName::Scripted {
        return Err(format!("model {name:?} cannot be of the provider scripted"));
    }
    let Price { cache_read_per_million: read, cache_write_per_million: write, .. } = price;
    if [input_per_million, read, write, output_per_million].iter().any(|amount| *amount < MicroUsd::ZERO) {
        return Err(format!("model {name:?} has a negative price"));
    }
    if max_output == 0 || max_output >= context_window {
        return Err(format!("model {name:?}: max_output must be greater than 0 and smaller than context_window"));
    }
    Ok(ModelInfo { name, provider, provider_model, price, context_window, max_output, priced_on, source })
}

fn line(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = r#"
[modes]
mechanic = ["qwen3-coder", "claude-haiku-4-5"]

[[provider]]
name = "ollama"
base_url = "http://localhost:11434/v1"

[[provider]]
name = "gateway"
base_url = "https://llm.example.com/v1"
key_setting = "GATEWAY_KEY"

[[model]]
name = "qwen3-coder"
provider = "ollama"
provider_model = "qwen3-coder:30b"
input_per_million = 0
output_per_million = 0
context_window = 131_072
max_output = 16_384
priced_on = "2026-11-26"
source = "our own machine"

[[model]]
name = "gpt-5-nano"
provider = "openai"
input_per_million = 50_000
cache_read_per_million = 5_000
output_per_million = 400_000
context_window = 400_000
max_output = 128_000
priced_on = "2026-11-26"
source = "the model's page"
"#;

    #[test]
    fn rows_add_servers_and_models_and_may_order_a_mode() {
        let (models, servers) = Models::builtin().with_rows("models.toml", ROWS).unwrap();
        let names: Vec<_> = servers.iter().map(|server| (server.name.as_str(), server.key_setting.as_deref())).collect();
        assert_eq!(names, [("ollama", None), ("gateway", Some("GATEWAY_KEY"))]);
        let qwen = models.lookup("qwen3-coder").unwrap();
        assert_eq!((qwen.provider, qwen.name_at_provider()), (servers[0].name, "qwen3-coder:30b"));
        let nano = models.lookup("gpt-5-nano").unwrap();
        assert_eq!((nano.price.cache_read_per_million, nano.price.cache_write_per_million), (MicroUsd(5_000), MicroUsd(50_000)));
        let of = |mode| models.of(mode).map(|model| model.name.as_str()).collect::<Vec<_>>();
        assert_eq!(of(Mode::Mechanic), ["qwen3-coder", "claude-haiku-4-5"]);
        assert_eq!(of(Mode::Genius), Models::builtin().of(Mode::Genius).map(|model| model.name.as_str()).collect::<Vec<_>>());
    }

    #[test]
    fn a_bad_row_is_named_by_file_and_line() {
        let mut wrong = Vec::new();
        for (old, new, line, words) in [
            ("[modes]", "[modes", 2, "unclosed table"),
            ("mechanic =", "wizard =", 3, "no mode \"wizard\""),
            ("\"qwen3-coder\", ", "\"qwen\", ", 3, "did you mean \"qwen3-coder\""),
            ("name = \"ollama\"", "name = \"openai\"", 5, "built-in"),
            ("name = \"gateway\"", "name = \"ollama\"", 9, "already"),
            ("name = \"gateway\"", "name = \"Gate way\"", 10, "no name for a provider"),
            ("http://localhost", "localhost", 5, "base_url"),
            ("key_setting", "api_key", 12, "unknown field"),
            ("provider = \"ollama\"", "provider = \"olama\"", 14, "no [[provider]] row"),
            ("name = \"qwen3-coder\"", "name = \"gpt-5.1\"", 14, "already"),
            ("input_per_million = 0", "input_per_million = -1", 14, "negative"),
            ("input_per_million = 0", "input_per_million = 0.25", 18, "invalid type"),
            ("max_output = 16_384", "max_output = 131_072", 14, "max_output"),
            ("\"2026-11-26\"\nsource = \"our", "\"soon\"\nsource = \"our", 22, "'year'"),
            ("source = \"our own machine\"", "", 14, "missing field"),
        ] {
            let text = ROWS.replacen(old, new, 1);
            assert_ne!(text, ROWS, "{old}");
            let error = Models::builtin().with_rows("models.toml", &text).unwrap_err();
            if (error.file.as_str(), error.line) != ("models.toml", line) || !error.what.contains(words) {
                wrong.push(format!("{new:?} gave {error}"));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }
}
