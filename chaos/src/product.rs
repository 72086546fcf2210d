//! The product inside of this binary.

use std::path::Path;
use std::process::ExitCode;

use crate::environment::variable;
use crate::say;

/// The name under which this binary is the product.
pub const NAME: &str = "codeteam";
/// Which fail point a process is armed for, as [`failpoints::arm`] understands it.
pub const FAILPOINT: &str = "CHAOS_FAILPOINT";

/// Whether this process was started under the product's name, or that of its spawner.
pub fn is_called() -> bool {
    std::env::args_os()
        .next()
        .is_some_and(|program| Path::new(&program).file_name().is_some_and(|name| name == NAME || name == process::spawner::NAME))
}

/// The product, armed if the environment says so.
pub fn main() -> ExitCode {
    if let Some(Err(problem)) = variable(FAILPOINT).map(|plan| failpoints::arm(&plan)) {
        say(&format!("{FAILPOINT}: {problem}"));
        return ExitCode::from(2);
    }
    codeteam::main()
}
