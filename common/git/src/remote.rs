//! Where a repository is fetched from and pushed to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::GitError;

/// A path or URL of a repository. It prints without the password that it may carry.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// A path, or a URL without user and password where they are secret.
    location: String,
    protocol: Protocol,
    /// The URL with user and password, in the form that `git credential-store` keeps.
    credentials: Option<Secret>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    File,
    Http,
    Https,
    Ssh,
}

impl Remote {
    /// The protocol that git may use for it, and no other: a redirection cannot lead elsewhere.
    pub(crate) fn protocol(&self) -> &'static str {
        match self.protocol {
            Protocol::File => "file",
            Protocol::Http => "http:https",
            Protocol::Https => "https",
            Protocol::Ssh => "ssh",
        }
    }

    /// What git is given; nothing secret in it.
    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    pub(crate) fn credentials(&self) -> Option<&Secret> {
        self.credentials.as_ref()
    }

    /// Whether it is a repository on this machine.
    pub fn is_local(&self) -> bool {
        self.protocol == Protocol::File
    }

    /// Where it is on this machine; `None` = elsewhere.
    pub(crate) fn local_path(&self) -> Option<&Path> {
        self.is_local().then(|| Path::new(&self.location))
    }

    /// A folder name of its own: readable, and different for different remotes.
    pub(crate) fn folder(&self) -> String {
        let name: String = self
            .location
            .trim_end_matches('/')
            .trim_end_matches(".git")
            .rsplit(['/', ':'])
            .next()
            .unwrap_or_default()
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || "-_".contains(*char))
            .take(40)
            .collect();
        let hash = hex::encode(&Sha256::digest(self.location.as_bytes())[..10]);
        format!("{name}-{hash}.git")
    }

    /// The same repository, where `user` and `password` open it. Only HTTP(S) knows both; for others nothing changes.
    #[must_use]
    pub fn opened_by(self, user: &str, password: &Secret) -> Self {
        let host = match self.location.split_once("://") {
            Some((_, rest)) if matches!(self.protocol, Protocol::Http | Protocol::Https) => rest.split('/').next().unwrap_or_default(),
            _ => return self,
        };
        let scheme = if self.protocol == Protocol::Https { "https" } else { "http" };
        let [user, password] = [user, password.expose()].map(percent_encoded);
        let credentials = Some(Secret::new(format!("{scheme}://{user}:{password}@{host}")));
        Self { credentials, ..self }
    }

    fn url(text: &str, protocol: Protocol) -> Result<Self, GitError> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid(text))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        if host.is_empty() || host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
            return Err(invalid(text));
        }
        let secret = user.filter(|user| protocol != Protocol::Ssh || user.contains(':'));
        Ok(Self {
            location: if secret.is_some() { format!("{scheme}://{host}/{path}") } else { text.to_owned() },
            protocol,
            credentials: secret.map(|user| Secret::new(format!("{scheme}://{user}@{host}"))),
        })
    }

    fn path(path: &Path) -> Result<Self, GitError> {
        let path = std::path::absolute(path).map_err(GitError::io("find", path))?;
        match path.to_str() {
            Some(location) => Ok(Self { location: location.to_owned(), protocol: Protocol::File, credentials: None }),
            None => Err(invalid(&path.to_string_lossy())),
        }
    }
}

/// What may not stand in a URL as it is: all but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// As a URL holds a user or a password.
fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn invalid(text: &str) -> GitError {
    // A secret may stand before an @.
    let value = text.rsplit('@').next().unwrap_or_default().to_owned();
    GitError::Invalid { what: "remote", value, rule: "it is a path, https://…, http://…, ssh://… or user@host:path" }
}

impl FromStr for Remote {
    type Err = GitError;

