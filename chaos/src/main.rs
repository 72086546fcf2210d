//! The chaos suite. Called by the name `codeteam` it is the product itself, with fail points that can be
//! armed: so the suite and what it torments are always of one build.

use std::process::ExitCode;

fn main() -> ExitCode {
    match chaos::product::is_called() {
        true => chaos::product::main(),
        false => chaos::main(),
    }
}
