//! The service as a child of this process.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running service. It ends when this is dropped, and when this process ends in any other way.
pub(crate) struct Service {
    pub(crate) socket: PathBuf,
    pub(crate) process: u32,
    _child: Child,
    /// Only this user can enter it.
    _folder: tempfile::TempDir,
}

impl Service {
    /// Starts the service. Only the path of the key is known here.
    pub(crate) async fn start(key_file: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("kms.sock");
        let mut child = Command::new(std::env::current_exe()?)
            .args([Path::new("serve"), Path::new("--socket"), &socket])
            .args([Path::new("--key-file"), key_file])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().context("it has an output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        ensure!(line == "ready\n", "the service did not start");
        Ok(Self {
            socket,
            process: child.id().context("it runs")?,
            _child: child,
            _folder: folder,
        })
    }
}
