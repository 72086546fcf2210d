//! `scale` as a Lambda function.

fn main() -> std::process::ExitCode {
    config::run::<scale::Scale>()
}
