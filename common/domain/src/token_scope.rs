//! What a token of the REST API may be used for.

use serde::{Deserialize, Serialize};

/// One permission. A token has at least one.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::EnumString,
)]
pub enum TokenScope {
    /// To see jobs, their events, steps and ledger, and how the queue stands.
    #[serde(rename = "jobs:read")]
    #[strum(serialize = "jobs:read")]
    JobsRead,
    /// To start jobs and to steer them.
    #[serde(rename = "jobs:write")]
    #[strum(serialize = "jobs:write")]
    JobsWrite,
    /// To change what holds for all jobs (lanes, gates, schedules, budgets), and everything above.
    #[serde(rename = "admin")]
    #[strum(serialize = "admin")]
    Admin,
}

impl TokenScope {
    /// Whether a holder of `self` may do what `wanted` permits.
    pub fn includes(self, wanted: Self) -> bool {
        self == wanted || self == Self::Admin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_may_do_everything_and_nobody_else_more_than_his_scope() {
        use TokenScope::{Admin, JobsRead, JobsWrite};
        let permitted = [Admin, JobsWrite, JobsRead].map(|own| [Admin, JobsWrite, JobsRead].map(|wanted| own.includes(wanted)));
        assert_eq!(permitted, [[true, true, true], [false, true, false], [false, false, true]]);
    }

    #[test]
    fn a_scope_has_one_name_in_json_and_text() {
        for scope in [TokenScope::JobsRead, TokenScope::JobsWrite, TokenScope::Admin] {
            assert_eq!(serde_json::to_string(&scope).unwrap(), format!("\"{scope}\""));
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
    }
}
