//! The command line about PgBouncer.

use std::path::PathBuf;

use clap::Args;

/// `codeteam pooler`.
#[derive(Args, Debug)]
pub struct PoolerFiles {
    /// Where the files go; it is made, and its files are written anew.
    pub folder: PathBuf,
    /// The most sessions of the database.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub pool_size: u16,
    /// Where PgBouncer listens.
    #[arg(long, default_value_t = 5432, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// The number of the user that PgBouncer runs as, who alone may read the files; whoever runs this unless given.
    #[arg(long, value_name = "UID")]
    pub user: Option<u32>,
}
