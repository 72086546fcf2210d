//! The command line.

/// The value after `--name`.
pub fn value(name: &str) -> Option<String> {
    let flag = format!("--{name}");
    let mut args = std::env::args().skip(1);
    args.find(|arg| *arg == flag)?;
    args.next()
}
