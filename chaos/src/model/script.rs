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
    /// Twenty steps of all sorts, for a genius.
    Long,
    /// Like [`Kind::Long`], with so much in it that it reaches the cap of tokens that its run sets.
    Hungry,
    /// Like [`Kind::Work`], with long calls and commands, each of which says in its text whose it is: to be stopped.
    Halted,
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
/// The steps of a long job.
pub const LONG_STEPS: usize = 20;

/// How much a large job writes, gets and says, in bytes.
const LARGE_BYTES: usize = 1_000_000;
const SLOW: Duration = Duration::from_secs(13);
/// The steps of a job that is to be stopped.
const HALTED_STEPS: usize = 10;
/// How long the model thinks in its every third step, and its commands take, in milliseconds.
const HALTED_CALL: Duration = Duration::from_millis(1500);

impl Kind {
    /// Whether its greeting has the two lines that every job leaves which works.
    pub fn greets(self) -> bool {
        self != Self::Halted
    }
}

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
            Kind::Long | Kind::Hungry => LONG_STEPS,
            Kind::Halted => HALTED_STEPS,
        }
    }

    /// Whose job it is, as the label says it.
    pub fn mode(&self) -> &'static str {
        if self.counts_tokens() { "genius" } else { "mechanic" }
    }

    /// Whether the model counts what its calls really take, the prompt cache included.
    pub fn counts_tokens(&self) -> bool {
        matches!(self.kind, Kind::Long | Kind::Hungry)
    }

    /// The files that a long job leaves, all of them, with what is in them; `None` of other jobs, and of one that
    /// cannot come to its end.
    pub fn files(&self) -> Option<Vec<(String, String)>> {
        if self.kind != Kind::Long {
            return None;
        }
        let journal: String = (6..LONG_STEPS).step_by(3).map(|step| format!("step {step}\n")).collect();
        let mut files = vec![
            ("README.md".to_owned(), "A shop.\n".to_owned()),
            ("greeting.txt".to_owned(), GREETING.to_owned()),
            ("journal.txt".to_owned(), journal),
            ("state.txt".to_owned(), "at 17\n".to_owned()),
        ];
        files.extend((4..LONG_STEPS).step_by(3).map(|step| (format!("note-{step:02}.txt"), self.note(step))));
        Some(files)
    }

    /// Whether it ends with a branch.
    pub fn changes(&self) -> bool {
        self.kind != Kind::Talk
    }

    /// How long the model thinks about `step`, where that is its own.
    pub fn thinks(&self, step: usize) -> Option<Duration> {
        match self.kind {
            Kind::Slow if step == 2 => Some(SLOW),
            Kind::Halted if step % 3 == 1 => Some(HALTED_CALL),
            _ => None,
        }
    }

    /// Whether the reply to `step` is garbage.
    pub fn is_poison(&self, step: usize) -> bool {
        self.kind == Kind::Poison && step == 2
    }

    /// What the model says in `step`, from 1; `None` behind the last.
    pub fn content(&self, step: usize) -> Option<Value> {
        if !(1..=self.steps()).contains(&step) {
            return None;
        }
        if self.counts_tokens() {
            return Some(self.long(step));
        }
        let (tool, input) = match (self.kind, step) {
            (Kind::Halted, 3..HALTED_STEPS) => {
                let pause = if step.is_multiple_of(3) { "1.5" } else { "0.3" };
                ("shell", json!({ "command": format!(": {}; echo again >> greeting.txt; sleep {pause}", self.mark(step)) }))
            }
            (Kind::Halted, HALTED_STEPS) => ("finish", self.finish()),
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

    /// A step of a long job: it writes, appends and edits, one file after the other, sometimes two at once.
    fn long(&self, step: usize) -> Value {
        let call = |part: &str, tool: &str, input: Value| json!({ "type": "tool_use", "id": format!("toolu_{step}{part}"), "name": tool, "input": input });
        let write = |part: &str, path: &str, content: &str| call(part, "write_file", json!({ "path": path, "content": content }));
        match step {
            1 => json!([call("", "read_file", json!({ "path": "README.md" }))]),
            2 => json!([write("a", "greeting.txt", "hello\n"), write("b", "state.txt", "at 2\n")]),
            // Twice on one workspace, these would say so in the file.
            3 => json!([call("", "shell", json!({ "command": "echo again >> greeting.txt" }))]),
            LONG_STEPS => json!([call("", "finish", self.finish())]),
            _ if step.is_multiple_of(3) => {
                let report = if self.kind == Kind::Hungry { "; seq -f 'line %05.0f of a report' 400" } else { "" };
                json!([call("", "shell", json!({ "command": format!("echo step {step} >> journal.txt{report}") }))])
            }
            _ if step % 3 == 1 => json!([write("", &format!("note-{step:02}.txt"), &self.note(step))]),
            _ => {
                let edit = json!({ "old": format!("at {}", step - 3), "new": format!("at {step}") });
                json!([call("", "edit_file", json!({ "path": "state.txt", "edits": [edit] }))])
            }
        }
    }

    /// What stands in the command of `step`, for whoever looks at the machine's processes.
    pub fn mark(&self, step: usize) -> String {
        format!("step-{step}-of-{}", self.tag)
    }

    fn note(&self, step: usize) -> String {
        format!("note {step}\n").repeat(if self.kind == Kind::Hungry { 1500 } else { 1 })
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
        for kind in ["work", "talk", "slow", "large", "poison", "long", "hungry", "halted"] {
            let script = Script::of_tag(&format!("{kind}-1")).unwrap();
            let last = script.content(script.steps()).unwrap();
            assert_eq!(last.as_array().unwrap().last().unwrap()["name"], "finish", "{kind}");
            assert!(script.content(script.steps() + 1).is_none());
        }
    }
}
