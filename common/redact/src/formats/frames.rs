//! Secrets that are known by what stands around them.

use std::ops::Range;

use super::looks_random;

/// Given the text and where the beginning stands: the bytes that are secret.
type Read = fn(&str, Range<usize>) -> Option<Range<usize>>;

/// What each begins with (in any case), its kind, and how it is read.
pub(super) const FRAMES: &[(&str, &str, Read)] = &[
    ("-----BEGIN ", "private-key", private_key),
    ("eyJ", "jwt", jwt),
    ("://", "url-password", url_password),
    ("secret_access_key", "aws-secret-key", aws_secret),
    ("secretaccesskey", "aws-secret-key", aws_secret),
    ("session_token", "aws-secret-key", aws_secret),
    ("sessiontoken", "aws-secret-key", aws_secret),
    ("authorization", "authorization", authorization),
    ("x-api-key", "authorization", api_key),
    ("x-goog-api-key", "authorization", api_key),
    ("hooks.slack.com/services/", "slack-webhook", slack_webhook),
];

/// RFC 7468, and what OpenSSL and OpenPGP write: from its first line to its last, or as far as it goes. What stands between
/// must be its base64, however lines are broken, numbered or quoted: a program that knows the two lines is no key.
fn private_key(text: &str, begin: Range<usize>) -> Option<Range<usize>> {
    let rest = &text[begin.end..];
    let label = &rest.as_bytes()[..rest.len().min(48)];
    let label = &rest[..label.windows(5).position(|dashes| dashes == b"-----")?];
    if !label.ends_with("PRIVATE KEY") && label != "PGP PRIVATE KEY BLOCK" {
        return None;
    }
    let body = begin.end + label.len() + 5;
    let bytes = &text.as_bytes()[body..];
    let is_body = |byte: u8| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+/=\\\"',:;.>|".contains(&byte);
    let length = bytes.iter().position(|byte| !is_body(*byte)).unwrap_or(bytes.len());
    // The name of a cipher, in headers of old keys, has dashes.
    let headers = bytes[..length].windows(8).any(|word| word == b"DEK-Info");
    let length = if headers {
        let dashes = |at: &usize| bytes[*at..].starts_with(b"-----");
        (length..bytes.len().min(length + 16_384)).find(dashes).unwrap_or(bytes.len().min(length + 16_384))
    } else {
        length
    };
    let longest = bytes[..length].split(|byte| !(byte.is_ascii_alphanumeric() || b"+/=".contains(byte))).map(<[u8]>::len).max()?;
    if longest < 40 {
        return None;
    }
    // A header may end in the middle of a character.
    let rest = text.get(body + length..)?;
    let end = rest.strip_prefix("-----END ").and_then(|rest| Some(9 + rest.get(..48.min(rest.len()))?.find("-----")? + 5));
    Some(begin.start..body + length + end.unwrap_or(0))
}

/// RFC 7519 in compact form, whose header and payload are JSON objects.
fn jwt(text: &str, begin: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let before = begin.start.checked_sub(1).map(|at| bytes[at]);
    if &text[begin.clone()] != "eyJ" || before.is_some_and(|byte| is_part(byte) || byte == b'.') {
        return None;
    }
    let part = |start: usize| start + bytes[start..].iter().take_while(|byte| is_part(**byte)).count();
    let header = part(begin.start);
    let payload = text[header..].strip_prefix('.').filter(|rest| rest.starts_with("eyJ")).map(|_| part(header + 1))?;
    let signature = text[payload..].strip_prefix('.').map(|_| part(payload + 1))?;
    (header - begin.start >= 12 && payload - header >= 12 && signature - payload >= 17).then_some(begin.start..signature)
}

/// The password of a URL's login (RFC 3986, 3.2.1), or the whole login where it is a token alone.
fn url_password(text: &str, slashes: Range<usize>) -> Option<Range<usize>> {
    const MOST: usize = 512;
    let bytes = text.as_bytes();
    if !bytes[..slashes.start].last().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let stop = |byte: &&u8| byte.is_ascii_whitespace() || b"/?#\"'`<>()\\".contains(byte);
    let authority = bytes[slashes.end..].iter().take(MOST).take_while(|byte| !stop(byte)).count();
    let authority = &bytes[slashes.end..slashes.end + authority];
    let login = &authority[..authority.iter().rposition(|byte| *byte == b'@')?];
    let start = slashes.end + login.iter().position(|byte| *byte == b':')? + 1;
    let end = slashes.end + login.len();
    (is_password(text.get(start..end)?)).then_some(start..end)
}

/// Whether it can be a password, and not what documents put in the place of one.
fn is_password(text: &str) -> bool {
    const PLACEHOLDERS: &[&str] =
        &["password", "passwd", "pass", "pwd", "secret", "token", "user", "postgres", "test", "hunter2", "x-oauth-basic"];
    let lower = text.to_ascii_lowercase();
    let set_in = ["$", "{", "<", "[", "%s", "*", "..."].iter().any(|mark| text.contains(mark));
    let letters: String = lower.chars().filter(char::is_ascii_alphabetic).collect();
    !text.is_empty() && !set_in && !PLACEHOLDERS.contains(&lower.as_str()) && !letters.chars().all(|char| char == 'x')
}

/// What is given to the name of an AWS secret: in a file of credentials, an environment, JSON, code.
fn aws_secret(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let start = name.end + given(&text[name.end..])?;
    let bytes = text.as_bytes();
    let length = bytes[start..].iter().take(4096).take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)).count();
    (length >= 40 && looks_random(&bytes[start..start + length])).then_some(start..start + length)
}

/// How many bytes lead from a name to what it is set to: ` = "`, `": "`, `:`, `>`.
fn given(rest: &str) -> Option<usize> {
    let count = rest.bytes().take(12).take_while(|byte| b" \t\"'\\:=>,".contains(byte)).count();
    (count > 0).then_some(count)
}

/// RFC 9110, 11.6.2: the credentials after the scheme.
fn authorization(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let mut start = name.end + given(&text[name.end..])?;
    let scheme = ["bearer ", "basic ", "token ", "apikey "]
        .iter()
        .find(|scheme| text.as_bytes()[start..].get(..scheme.len()).is_some_and(|there| there.eq_ignore_ascii_case(scheme.as_bytes())))?;
    start += scheme.len();
    credentials(text, start, if scheme.starts_with("basic") { 12 } else { 16 })
}

fn api_key(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let start = name.end + given(&text[name.end..])?;
    credentials(text, start, 16)
}

fn credentials(text: &str, start: usize, least: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let length = bytes[start..].iter().take(4096).take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte)).count();
    (length >= least && looks_random(&bytes[start..start + length])).then_some(start..start + length)
}

/// The path of an incoming webhook is all that it takes to write there.
fn slack_webhook(text: &str, begin: Range<usize>) -> Option<Range<usize>> {
    let path = &text.as_bytes()[begin.end..];
    let length = path.iter().take(128).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'/').count();
    (length >= 40 && looks_random(&path[..length])).then_some(begin.end..begin.end + length)
}
