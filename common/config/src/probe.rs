//! Whether the configured providers answer: one small call each.

use std::time::Duration;

use llm::{LlmError, ModelInfo, ModelRequest, ProviderName, Providers, Turn};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Services;

/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The fewest tokens that every provider accepts as the most to answer with.
const MOST_OUTPUT: u64 = 16;

/// What came of asking one provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The provider.
    pub provider: &'static str,
    /// Who answered and what it took, or why nobody did and what to do about it.
    pub found: Result<String, String>,
}

impl Services {
    /// Asks each configured provider for a word of its cheapest model, which costs some thousandths of a cent;
    /// the scripted one is not asked.
    ///
    /// # Errors
    /// As [`Services::models`] and [`Services::providers`].
    pub async fn probe(&self) -> anyhow::Result<Vec<Probe>> {
        let (models, providers) = (self.models()?, self.providers()?);
        let mut probes = Vec::new();
        for name in providers.names().filter(|name| *name != ProviderName::Scripted) {
            let cheapest = models.all().filter(|model| model.provider == name).min_by_key(|model| model.price.output_per_million);
            let found = match cheapest {
                Some(model) => ask(&providers, model).await.map_err(|error| error.to_string()),
                None => Err("it has no model: add a [[model]] row to the file that CODETEAM_MODELS names".to_owned()),
            };
            probes.push(Probe { provider: name.as_str(), found });
        }
        Ok(probes)
    }
}

async fn ask(providers: &Providers, model: &ModelInfo) -> anyhow::Result<String> {
    let provider = providers.provider_for(model)?;
    let request = ModelRequest {
        model: model.name_at_provider().to_owned(),
        step_no: 1,
        system: "Answer with one word.".to_owned(),
        turns: vec![Turn::User { text: "Say yes.".to_owned() }],
        tools: [].into(),
        max_output: MOST_OUTPUT,
    };
    let body = provider.encode(&request)?;
    let answered = provider.call(&body, &request, Instant::now() + PATIENCE, &CancellationToken::new()).await;
    let reply = match answered.and_then(|raw| provider.decode(&raw)) {
        Err(LlmError::Timeout { .. }) => anyhow::bail!("no answer from {} within {} s", model.name, PATIENCE.as_secs()),
        reply => reply?,
    };
    Ok(format!("{} answers: {} tokens in, {} out", model.name, reply.usage.input(), reply.usage.output))
}
