//! The tools of the suite do what they say, and its checks see what they are made to see.

#[cfg(test)]
mod doors;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod planted_hub;
#[cfg(test)]
mod points;

/// A small world, and the folder that it lives in.
#[cfg(test)]
fn plan() -> (tempfile::TempDir, chaos::world::Plan) {
    let folder = tempfile::Builder::new().prefix("codeteam-chaos-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let plan = chaos::world::Plan {
        program: env!("CARGO_BIN_EXE_chaos").into(),
        folder: folder.path().to_owned(),
        seed: 1,
        workers: 1,
        slots: 3,
        load: 3,
        previous: None,
    };
    (folder, plan)
}
