//! Whether a text that people read is in their language.

/// Words that no Portuguese sentence has, function words above all: one of them is in nearly every English sentence.
const ENGLISH: &[&str] = &[
    "after", "allowed", "and", "answer", "are", "at", "attempt", "because", "been", "before", "by", "cannot", "cause", "column", "did",
    "does", "expected", "failed", "file", "from", "has", "have", "had", "is", "it", "its", "least", "less", "let", "line", "lost", "might",
    "more", "must", "nobody", "not", "nothing", "of", "on", "only", "or", "out", "reply", "so", "than", "that", "the", "them", "there",
    "they", "this", "times", "to", "too", "unknown", "was", "were", "what", "when", "which", "while", "with", "without", "you",
];

/// The English words of a text that is to be Portuguese, but for what it quotes (`“…”`, `"…"` and `` `…` ``): that is others' own.
pub fn english_left(text: &str) -> Vec<String> {
    let (first, quoting) = text.split_once('“').unwrap_or((text, ""));
    let mut own = first.to_owned();
    own.extend(quoting.split('“').filter_map(|quote| quote.split_once('”')).map(|(_, after)| after));
    for mark in ['"', '`'] {
        own = own.split(mark).step_by(2).collect::<Vec<_>>().join(" ");
    }
    let words = own.split(|letter: char| !letter.is_alphanumeric() && !"_./-".contains(letter)).map(str::to_lowercase);
    words.filter(|word| ENGLISH.contains(&word.as_str())).collect()
}
