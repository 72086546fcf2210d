//! Which GitHub: github.com, a GitHub Enterprise Server, or something on this machine that stands in for one.

use reqwest::Url;

/// The two addresses of a GitHub: of its web pages, which git clones from, and of its REST API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    web: String,
    api: String,
    host: String,
}

/// An address that is no GitHub's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{url:?} is not the address of a GitHub: {rule}")]
pub struct InvalidSite {
    url: String,
    rule: &'static str,
}

impl Site {
    /// github.com.
    pub fn github() -> Self {
        Self { web: "https://github.com".into(), api: "https://api.github.com".into(), host: "github.com".into() }
    }

    /// The GitHub whose pages are at `web`, such as `https://github.example.com`. Its API is where GitHub puts it: on a host
    /// `api.` before the name for github.com and `*.ghe.com`, below `/api/v3` on an Enterprise Server.
    ///
    /// # Errors
    /// [`InvalidSite`] for what is not `https://host`, or `http://` on this machine.
    pub fn at(web: &str) -> Result<Self, InvalidSite> {
        let url = checked(web)?;
        let host = url.host_str().unwrap_or_default();
        let api = if host == "github.com" || host.ends_with(".ghe.com") {
            format!("https://api.{host}")
        } else {
            format!("{}/api/v3", trimmed(&url))
        };
        Self::with_api(web, &api)
    }

    /// The GitHub with these two addresses.
    ///
    /// # Errors
    /// [`InvalidSite`] for what is not `https://host…`, or `http://` on this machine.
    pub fn with_api(web: &str, api: &str) -> Result<Self, InvalidSite> {
        let (web, api) = (checked(web)?, checked(api)?);
        let host = web.host_str().unwrap_or_default().to_owned();
        Ok(Self { web: trimmed(&web), api: trimmed(&api), host })
    }

    /// Where people look at it, without a slash at the end.
    pub fn web(&self) -> &str {
        &self.web
    }

    /// Where its API is, without a slash at the end.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// The address by which GitHub knows the account `login` with the number `id`, whatever its real one is.
    pub fn no_reply(&self, id: u64, login: &str) -> String {
        format!("{id}+{login}@users.noreply.{}", self.host)
    }
}

fn checked(text: &str) -> Result<Url, InvalidSite> {
    let refuse = |rule| {
        // What stands before an @ may be a password.
        InvalidSite { url: text.rsplit('@').next().unwrap_or_default().to_owned(), rule }
    };
    let url = Url::parse(text).map_err(|_| refuse("write it as https://host"))?;
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => {}
        "http" if here => {}
        "http" => return Err(refuse("tokens go there, so it has to be https")),
        _ => return Err(refuse("write it as https://host")),
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has neither user nor query"));
    }
    Ok(url)
}

fn trimmed(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_where_each_kind_of_github_has_it() {
        for (web, api) in [
            ("https://github.com/", "https://api.github.com"),
            ("https://acme.ghe.com", "https://api.acme.ghe.com"),
            ("https://github.example.com", "https://github.example.com/api/v3"),
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000/api/v3"),
        ] {
            assert_eq!(Site::at(web).unwrap().api(), api, "{web}");
        }
        assert_eq!(Site::at("https://github.com").unwrap(), Site::github());
    }

    #[test]
    fn tokens_go_over_tls_or_stay_on_this_machine() {
        let with_password = format!("https://me:{}@github.com", "pw");
        for text in ["http://github.example.com", "ftp://x", "github.com", &with_password, "https://github.com?x=1"] {
            assert!(Site::at(text).is_err(), "{text}");
        }
        let error = Site::at("https://me:hunter2@github.com").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn no_reply_addresses_are_of_the_site() {
        assert_eq!(Site::github().no_reply(7, "ada"), "7+ada@users.noreply.github.com");
        assert_eq!(Site::at("https://github.example.com").unwrap().no_reply(7, "ada"), "7+ada@users.noreply.github.example.com");
    }
}
