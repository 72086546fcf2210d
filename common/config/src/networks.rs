//! What commands of jobs may reach, as the operator allows it.

use std::fmt;

use domain::project::Network;
use process::sandbox::Proxy;

use crate::SettingsError;

/// The network profiles that a repository may ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Networks {
    /// `CODETEAM_NETWORK`: all that are allowed; the first one is a repository's that asks for none. `none` unless set.
    allowed: Vec<Network>,
    /// `CODETEAM_FETCH_HOSTS`: hosts that dependencies are fetched from, beside the public registries; see
    /// [`process::sandbox::Proxy::new`].
    pub hosts: Vec<String>,
}

impl Default for Networks {
    fn default() -> Self {
        Self { allowed: vec![Network::None], hosts: Vec::new() }
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.allowed.iter().map(Network::to_string).collect();
        f.write_str(&names.join(", "))
    }
}

impl Networks {
    /// These profiles and hosts; the first profile is the usual one.
    pub fn of(allowed: &[Network], hosts: &[&str]) -> Self {
        let none = Some(Network::None).filter(|_| allowed.is_empty());
        Self { allowed: allowed.iter().copied().chain(none).collect(), hosts: hosts.iter().map(|host| (*host).to_owned()).collect() }
    }

    /// The profile of repositories that ask for none.
    pub fn usual(&self) -> Network {
        self.allowed.first().copied().unwrap_or(Network::None)
    }

    /// Whether a repository may have it. None is always to be had.
    pub fn allow(&self, network: Network) -> bool {
        network == Network::None || self.allowed.contains(&network)
    }

    pub(crate) fn read(text: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        const PROFILES: &str = "CODETEAM_NETWORK";
        const HOSTS: &str = "CODETEAM_FETCH_HOSTS";
        let list =
            |value: &str| value.split(',').map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect::<Vec<_>>();
        let mut networks = Self::default();
        if let Some(value) = text(PROFILES) {
            let profiles = list(&value).iter().map(|profile| profile.parse()).collect::<Result<Vec<Network>, _>>();
            let expected = "expected a list such as none,fetch,loopback: the first is for repositories that ask for none".to_owned();
            networks.allowed = profiles.map_err(|_| SettingsError { name: PROFILES, value, expected })?;
        }
        if let Some(value) = text(HOSTS) {
            networks.hosts = list(&value);
            let checked = Proxy::new(networks.hosts.iter().map(String::as_str));
            checked.map_err(|expected| SettingsError { name: HOSTS, value, expected })?;
        }
        Ok(networks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Networks, SettingsError> {
        Networks::read(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_repository_may_have_what_is_listed_and_none_in_any_case() {
        let networks = read(&[("CODETEAM_NETWORK", "fetch, loopback")]).unwrap();
        assert_eq!(networks.usual(), Network::Fetch);
        assert!([Network::None, Network::Fetch, Network::Loopback].iter().all(|network| networks.allow(*network)));
        let networks = read(&[]).unwrap();
        assert_eq!((networks.usual(), networks.allow(Network::Fetch)), (Network::None, false));
    }

    #[test]
    fn a_profile_or_host_that_is_none_is_named() {
        assert!(read(&[("CODETEAM_NETWORK", "none,internet")]).unwrap_err().to_string().contains("none,fetch,loopback"));
        assert!(read(&[("CODETEAM_FETCH_HOSTS", "a.example,10.0.0.1")]).unwrap_err().to_string().contains("10.0.0.1"));
    }
}
