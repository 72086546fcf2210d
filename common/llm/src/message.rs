//! A conversation in one form for every provider.

use std::borrow::Cow;
use std::sync::Arc;

use domain::Usage;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::ProviderName;

/// A tool that the model may call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ToolSpec {
    /// What the model calls it by: `[a-z_]+`, at most 64 bytes.
    pub name: String,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// A JSON schema of type `object`, closed (`additionalProperties: false`).
    pub input_schema: Value,
}

/// One call of a tool, as the model asked for it; nothing about it is checked yet.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of the call, which its result must name.
    pub id: String,
    /// The tool's name; may be one that does not exist.
    pub name: String,
    /// The arguments; may be anything, even text that was meant to be JSON.
    pub input: Value,
}

impl ToolCall {
    /// The arguments as an object, since some providers know nothing else: what is none goes under
    /// `arguments`.
    pub(crate) fn object(&self) -> Cow<'_, Value> {
        match &self.input {
            Value::Object(_) => Cow::Borrowed(&self.input),
            other => Cow::Owned(json!({ "arguments": other })),
        }
    }
}

/// Arguments that came as text: the JSON in it, or the text itself where the model wrote none.
pub(crate) fn arguments(text: String) -> Value {
    match text.trim() {
        "" => json!({}),
        json => serde_json::from_str(json).unwrap_or(Value::String(text)),
    }
}

/// What a tool answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToolResult {
    /// [`ToolCall::id`].
    pub call_id: String,
    /// The text that the model reads.
    pub content: String,
    /// Whether the call did not do what it was asked for.
    pub is_error: bool,
}

/// One turn of a conversation. A conversation starts with [`Turn::User`]; an assistant turn with tool
/// calls is followed by [`Turn::ToolResults`] with exactly one result for each of them.
#[derive(Clone, Debug)]
pub enum Turn {
    /// What a person, or the agent on their behalf, says.
    User {
        /// The text; not empty.
        text: String,
    },
    /// What the model said before.
    Assistant(Arc<Reply>),
    /// What the tools answered.
    ToolResults {
        /// One result for each call of the assistant turn before, in the order of the calls.
        results: Vec<ToolResult>,
        /// Text that follows the results: a person's hint, a warning.
        note: Option<String>,
    },
}

/// Everything one model call needs.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// The model, as its provider calls it.
    pub model: String,
    /// Which step of the job this is, from 1.
    pub step_no: u32,
    /// The system prompt.
    pub system: String,
    /// The conversation so far, ending in something for the model to answer.
    pub turns: Vec<Turn>,
    /// What the model may call.
    pub tools: Arc<[ToolSpec]>,
    /// The most tokens to generate, thinking included.
    pub max_output: u64,
}

/// Why the model stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// It had said what it wanted to say.
    EndTurn,
    /// It waits for the results of its tool calls.
    ToolUse,
    /// The output limit or the context window cut it off: its last tool call may be incomplete.
    MaxTokens,
    /// It, or the provider's filter, refused to answer.
    Refusal,
    /// Anything else, in the provider's word.
    Other(String),
}

/// One reply of a model.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The response body, verbatim.
    pub raw: String,
    /// Who answered: only this provider understands `native`.
    pub provider: ProviderName,
    /// The assistant turn in the provider's own form, byte for byte, to be replayed unchanged.
    pub native: Box<RawValue>,
    /// The text of the reply, without thoughts; may be empty.
    pub text: String,
    /// The tools it calls, in order.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped.
    pub stop: StopReason,
    /// What it used.
    pub usage: Usage,
    /// The model that answered, in the provider's words (often more exact than what was asked for); empty
    /// where the provider does not say.
    pub model: String,
}

impl Reply {
    /// Whether it has neither words nor calls: thoughts at the most.
    pub fn is_silent(&self) -> bool {
        self.words().is_none() && self.tool_calls.is_empty()
    }

    /// Its text; `None` where there is nothing to be read in it.
    pub fn words(&self) -> Option<&str> {
        Some(self.text.as_str()).filter(|text| !text.trim().is_empty())
    }
}

