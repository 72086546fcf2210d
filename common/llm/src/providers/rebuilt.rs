//! Turns that another provider's model made, in a form that every wire accepts.

/// What a turn without words and calls says where a wire accepts no empty one.
pub(crate) const NO_ANSWER: &str = "(no answer)";

/// The longest name or id that every wire accepts.
const LONGEST: usize = 64;

/// The name of a tool as every wire accepts it: `[a-zA-Z_][a-zA-Z0-9_-]*`, at most 64 bytes. A model may have
/// called a tool that does not exist by any name, and the wires refuse their own models' inventions too.
pub(crate) fn tool_name(name: &str) -> String {
    let mut accepted: String = name.chars().map(plain).collect();
    if !accepted.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        accepted.insert(0, '_');
    }
    accepted.truncate(LONGEST);
    accepted
}

/// The id of a call as every wire accepts it: `[a-zA-Z0-9_-]+`, at most 64 bytes. Ids of one vendor's calls
/// differ at their ends, so that is what is kept of a long one.
pub(crate) fn call_id(id: &str) -> String {
    let accepted: String = id.chars().map(plain).collect();
    let accepted = if accepted.is_empty() { "_".to_owned() } else { accepted };
    accepted[accepted.len().saturating_sub(LONGEST)..].to_owned()
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_model_called_a_tool_becomes_a_name() {
        let long = "a".repeat(90);
        let names = ["read_file", "functions.shell", "2nd tool", "", "über", &long].map(tool_name);
        assert_eq!(names, ["read_file", "functions_shell", "_2nd_tool", "_", "_ber", &long[..64]].map(str::to_owned));
    }

    #[test]
    fn long_ids_stay_different() {
        let ids = [1, 2].map(|end| call_id(&format!("{}{end}", "call:".repeat(40))));
        assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 64 && !id.contains(':')), "{ids:?}");
        assert_eq!(call_id("toolu_01-x"), "toolu_01-x");
        assert_eq!(call_id(""), "_");
    }
}
