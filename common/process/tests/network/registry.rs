//! A registry of packages on this machine.

use std::fs;
use std::path::PathBuf;

use process::{Command, Service};
use tempfile::TempDir;

use crate::{PATH, until};

/// The registry; it ends with this.
pub(super) struct Registry {
    folder: TempDir,
    _server: Service,
}

impl Registry {
    pub(super) async fn start() -> Self {
        let folder = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
        let script = folder.path().join("registry.py");
        fs::write(&script, include_str!("registry.py")).unwrap();
        let log = fs::File::create(folder.path().join("errors")).unwrap();
        let command = Command::new("/usr/bin/python3").arg(&script).arg(folder.path()).path(PATH);
        let server = Service::start(&command, log).unwrap();
        let registry = Self { folder, _server: server };
        until("the registry listens", || registry.folder.path().join("port").exists()).await;
        registry
    }

    /// As a proxy is told where it is.
    pub(super) fn host(&self) -> String {
        format!("registry.test=127.0.0.1:{}", fs::read_to_string(self.folder.path().join("port")).unwrap())
    }

    /// What it is recognised by.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Every path that was asked for since the last [`forget`](Self::forget).
    pub(super) fn asked(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    pub(super) fn forget(&self) {
        fs::write(self.folder.path().join("log"), "").unwrap();
    }
}