    /// Takes paths (made absolute), `http(s)://`, `ssh://` and `file://` URLs and `user@host:path`.
    ///
    /// # Errors
    /// On everything else, above all on what git would take for an option or a remote helper
    /// (`ext::sh -c …`).
    fn from_str(text: &str) -> Result<Self, GitError> {
        if text.is_empty() || text.starts_with('-') || text.contains("::") || text.contains(char::is_control) {
            return Err(invalid(text));
        }
        match text.split_once("://") {
            Some(("https", _)) => Self::url(text, Protocol::Https),
            Some(("http", _)) => Self::url(text, Protocol::Http),
            Some(("ssh", _)) => Self::url(text, Protocol::Ssh),
            Some(("file", path)) if path.starts_with('/') => Self::path(Path::new(path)),
            Some(_) => Err(invalid(text)),
            None => match text.split_once(':') {
                // As git does: a colon before the first slash means a host.
                Some((host, _)) if !host.contains('/') => {
                    Ok(Self { location: text.to_owned(), protocol: Protocol::Ssh, credentials: None })
                }
                _ => Self::path(Path::new(text)),
            },
        }
    }
}

impl TryFrom<&Path> for Remote {
    type Error = GitError;

    fn try_from(path: &Path) -> Result<Self, GitError> {
        Self::path(path)
    }
}

impl TryFrom<PathBuf> for Remote {
    type Error = GitError;

    fn try_from(path: PathBuf) -> Result<Self, GitError> {
        Self::path(&path)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.location)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", self.location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_the_three_kinds_of_urls_are_remotes() {
        for (text, protocol) in [
            ("/srv/shop.git", "file"),
            ("file:///srv/shop.git", "file"),
            ("https://example.com/acme/shop.git", "https"),
            ("http://127.0.0.1:8080/shop.git", "http:https"),
            ("ssh://git@example.com/acme/shop.git", "ssh"),
            ("git@example.com:acme/shop.git", "ssh"),
        ] {
            let remote: Remote = text.parse().unwrap();
            assert_eq!(remote.protocol(), protocol, "{text}");
            assert_eq!(remote.to_string(), text.trim_start_matches("file://"));
        }
    }

    #[test]
    fn helpers_options_and_other_schemes_are_refused() {
        for text in [
            "",
            "-oProxyCommand=x",
            "--upload-pack=x",
            "ext::sh -c x",
            "fd::3",
            "git://host/x",
            "ftp://host/x",
            "ssh://-oProxyCommand=x/y",
            "https:///x",
            "https://a\nb/c",
        ] {
            assert!(text.parse::<Remote>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_password_is_neither_shown_nor_given_to_git() {
        let remote: Remote = "https://bot:hunter2@example.com/acme/shop.git".parse().unwrap();
        assert_eq!(remote.location(), "https://example.com/acme/shop.git");
        assert!(!format!("{remote} {remote:?}").contains("hunter2"));
        assert_eq!(remote.credentials().unwrap().expose(), "https://bot:hunter2@example.com");
        let error = "ftp://bot:hunter2@host/x".parse::<Remote>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_credential_opens_a_remote_of_http_and_is_not_shown() {
        let opened = |text: &str| text.parse::<Remote>().unwrap().opened_by("x-access-token", &Secret::new("gh/s:1@"));
        let remote = opened("https://github.example:8443/acme/shop.git");
        assert_eq!(remote.location(), "https://github.example:8443/acme/shop.git");
        assert_eq!(remote.credentials().unwrap().expose(), format!("https://x-access-token:{}@github.example:8443", "gh%2Fs%3A1%40"));
        assert!(!format!("{remote} {remote:?}").contains("gh%2F"), "{remote:?}");
        assert_eq!(opened("/srv/shop.git").credentials(), None);
        assert_eq!(opened("git@github.example:acme/shop.git").credentials(), None);
    }

    #[test]
    fn two_remotes_of_one_name_have_two_folders() {
        let folder = |text: &str| text.parse::<Remote>().unwrap().folder();
        assert!(folder("/a/shop.git").starts_with("shop-"), "{}", folder("/a/shop.git"));
        assert_ne!(folder("/a/shop.git"), folder("/b/shop.git"));
    }
}
