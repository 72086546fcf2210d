//! `converse` as a Lambda function.

fn main() -> std::process::ExitCode {
    config::run::<converse::Converse>()
}
