//! What the model says to each kind of job. The kind and number of a job stand in its title, as `work-0012`.

use std::time::Duration;

use serde_json::{Value, json};

/// What a job is like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, strum::Display, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// Reads, writes, runs, hands in: ends with a branch and a pull request.
    Work,
    /// Reads and answers: ends with a comment.
    Talk,
    /// Like [`Kind::Work`]; the second step thinks for longer than a lease is renewed.
    Slow,
    /// Like [`Kind::Work`] with a webhook of 1 MB, a file of 1 MB to keep, and a last reply of 1 MB. (An earlier
    /// reply of that size would not fit into the next request's tokens.)
    Large,
    /// Every reply to its second step is garbage.
    Poison,
}

/// The steps of one job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// Its name, as in its title.
    pub tag: String,
    /// What it is like.
    pub kind: Kind,
}

/// What every job that works leaves in its file `greeting.txt`.
pub const GREETING: &str = "hello\nagain\n";

/// How much a large job writes, gets and says, in bytes.
const LARGE_BYTES: usize = 1_000_000;
const SLOW: Duration = Duration::from_secs(13);

impl Script {
    /// The script of the first job named in `text`.
    pub fn named_in(text: &str) -> Option<Self> {
        text.split(|char: char| !char.is_ascii_alphanumeric() && char != '-').find_map(Self::of_tag)
    }

    /// The script of this job.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let (kind, number) = tag.split_once('-')?;
        number.parse::<u32>().ok()?;
        Some(Self { tag: tag.to_owned(), kind: kind.parse().ok()? })
    }

    /// How many steps it takes.
    pub fn steps(&self) -> usize {
        match self.kind {
            Kind::Talk => 2,
            Kind::Work | Kind::Slow | Kind::Large | Kind::Poison => 4,
        }
    }

    /// Whether it ends with a branch.
    pub fn changes(&self) -> bool {
        self.kind != Kind::Talk
    }

    /// How long the model thinks about `step`, where that is its own.
    pub fn thinks(&self, step: usize) -> Option<Duration> {
        (self.kind == Kind::Slow && step == 2).then_some(SLOW)
    }

    /// Whether the reply to `step` is garbage.
    pub fn is_poison(&self, step: usize) -> bool {
        self.kind == Kind::Poison && step == 2
    }

    /// What the model says in `step`, from 1; `None` behind the last.
    pub fn content(&self, step: usize) -> Option<Value> {
        let (tool, input) = match (self.kind, step) {
            (_, 1) => ("read_file", json!({ "path": "README.md" })),
            (Kind::Talk, 2) | (_, 4) => ("finish", self.finish()),
            (Kind::Large, 2) => ("shell", json!({ "command": format!("head -c {LARGE_BYTES} /dev/urandom > large") })),
            (_, 2) => ("write_file", json!({ "path": "greeting.txt", "content": "hello\n" })),
            // Twice on one workspace, it would say so in the file.
            (Kind::Large, 3) => ("shell", json!({ "command": "echo hello >> greeting.txt; echo again >> greeting.txt" })),
            (_, 3) => ("shell", json!({ "command": "echo again >> greeting.txt" })),
            _ => return None,
        };
        let call = json!({ "type": "tool_use", "id": format!("toolu_{step}"), "name": tool, "input": input });
        Some(match (self.kind, step) {
            (Kind::Large, 4) => json!([{ "type": "text", "text": long_text() }, call]),
            _ => json!([call]),
        })
    }

    fn finish(&self) -> Value {
        json!({ "title": format!("Greet {}", self.tag), "summary": "It greets.", "tests_run": [], "confidence": "high" })
    }
}

/// As long as a large job writes.
pub fn long_text() -> String {
    "All work and no play. ".repeat(LARGE_BYTES / 22)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_known_by_the_tag_in_its_text() {
        let script = Script::named_in(r#"[{"text":"**Greet work-0012**, well-meant-3"}]"#).unwrap();
        assert_eq!((script.tag.as_str(), script.kind, script.steps()), ("work-0012", Kind::Work, 4));
        assert_eq!(Script::named_in("nobody-is 7-work"), None);
    }

    #[test]
    fn every_script_ends_with_finish_and_says_nothing_after() {
        for kind in ["work", "talk", "slow", "large", "poison"] {
            let script = Script::of_tag(&format!("{kind}-1")).unwrap();
            let last = script.content(script.steps()).unwrap();
            assert_eq!(last.as_array().unwrap().last().unwrap()["name"], "finish", "{kind}");
            assert!(script.content(5).is_none());
        }
    }
}