impl ModelRequest {
    /// Whether the turns form a conversation that a provider can be sent.
    ///
    /// # Errors
    /// What is wrong, and with which turn (from 1).
    pub fn check(&self) -> Result<(), String> {
        let mut pending: Option<&[ToolCall]> = None;
        for (index, turn) in self.turns.iter().enumerate() {
            let no = index + 1;
            pending = match (pending, turn) {
                (None, Turn::Assistant(_)) if index == 0 => return Err("a conversation cannot start with the assistant".to_owned()),
                (None, Turn::Assistant(reply)) => Some(&reply.tool_calls),
                (None, Turn::User { .. }) if index > 0 => return Err(format!("turn {no} is a second user turn in a row")),
                (None, Turn::User { text }) | (Some([]), Turn::User { text }) if text.trim().is_empty() => {
                    return Err(format!("turn {no} is empty"));
                }
                (None | Some([]), Turn::User { .. }) => None,
                (Some(_), Turn::Assistant(_)) => return Err(format!("turn {no} is a second assistant turn in a row")),
                (Some(calls), Turn::ToolResults { results, .. })
                    if !calls.is_empty() && calls.iter().map(|call| &call.id).eq(results.iter().map(|result| &result.call_id)) =>
                {
                    None
                }
                (_, Turn::ToolResults { .. }) => return Err(format!("the results of turn {no} are not those of the calls before it")),
                (Some(_), Turn::User { .. }) => return Err(format!("turn {no} leaves tool calls without their results")),
            };
        }
        match (pending, self.turns.is_empty()) {
            (_, true) => Err("the conversation is empty".to_owned()),
            (Some(_), _) => Err("there is nothing for the model to answer".to_owned()),
            (None, false) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Turn {
        Turn::User { text: text.to_owned() }
    }

    fn said(calls: &[&str]) -> Turn {
        let call = |id: &&str| ToolCall { id: (*id).to_owned(), name: "shell".to_owned(), input: json!({}) };
        Turn::Assistant(Arc::new(Reply {
            raw: String::new(),
            provider: ProviderName::Scripted,
            native: RawValue::NULL.to_owned(),
            text: String::new(),
            tool_calls: calls.iter().map(call).collect(),
            stop: StopReason::ToolUse,
            usage: Usage::default(),
            model: String::new(),
        }))
    }

    fn results(ids: &[&str]) -> Turn {
        let result = |id: &&str| ToolResult { call_id: (*id).to_owned(), content: String::new(), is_error: false };
        Turn::ToolResults { results: ids.iter().map(result).collect(), note: None }
    }

    fn checked(turns: Vec<Turn>) -> Result<(), String> {
        let (model, system) = ("m".to_owned(), String::new());
        ModelRequest { model, step_no: 1, system, turns, tools: Arc::default(), max_output: 1 }.check()
    }

    #[test]
    fn a_conversation_in_order_may_be_sent() {
        assert_eq!(checked(vec![user("a"), said(&[]), user("b")]), Ok(()));
        assert_eq!(checked(vec![user("a"), said(&["1", "2"]), results(&["1", "2"]), said(&["3"]), results(&["3"])]), Ok(()));
    }

    #[test]
    fn one_out_of_order_is_refused_by_its_turn() {
        for (turns, problem) in [
            (vec![], "the conversation is empty"),
            (vec![said(&[])], "cannot start with the assistant"),
            (vec![user(" ")], "turn 1 is empty"),
            (vec![user("a"), user("b")], "turn 2 is a second user turn"),
            (vec![user("a"), said(&[]), user("")], "turn 3 is empty"),
            (vec![user("a"), said(&[]), said(&[])], "turn 3 is a second assistant turn"),
            (vec![user("a"), said(&[])], "nothing for the model to answer"),
            (vec![user("a"), said(&["1"]), user("b")], "turn 3 leaves tool calls without their results"),
            (vec![user("a"), said(&["1", "2"]), results(&["2", "1"])], "the results of turn 3 are not those of the calls"),
            (vec![user("a"), said(&["1"]), results(&["1", "2"])], "the results of turn 3 are not those of the calls"),
            (vec![user("a"), said(&[]), results(&[])], "the results of turn 3 are not those of the calls"),
        ] {
            let shown = format!("{turns:?}");
            let refusal = checked(turns).unwrap_err();
            assert!(refusal.contains(problem), "{shown} was refused for {refusal:?}");
        }
    }
}
