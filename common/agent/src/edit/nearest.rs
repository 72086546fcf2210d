//! What to say when a quotation stands nowhere: where it nearly does, and what differs.

use super::ladder::plain;

const MOST_LINES: usize = 12;
const MOST_LINE_CHARS: usize = 160;
/// How alike the best line must be to be worth showing.
const LEAST_LIKENESS: f64 = 0.4;

/// Why `old` was not found in `text`.
pub(super) fn explain(text: &str, old: &str, new: &str) -> String {
    if !new.trim().is_empty() && text.contains(new) {
        return "old stands nowhere, but new does: it seems to be done already".to_owned();
    }
    let lines: Vec<&str> = text.lines().collect();
    let quoted: Vec<&str> = old.lines().collect();
    let Some(start) = best_window(&lines, &quoted).or_else(|| best_line(&lines, &quoted)) else {
        return "old stands nowhere, and nothing in the file is like it; read the file again".to_owned();
    };
    let end = (start + quoted.len()).min(lines.len());
    let shown = (start..end).take(MOST_LINES).map(|index| format!("{:>6}\t{}", index + 1, shortened(lines[index])));
    let shown: Vec<String> = shown.collect();
    let reason = first_difference(&lines[start..end], &quoted, start);
    format!("old stands nowhere; {reason}. The nearest lines of the file are\n{}", shown.join("\n"))
}

/// Where most lines of the quotation stand at their place.
fn best_window(lines: &[&str], quoted: &[&str]) -> Option<usize> {
    let keys: Vec<String> = lines.iter().map(|line| key(line)).collect();
    let quoted: Vec<String> = quoted.iter().map(|line| key(line)).collect();
    let hits = |start: usize| {
        let pairs = keys[start..].iter().zip(&quoted);
        pairs.filter(|(line, quoted)| line == quoted && line.chars().any(char::is_alphanumeric)).count()
    };
    let best = (0..lines.len()).map(|start| (hits(start), start)).max_by_key(|(hits, start)| (*hits, std::cmp::Reverse(*start)))?;
    if best.0 == 0 { None } else { Some(best.1) }
}

/// Where the line stands that shares the most words with the first line of the quotation.
fn best_line(lines: &[&str], quoted: &[&str]) -> Option<usize> {
    let (offset, first) = quoted.iter().enumerate().find(|(_, line)| line.chars().any(char::is_alphanumeric))?;
    let scored = lines.iter().enumerate().map(|(index, line)| (likeness(line, first), index));
    let (score, index) = scored.max_by(|(a, i), (b, j)| a.total_cmp(b).then(j.cmp(i)))?;
    if score < LEAST_LIKENESS { None } else { Some(index.saturating_sub(offset)) }
}

/// Shared words, as a part of all words of both (Dice).
fn likeness(a: &str, b: &str) -> f64 {
    let words = |line: &str| -> Vec<String> {
        line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let (a, mut b) = (words(a), words(b));
    let count = a.len() + b.len();
    let shared = a.iter().filter(|word| b.iter().position(|other| other == *word).map(|index| b.swap_remove(index)).is_some()).count();
    if count == 0 { 0.0 } else { 2.0 * shared as f64 / count as f64 }
}

fn first_difference(lines: &[&str], quoted: &[&str], start: usize) -> String {
    let differs = lines.iter().zip(quoted).position(|(line, quoted)| key(line) != key(quoted));
    match differs {
        Some(index) => {
            let (line, quoted) = (shortened(lines[index].trim()), shortened(quoted[index].trim()));
            format!("line {} of the file is `{line}` where old has `{quoted}`", start + index + 1)
        }
        None if lines.len() < quoted.len() => format!("the file ends before old does: old has {} lines from here", quoted.len()),
        None => "the words are the same and the indentation is not, in a way that does not tell which line is meant".to_owned(),
    }
}

fn key(line: &str) -> String {
    plain(line).trim().to_owned()
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= MOST_LINE_CHARS { line.to_owned() } else { line.chars().take(MOST_LINE_CHARS).chain(['…']).collect() }
}
