//! The binary `codeteam`.

use std::process::ExitCode;

fn main() -> ExitCode {
    codeteam::main()
}
