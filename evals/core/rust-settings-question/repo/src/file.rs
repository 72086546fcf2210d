//! beacon.conf: `name = value`, one a line. Where a name is there twice, the last line counts.

/// The value of `name`.
pub fn value(name: &str) -> Option<String> {
    let text = std::fs::read_to_string("beacon.conf").ok()?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.filter(|(key, _)| key.trim() == name).last().map(|(_, value)| value.trim().to_owned())
}
