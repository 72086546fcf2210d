//! `codeteam token`.

use clap::Subcommand;
use domain::TokenScope;

/// `codeteam token`.
#[derive(Subcommand, Debug)]
pub enum Token {
    /// Make a token and print it: this one time only.
    Create {
        /// Whose it is, for people; one token in force has a name.
        #[arg(long)]
        name: String,
        /// What it may be used for: jobs:read, jobs:write or admin (which includes the others). Once for each.
        #[arg(long = "scope", required = true, value_parser = parse_scope)]
        scopes: Vec<TokenScope>,
        /// Days until it ends by itself; never unless given.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
        expires_days: Option<u32>,
    },
    /// List the tokens there are and were.
    List,
    /// End a token at once.
    Revoke {
        /// Its id or its name.
        token: String,
    },
}

fn parse_scope(text: &str) -> Result<TokenScope, String> {
    text.parse().map_err(|_| "expected jobs:read, jobs:write or admin".to_owned())
}
