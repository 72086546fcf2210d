//! Secrets that are known by how they look.
//!
//! A token has a beginning that its vendor gave it for this purpose, then characters of one alphabet; what looks like a
//! placeholder is none. Hashes, identifiers and ordinary code have no such beginning. Sources: the vendors' pages on
//! their token formats, GitHub's list of patterns that push protection knows, and the rules of gitleaks.

mod frames;
mod tokens;

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use frames::FRAMES;
use tokens::TOKENS;

/// The beginnings of all of them: first those of [`TOKENS`], then those of [`FRAMES`].
static BEGINNINGS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let beginnings = TOKENS.iter().map(|token| token.beginning).chain(FRAMES.iter().map(|(beginning, ..)| *beginning));
    let builder = AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(beginnings);
    builder.expect("some dozens of short patterns fit")
});

/// Calls `see` with every place in `text` that holds a secret of a known format. Places may overlap.
///
/// Linear: a token begins where no character of a token stands before it, and no frame is searched further than to
/// where the next one could begin.
pub(crate) fn find(text: &str, mut see: impl FnMut(Range<usize>, &'static str)) {
    for found in BEGINNINGS.find_overlapping_iter(text) {
        let number = found.pattern().as_usize();
        let (range, kind) = match TOKENS.get(number) {
            Some(token) => (token.at(text.as_bytes(), found.start()), token.kind),
            None => {
                let (_, kind, read) = FRAMES[number - TOKENS.len()];
                (read(text, found.range()), kind)
            }
        };
        if let Some(range) = range {
            see(range, kind);
        }
    }
}

/// Whether `kind` is one of the formats.
pub(crate) fn is_kind(kind: &str) -> bool {
    TOKENS.iter().any(|token| token.kind == kind) || FRAMES.iter().any(|(_, known, _)| *known == kind)
}

/// Whether `text` looks drawn at random, as a token does, and not like a placeholder for one.
fn looks_random(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let says = |word: &[u8]| lower.windows(word.len()).any(|window| window == word);
    let mut seen = [false; 256];
    text.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    let longest_run = text.chunk_by(|left, right| left == right).map(<[u8]>::len).max().unwrap_or(0);
    distinct >= text.len().min(24) / 3
        && distinct >= 6
        && longest_run <= 6
        // One in thirty short keys happens to have no digit.
        && (text.len() < 20 || text.iter().any(u8::is_ascii_digit))
        && text.iter().any(u8::is_ascii_alphabetic)
        && !PLACEHOLDERS.iter().any(|word| says(word))
}

/// What stands in examples in the place of a token.
const PLACEHOLDERS: &[&[u8]] = &[b"example", b"placeholder", b"redacted", b"your_", b"your-", b"xxxx", b"0123456789", b"abcdefgh"];

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(&'static str, String)> {
        let mut kinds = Vec::new();
        find(text, |range, kind| kinds.push((kind, text[range].to_owned())));
        kinds
    }

    /// Characters that look drawn, the same ones each time. Written down they would be found in this file.
    pub(super) fn drawn(alphabet: &str, count: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            alphabet[usize::try_from(state % alphabet.len() as u64).unwrap()]
        };
        (0..count).map(|_| next()).collect()
    }

    const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const HEX: &str = "0123456789abcdef";

    #[test]
    fn tokens_are_found_with_their_exact_ends() {
        let alnum = |count| drawn(ALNUM, count);
        let tokens = [
            ("aws-access-key", format!("AKIA{}", drawn("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16))),
            ("github-token", format!("ghp_{}", alnum(36))),
            ("github-token", format!("ghs_{}", alnum(36))),
            ("github-token", format!("github_pat_{}_{}", alnum(22), alnum(59))),
            ("gitlab-token", format!("glpat-{}", alnum(20))),
            ("openai-key", format!("sk-{}", alnum(48))),
            ("openai-key", format!("sk-proj-{}_{}", alnum(60), alnum(40))),
            ("anthropic-key", format!("sk-ant-api03-{}-{}AA", alnum(50), alnum(40))),
            ("google-key", format!("AIza{}", alnum(35))),
            ("slack-token", format!("xoxb-{}-{}", drawn("123456789", 12), alnum(24))),
            ("stripe-key", format!("sk_live_{}", alnum(24))),
            ("npm-token", format!("npm_{}", alnum(36))),
            ("pypi-token", format!("pypi-AgEIcHlwaS5vcmc{}", alnum(80))),
            ("crates-io-token", format!("cio{}", alnum(32))),
            ("huggingface-token", format!("hf_{}", alnum(34))),
        ];
        for (kind, token) in tokens {
            for (before, after) in [("", ""), ("x = \"", "\";"), ("TOKEN=", "\n"), ("https://", "@github.com/a/b"), ("(", ")."), ("ü", "ü")]
            {
                let found = kinds(&format!("{before}{token}{after}"));
                assert!(found.contains(&(kind, token.clone())), "{before}{token}{after}: {found:?}");
            }
        }
    }

    #[test]
    fn frames_are_found_with_what_is_secret_in_them() {
        let body = drawn(BASE64, 640);
        let lines: Vec<String> = body.as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
        let (begin, end) = (format!("-----BEGIN {}PRIVATE KEY-----", "RSA "), format!("-----END {}PRIVATE KEY-----", "RSA "));
        let pem = format!("{begin}\n{}\n{end}", lines.join("\n"));
        assert_eq!(kinds(&format!("a\n{pem}\nb")), [("private-key", pem.clone())]);
        let numbered: Vec<String> = pem.lines().enumerate().map(|(no, line)| format!("{no:>6}\t{line}")).collect();
        assert_eq!(kinds(&numbered.join("\n")).len(), 1);
        let one_line = pem.replace('\n', "\\n");
        assert_eq!(kinds(&format!("KEY=\"{one_line}\"")), [("private-key", one_line)]);
        let cut = &pem[..300];
        assert_eq!(kinds(cut), [("private-key", cut.to_owned())]);

        let [key, session] = [drawn(BASE64, 40), drawn(BASE64, 120)];
        assert_eq!(kinds(&format!("aws_secret_access_key = {key}\n")), [("aws-secret-key", key.clone())]);
        assert_eq!(kinds(&format!("\"SecretAccessKey\": \"{key}\",")), [("aws-secret-key", key.clone())]);
        assert_eq!(kinds(&format!("AWS_SESSION_TOKEN={session}")), [("aws-secret-key", session)]);

        let [first, second, third] = [drawn(ALNUM, 24), drawn(ALNUM, 60), drawn(ALNUM, 43)];
        let jwt = format!("eyJ{first}.eyJ{second}.{third}");
        assert_eq!(kinds(&format!("token {jwt}, and")), [("jwt", jwt)]);

        let word = drawn(ALNUM, 12);
        assert_eq!(kinds(&format!("postgres://app:{word}@db:5432/app")), [("url-password", word.clone())]);
        assert_eq!(kinds(&format!("git clone https://x-access-token:{word}@example.com/a.git")), [("url-password", word)]);

        let token = drawn(ALNUM, 32);
        for header in
            [format!("Authorization: Bearer {token}"), format!("-H 'authorization: token {token}'"), format!("X-Api-Key: {token}")]
        {
            assert_eq!(kinds(&header), [("authorization", token.clone())], "{header}");
        }
        let hook =
            format!("https://hooks.slack.com/services/T{}/B{}/{}", drawn("ABCDEFGH123", 9), drawn("ABCDEFGH123", 9), drawn(ALNUM, 24));
        assert_eq!(kinds(&hook).len(), 1, "{hook}");
    }

    #[test]
    fn ordinary_code_hashes_and_placeholders_are_none() {
        let hash = drawn(HEX, 64);
        let words = drawn(ALNUM, 48);
        let innocent = [
            hash.clone(),
            format!("sha256:{hash}"),
            format!("integrity sha512-{}==", drawn(BASE64, 86)),
            words.clone(),
            format!("desk-{words}"),
            format!("ask-{words}"),
            "sk-spinner-circle-fade-dot-animation-container".to_owned(),
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_owned(),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            "postgres://user:password@host/database".to_owned(),
            "postgres://${USER}:${PASSWORD}@host".to_owned(),
            "https://example.com:8080/a@b".to_owned(),
            "Authorization: Bearer <token>".to_owned(),
            "Authorization: Bearer $TOKEN".to_owned(),
            "authorization: bearer tokens are checked first".to_owned(),
            "let authorization = headers.get(AUTHORIZATION);".to_owned(),
            "const BEGIN: &str = \"-----BEGIN PRIVATE KEY-----\"; const END: &str = \"-----END PRIVATE KEY-----\";".to_owned(),
            "fn npm_install_dependencies_of_a_project_without_scripts() {}".to_owned(),
            "social_security_numbers cioppino".to_owned(),
            "019b76da-a800-7000-8000-000000000000".to_owned(),
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk".to_owned(),
        ];
        for text in innocent {
            assert_eq!(kinds(&text), [], "{text}");
        }
    }
}
