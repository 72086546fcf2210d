//! The names of providers.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The providers that the price table may name. As text: `anthropic`, `openai`, `google`, `bedrock`,
/// `scripted`, or the name of a row that somebody added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ProviderName {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Responses.
    OpenAi,
    /// Google Gemini.
    Google,
    /// Amazon Bedrock Converse.
    Bedrock,
    /// Replies read from a file: nobody is called and nothing is paid.
    Scripted,
    /// A server that speaks OpenAI's Chat Completions, added by a row of configuration.
    SelfHosted(HostName),
}

/// The name that somebody gave to a server of their own: `[a-z][a-z0-9_-]*`, at most 32 bytes, and none of
/// the built-in names. Each is kept once for the life of the process, so that names stay `Copy`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct HostName(&'static str);

/// A text that is no name of a provider.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no name for a provider: a small letter, then at most 31 small letters, digits, - or _")]
pub struct BadProviderName(pub String);

const BUILTIN: [ProviderName; 5] =
    [ProviderName::Anthropic, ProviderName::OpenAi, ProviderName::Google, ProviderName::Bedrock, ProviderName::Scripted];

impl ProviderName {
    /// The name as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Google => "google",
            Self::Bedrock => "bedrock",
            Self::Scripted => "scripted",
            Self::SelfHosted(name) => name.0,
        }
    }

    /// What must be set before it can be called, as it follows "set" or "check".
    pub fn needs(self) -> String {
        match self {
            Self::Anthropic => "ANTHROPIC_API_KEY".to_owned(),
            Self::OpenAi => "OPENAI_API_KEY".to_owned(),
            Self::Google => "GOOGLE_API_KEY".to_owned(),
            Self::Bedrock => "AWS_REGION and AWS credentials".to_owned(),
            Self::Scripted => "CODETEAM_SCRIPT, a file of replies".to_owned(),
            Self::SelfHosted(name) => format!("the [[provider]] {:?} in the file that CODETEAM_MODELS names", name.0),
        }
    }
}

impl FromStr for ProviderName {
    type Err = BadProviderName;

    fn from_str(text: &str) -> Result<Self, BadProviderName> {
        if let Some(name) = BUILTIN.into_iter().find(|name| name.as_str() == text) {
            return Ok(name);
        }
        let is_name = text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
        if is_name { Ok(Self::SelfHosted(HostName(interned(text)))) } else { Err(BadProviderName(text.to_owned())) }
    }
}

fn interned(text: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = names.get(text) {
        return name;
    }
    let name: &'static str = Box::leak(text.into());
    names.insert(name);
    name
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ProviderName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ProviderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_stored_keep_their_meaning() {
        let stored = ["anthropic", "openai", "google", "bedrock", "scripted"];
        assert_eq!(stored.map(|name| name.parse()), BUILTIN.map(Ok));
        for name in stored {
            let read: ProviderName = serde_json::from_str(&format!("{name:?}")).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), format!("{name:?}"));
        }
    }

    #[test]
    fn a_server_of_ones_own_has_a_name_of_its_own() {
        let ollama: ProviderName = "ollama".parse().unwrap();
        assert_eq!((ollama.as_str(), ollama), ("ollama", "ollama".parse().unwrap()));
        assert!(std::ptr::eq(ollama.as_str(), "ollama".parse::<ProviderName>().unwrap().as_str()), "it is kept once");
        assert_ne!(ollama, "vllm-2".parse().unwrap());
        for bad in ["", "Ollama", "2vllm", "a b", "über", &"a".repeat(33)] {
            assert_eq!(bad.parse::<ProviderName>(), Err(BadProviderName(bad.to_owned())));
        }
    }
}
