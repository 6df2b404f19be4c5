// SPDX-License-Identifier: Apache-2.0
//! Releases of the daemon that are not installed: fetched when a restart asks for one, verified, and put where versions are.
//!
//! Whoever signs one must be trusted to run programs as root: it becomes the daemon.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use package::{ArchiveError, Limits, unpack};
use thiserror::Error;
use wire::l3afd::{NoArtifact, Release};

use super::L3afdConfig;
use crate::Rejected;
use crate::server::{Shared, with};

/// The daemon with all that is built into it is larger than a file of any package.
const LIMITS: Limits =
    Limits { entries: 64, file_bytes: 256 << 20, total_bytes: 256 << 20, path_bytes: 255, ratio: 200 };

/// A release is not installed.
#[derive(Debug, Error)]
pub(crate) enum NotInstalled {
    /// It cannot be fetched.
    #[error("there is no `{}`, and it cannot be fetched from `restart-artifacts-url`: {source}", path.display())]
    Unfetched {
        /// What is missing.
        path: PathBuf,
        /// Why it cannot be had.
        source: NoArtifact,
    },
    /// It is not trusted.
    #[error("`{url}` is not installed: {}; sign it with `l3af sign l3afd.tar.gz --publisher NAME --name l3afd --version {version}`, beside which it is found, and trust NAME with `user_root = true`", told(.source))]
    Untrusted {
        /// Where it is.
        url: String,
        /// The version, as statements spell it.
        version: String,
        /// Why not.
        #[source]
        source: Box<Rejected>,
    },
    /// It is no archive.
    #[error("`{url}` cannot be unpacked: {source}")]
    Archive {
        /// Where it is.
        url: String,
        /// Why not.
        source: ArchiveError,
    },
    /// It holds no daemon.
    #[error("`{url}` has no executable `l3afd/l3afd`")]
    NoDaemon {
        /// Where it is.
        url: String,
    },
    /// It cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Unwritten {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The engine is gone.
    #[error("a call failed inside: {0}")]
    Inside(#[from] tokio::task::JoinError),
}

/// Installs a version, unless it is there.
pub(crate) async fn install(
    engine: &Shared,
    config: &L3afdConfig,
    version: &str,
) -> Result<(), NotInstalled> {
    let folder = config.versions.join(version);
    let path = folder.join("l3afd/l3afd");
    let unwritten = |source| NotInstalled::Unwritten { path: folder.clone(), source };
    if path.try_exists().map_err(unwritten)? {
        return Ok(());
    }
    let unfetched = |source| NotInstalled::Unfetched { path: path.clone(), source };
    let release = Release::at(&config.releases, version).map_err(unfetched)?;
    let url = release.url().to_string();
    let found = release.fetch().await.map_err(unfetched)?;
    let judged = {
        let (release, found) = (release.clone(), found.clone());
        with(engine, move |engine| engine.judge_release(&release, &found)).await?
    };
    judged.map_err(|source| {
        let (version, source) = (release.named(&found).version.to_string(), Box::new(source));
        NotInstalled::Untrusted { url: url.clone(), version, source }
    })?;
    tokio::task::spawn_blocking(move || put(&found.bytes, &folder, url)).await?
}

/// Unpacks a release into the folder of its version.
fn put(archive: &[u8], folder: &Path, url: String) -> Result<(), NotInstalled> {
    let files = unpack(archive, &LIMITS);
    let files = files.map_err(|source| NotInstalled::Archive { url: url.clone(), source })?;
    if !files.iter().any(|file| file.path == "l3afd/l3afd" && file.executable) {
        return Err(NotInstalled::NoDaemon { url });
    }
    write(&files, folder).map_err(|source| NotInstalled::Unwritten { path: folder.to_owned(), source })?;
    tracing::info!("the daemon of `{url}` is in `{}`", folder.display());
    Ok(())
}

/// Writes files to a folder that appears when all are there.
fn write(files: &package::Files, folder: &Path) -> io::Result<()> {
    let mut beside = folder.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_dir_all(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    for file in files.iter() {
        let path = beside.join(&file.path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        let mut written = fs::File::options().create_new(true).write(true).mode(mode).open(path)?;
        written.write_all(&file.bytes)?;
        written.sync_all()?;
    }
    for file in files.iter() {
        let within = beside.join(&file.path);
        within.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())?;
    }
    // Only an empty folder makes room: what is in one without a daemon is somebody's.
    fs::rename(beside, folder)?;
    folder.parent().map_or(Ok(()), |versions| fs::File::open(versions)?.sync_all())
}

/// An error with its causes.
fn told(rejected: &Rejected) -> String {
    rejected.problem().to_string()
}
