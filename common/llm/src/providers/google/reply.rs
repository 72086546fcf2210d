//! What Gemini answers, and what it means.

use domain::Usage;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::NAME;
use crate::hash::fnv;
use crate::{LlmError, Reply, StopReason, ToolCall};

/// Reads a response body.
pub(super) fn decode(raw: &str) -> Result<Reply, LlmError> {
    let malformed = |error: serde_json::Error| LlmError::Malformed { provider: NAME, what: error.to_string() };
    let body: ReplyBody<'_> = serde_json::from_str(raw).map_err(malformed)?;
    let candidate = body.candidates.first();
    let native = candidate.and_then(|candidate| candidate.content).unwrap_or(RawValue::NULL);
    let content: Option<Content> = serde_json::from_str(native.get()).map_err(malformed)?;
    let parts = content.map(|content| content.parts).unwrap_or_default();
    let reply_id = body.response_id.clone().unwrap_or_else(|| format!("call-{:016x}", fnv(&[raw])));
    let (mut text, mut tool_calls) = (String::new(), Vec::new());
    for part in parts {
        if let Some(call) = part.function_call {
            // Older models give their calls no id; a result then belongs to its call by its place.
            let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{reply_id}-{}", tool_calls.len()));
            tool_calls.push(ToolCall { id, name: call.name, input: call.args.unwrap_or_else(|| Value::Object(Default::default())) });
        } else if !part.thought {
            text.push_str(part.text.as_deref().unwrap_or_default());
        }
    }
    let blocked = body.prompt_feedback.and_then(|feedback| feedback.block_reason);
    let stop = match candidate.map(|candidate| candidate.finish_reason.as_deref()) {
        None if blocked.is_some() => StopReason::Refusal,
        None => StopReason::Other("no candidates".to_owned()),
        // Google says STOP, some gateways say what it was for.
        Some(Some("STOP" | "FUNCTION_CALL") | None) if !tool_calls.is_empty() => StopReason::ToolUse,
        Some(reason) => stop_reason(reason),
    };
    Ok(Reply {
        raw: raw.to_owned(),
        provider: NAME,
        native: native.to_owned(),
        text,
        tool_calls,
        stop,
        usage: body.usage_metadata.normal(),
        model: body.model_version,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplyBody<'a> {
    #[serde(borrow, default)]
    candidates: Vec<Candidate<'a>>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: UsageMetadata,
    #[serde(default)]
    model_version: String,
    response_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

/// A turn of the model's, as it came.
#[derive(Default, Deserialize)]
pub(super) struct Content {
    pub role: Option<String>,
    #[serde(default)]
    pub parts: Vec<ReplyPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplyPart {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    pub thought_signature: Option<String>,
    pub function_call: Option<ReplyCall>,
}

#[derive(Deserialize)]
pub(super) struct ReplyCall {
    pub id: Option<String>,
    #[serde(default)]
    pub name: String,
    args: Option<Value>,
}

/// A figure of zero is left out of the reply.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct UsageMetadata {
    /// The whole prompt, its cached part included.
    prompt_token_count: u64,
    cached_content_token_count: u64,
    /// Without the thoughts.
    candidates_token_count: u64,
    thoughts_token_count: u64,
    /// Input too, beside the prompt: what tools that run at Google's brought in.
    tool_use_prompt_token_count: u64,
}

impl UsageMetadata {
    fn normal(&self) -> Usage {
        let input = self.prompt_token_count + self.tool_use_prompt_token_count;
        Usage::of_total(input, self.cached_content_token_count, 0, self.candidates_token_count + self.thoughts_token_count)
    }
}

fn stop_reason(reason: Option<&str>) -> StopReason {
    match reason {
        Some("STOP") => StopReason::EndTurn,
        Some("MAX_TOKENS") => StopReason::MaxTokens,
        Some(
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION",
        ) => StopReason::Refusal,
        // MALFORMED_FUNCTION_CALL among them: the model meant to call a tool and nobody can say which.
        other => StopReason::Other(other.unwrap_or("none").to_owned()),
    }
}
