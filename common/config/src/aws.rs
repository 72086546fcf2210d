//! The right to call AWS, from where AWS's own tools take it: the environment, the credentials file, the
//! container's role, in this order
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>).
//!
//! What needs a call to another service first (SSO, roles to assume, web identities) is not among it:
//! `aws configure export-credentials --format env` turns any of them into variables.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use domain::Secret;
use llm::AwsAccess;
use redact::Redactor;

/// The address that a relative path of a container's credentials belongs to.
const CONTAINER: &str = "http://169.254.170.2";

/// What `lookup`, the environment, and the file it names give; `None` where nothing does.
pub(crate) fn access(lookup: impl Fn(&str) -> Option<String>) -> Option<AwsAccess> {
    let text = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let secret = |name: &str| text(name).map(Secret::new);
    if let Some(key) = secret("AWS_BEARER_TOKEN_BEDROCK") {
        return Some(AwsAccess::ApiKey(key));
    }
    if let Some((id, secret_key)) = text("AWS_ACCESS_KEY_ID").zip(secret("AWS_SECRET_ACCESS_KEY")) {
        return Some(AwsAccess::Keys { id, secret: secret_key, session: secret("AWS_SESSION_TOKEN") });
    }
    let in_home = || text("HOME").map(|home| Path::new(&home).join(".aws/credentials"));
    let file = text("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(in_home);
    let profile = text("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let stored = file.and_then(|file| std::fs::read_to_string(file).ok()).and_then(|stored| in_profile(&stored, &profile));
    if let Some(AwsAccess::Keys { secret, session, .. }) = &stored {
        // Those of the environment are known by their names.
        for secret in session.iter().chain([secret]) {
            Redactor::of_process().register("AWS_SHARED_CREDENTIALS_FILE", secret);
        }
    }
    stored.or_else(|| container(text))
}

/// The keys of `profile` in a credentials file.
fn in_profile(file: &str, profile: &str) -> Option<AwsAccess> {
    let mut section = "";
    let mut values = HashMap::new();
    for line in file.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim();
        } else if let Some((key, value)) = line.split_once('=').filter(|_| section == profile && !line.starts_with(['#', ';'])) {
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let (id, secret) = values.remove("aws_access_key_id").zip(values.remove("aws_secret_access_key"))?;
    Some(AwsAccess::Keys { id, secret: Secret::new(secret), session: values.remove("aws_session_token").map(Secret::new) })
}

fn container(text: impl Fn(&str) -> Option<String>) -> Option<AwsAccess> {
    let relative = text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
    Some(AwsAccess::Container {
        url: relative.or_else(|| text("AWS_CONTAINER_CREDENTIALS_FULL_URI"))?,
        token: text("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new),
        token_file: text("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Option<AwsAccess> {
        access(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn keys(id: &str, secret: &str, session: Option<&str>) -> Option<AwsAccess> {
        Some(AwsAccess::Keys { id: id.to_owned(), secret: Secret::new(secret), session: session.map(Secret::new) })
    }

    #[test]
    fn the_environment_comes_before_the_file_and_the_file_before_the_container() {
        let home = tempfile::tempdir().unwrap();
        let container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1");
        let path = ("HOME", home.path().to_str().unwrap());
        let url = || AwsAccess::Container { url: "http://169.254.170.2/v2/credentials/1".to_owned(), token: None, token_file: None };
        assert_eq!(of(&[path]), None);
        assert_eq!(of(&[path, container]), Some(url()));
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        let file = "[other]\naws_access_key_id = O\naws_secret_access_key = o\naws_session_token = t=\n\n[ default ]\n# comment = x\naws_access_key_id=D\nAWS_SECRET_ACCESS_KEY = d\n[sso]\nsso_session = x\n";
        std::fs::write(home.path().join(".aws/credentials"), file).unwrap();
        assert_eq!(of(&[path, container]), keys("D", "d", None));
        assert_eq!(of(&[path, ("AWS_PROFILE", "other")]), keys("O", "o", Some("t=")));
        assert_eq!(of(&[path, ("AWS_PROFILE", "sso")]), None, "a profile without keys is none");
        let environment = [path, ("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "e"), ("AWS_SESSION_TOKEN", " ")];
        assert_eq!(of(&environment), keys("E", "e", None));
        let with_key = [&environment[..], &[("AWS_BEARER_TOKEN_BEDROCK", "b")]].concat();
        assert_eq!(of(&with_key), Some(AwsAccess::ApiKey(Secret::new("b"))));
    }

    #[test]
    fn a_pods_address_comes_with_its_token_file() {
        let file = "/var/run/secrets/token";
        let pod = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file),
        ];
        let expected = AwsAccess::Container { url: pod[0].1.to_owned(), token: None, token_file: Some(PathBuf::from(file)) };
        assert_eq!(of(&pod), Some(expected));
        assert_eq!(of(&[("AWS_ACCESS_KEY_ID", "half")]), None);
    }
}
