//! `alarm-react` as a Lambda function.

fn main() -> std::process::ExitCode {
    config::run::<alarm_react::AlarmReact>()
}
