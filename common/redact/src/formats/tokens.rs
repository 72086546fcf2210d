//! Tokens: a beginning, then characters of one alphabet.

use std::ops::Range;

use super::looks_random;

/// One format of tokens.
pub(super) struct Token {
    pub(super) kind: &'static str,
    pub(super) beginning: &'static str,
    alphabet: fn(u8) -> bool,
    /// How many characters follow the beginning.
    least: usize,
    most: usize,
}

const fn token(kind: &'static str, beginning: &'static str, alphabet: fn(u8) -> bool, least: usize, most: usize) -> Token {
    Token { kind, beginning, alphabet, least, most }
}

/// Every format. A new one is a line here and one in the test of the module above.
pub(super) const TOKENS: &[Token] = &[
    token("aws-access-key", "AKIA", upper32, 16, 16),
    token("aws-access-key", "ASIA", upper32, 16, 16),
    token("aws-access-key", "ABIA", upper32, 16, 16),
    token("aws-access-key", "ACCA", upper32, 16, 16),
    token("aws-bedrock-key", "ABSK", base64, 80, 400),
    token("github-token", "ghp_", alnum, 36, 255),
    token("github-token", "gho_", alnum, 36, 255),
    token("github-token", "ghu_", alnum, 36, 255),
    token("github-token", "ghs_", dotted, 36, 1024),
    token("github-token", "ghr_", alnum, 36, 255),
    token("github-token", "github_pat_", word, 40, 255),
    token("gitlab-token", "glpat-", dashed, 20, 255),
    token("gitlab-token", "glrt-", dashed, 20, 255),
    token("openai-key", "sk-", alnum, 40, 255),
    token("openai-key", "sk-proj-", dashed, 40, 255),
    token("openai-key", "sk-svcacct-", dashed, 40, 255),
    token("openai-key", "sk-admin-", dashed, 40, 255),
    token("anthropic-key", "sk-ant-", dashed, 32, 255),
    token("openrouter-key", "sk-or-v1-", hexadecimal, 64, 64),
    token("google-key", "AIza", dashed, 35, 35),
    token("google-key", "GOCSPX-", dashed, 28, 28),
    token("google-key", "ya29.", dashed, 40, 1024),
    token("slack-token", "xoxb-", dashed, 24, 255),
    token("slack-token", "xoxp-", dashed, 24, 255),
    token("slack-token", "xoxa-", dashed, 24, 255),
    token("slack-token", "xoxr-", dashed, 24, 255),
    token("slack-token", "xoxs-", dashed, 24, 255),
    token("slack-token", "xapp-", dashed, 24, 255),
    token("stripe-key", "sk_live_", alnum, 16, 255),
    token("stripe-key", "sk_test_", alnum, 16, 255),
    token("stripe-key", "rk_live_", alnum, 16, 255),
    token("stripe-key", "rk_test_", alnum, 16, 255),
    token("stripe-key", "whsec_", base64, 24, 255),
    token("npm-token", "npm_", alnum, 36, 36),
    token("pypi-token", "pypi-AgE", dashed, 50, 512),
    token("crates-io-token", "cio", alnum, 32, 32),
    token("huggingface-token", "hf_", alnum, 34, 40),
    token("digitalocean-token", "dop_v1_", hexadecimal, 64, 64),
    token("sendgrid-key", "SG.", dotted, 60, 70),
    token("databricks-token", "dapi", hexadecimal, 32, 32),
    token("shopify-token", "shpat_", hexadecimal, 32, 32),
    token("vault-token", "hvs.", dashed, 24, 255),
    token("docker-token", "dckr_pat_", dashed, 27, 40),
    token("atlassian-token", "ATATT3", base64_dashed, 100, 400),
    token("linear-key", "lin_api_", alnum, 40, 40),
    token("grafana-token", "glsa_", word, 40, 50),
    token("new-relic-key", "NRAK-", alnum, 27, 27),
    token("postman-key", "PMAK-", dashed, 59, 59),
    token("supabase-token", "sbp_", hexadecimal, 40, 40),
    token("telegram-token", "bot_token=", colon, 40, 60),
    token("age-key", "AGE-SECRET-KEY-1", alnum, 58, 58),
];

fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn upper32(byte: u8) -> bool {
    byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte)
}

fn hexadecimal(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn dashed(byte: u8) -> bool {
    word(byte) || byte == b'-'
}

fn dotted(byte: u8) -> bool {
    dashed(byte) || byte == b'.'
}

fn colon(byte: u8) -> bool {
    dashed(byte) || byte == b':'
}

fn base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

fn base64_dashed(byte: u8) -> bool {
    base64(byte) || dashed(byte)
}

impl Token {
    /// The token of this format at `start`, where its beginning stands in any case.
    pub(super) fn at(&self, text: &[u8], start: usize) -> Option<Range<usize>> {
        let after = start + self.beginning.len();
        // `%` and `\` codes end in letters and digits: %20ghp_… and \nghp_… are tokens.
        let apart = start == 0 || !dashed(text[start - 1]) || is_code(&text[..start]);
        if !apart || &text[start..after] != self.beginning.as_bytes() {
            return None;
        }
        let count = text[after..].iter().take(self.most + 1).take_while(|byte| (self.alphabet)(**byte)).count();
        let count = if count > self.most && self.most > self.least { self.most } else { count };
        let body = text.get(after..after + count)?;
        // A sentence's full stop is none of the token's.
        let body = if body.ends_with(b".") { &body[..body.len() - 1] } else { body };
        ((self.least..=self.most).contains(&body.len()) && looks_random(body)).then(|| start..after + body.len())
    }
}

/// Whether `text` ends in a code for a character, such as `\n`, `\t` or `%3A`.
fn is_code(text: &[u8]) -> bool {
    matches!(text, [.., b'\\', b'n' | b't' | b'r'])
        || matches!(text, [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}
