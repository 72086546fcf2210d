//! When two outputs of one command are the same: the numbers in them are not looked at, nor their order.
//!
//! Tests that are run twice without a change between tell other durations, times, process ids, addresses and
//! temporary files, and threads finish in another order. None of that is news.

/// Where systems keep what has another name each time.
const TEMPORARY: &str = "/tmp/";

/// `text` without what differs between two runs of one command.
pub(crate) fn same(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(line).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn line(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, word) = if rest.starts_with(TEMPORARY) {
            let end = rest.find(|c: char| c.is_whitespace() || "\"'`,;:)".contains(c)).unwrap_or(rest.len());
            (end, None)
        } else if first.is_ascii_digit() {
            // 12, 0.31s, 10:28:05, 0x7f3a, 3rd
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == ':')).unwrap_or(rest.len());
            (end, None)
        } else if first.is_alphabetic() {
            let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            let hexadecimal = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
            // A digest may begin with a letter; so may words such as "added".
            if hexadecimal > end && hexadecimal >= 7 { (hexadecimal, None) } else { (end, Some(&rest[..end])) }
        } else {
            (first.len_utf8(), Some(&rest[..first.len_utf8()]))
        };
        kept.push_str(word.unwrap_or("#"));
        rest = &rest[length..];
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn durations_times_ids_addresses_and_temporary_files_are_no_news() {
        for (once, again) in [
            ("Ran 32 tests in 0.310s", "Ran 32 tests in 12.4s"),
            ("ok shop/money 950ms", "ok shop/money 1.2s"),
            ("[2026-11-26T10:28:05Z] worker-77 pid=4242", "[2026-11-26T10:29:41Z] worker-9 pid=123456"),
            ("<Price object at 0x7f3a91>", "<Price object at 0x55e0b2c418>"),
            ("wrote /tmp/tmpab_x9/out.txt: done", "wrote /tmp/pytest-of-q/k: done"),
            ("build c0ffee1234", "build a1b2c3d4e5"),
            ("test a ... ok\ntest b ... FAILED", "test b ... FAILED\ntest a ... ok"),
        ] {
            assert_eq!(same(once), same(again));
        }
    }

    #[test]
    fn what_happened_is_news() {
        for (once, again) in [
            ("test a ... ok", "test a ... FAILED"),
            ("expected Cents", "expected Dollars"),
            ("test a ... ok", "test a ... ok\ntest a ... ok"),
            ("added", "faced"),
            ("ação", "acao"),
        ] {
            assert_ne!(same(once), same(again));
        }
    }
}
