// SPDX-License-Identifier: Apache-2.0
//! The folder that a user program is started in: empty, its own, and gone when it ends. What is to last goes into maps.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder. It is removed with all that is in it when it goes out of scope.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one, under a number of its own: a release may start while the one before still ends, and the path of a socket in it
    /// must be short (unix(7)).
    pub(super) fn make(among: &Path) -> io::Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(among)?;
        // Users get to their own folder in it, whatever the daemon's own files are kept from.
        fs::set_permissions(among, Permissions::from_mode(0o711))?;
        let path = among.join(MADE.fetch_add(1, Ordering::Relaxed).to_string());
        remove(&path)?;
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Gives it to a user, who may do in it what they like from then on.
    pub(super) fn give_to(&self, user: u32) -> io::Result<()> {
        lchown(&self.0, Some(user), Some(user))
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            let path = self.0.display();
            tracing::warn!(
                "what a user program left in `{path}` cannot be removed, and is when the daemon starts again: {error}"
            );
        }
    }
}

/// Removes what a daemon that was killed left behind, while no program of this one runs.
pub(super) fn clear(among: &Path) {
    if let Err(error) = remove(among) {
        tracing::warn!("what user programs left in `{}` cannot be removed: {error}", among.display());
    }
}

/// Follows no links (`fs::remove_dir_all`).
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_begins_empty_and_goes_and_what_its_links_lead_to_stays() {
        let outside = tempfile::tempdir().unwrap();
        let (among, kept) = (outside.path().join("user"), outside.path().join("kept"));
        let user = rustix::process::getuid().as_raw();
        fs::create_dir_all(among.join("left/behind")).unwrap();
        fs::write(&kept, "").unwrap();
        clear(&among);
        assert!(!among.exists());
        let (scratch, other) = (Scratch::make(&among).unwrap(), Scratch::make(&among));
        scratch.give_to(user).unwrap();
        assert_eq!(fs::metadata(&among).unwrap().permissions().mode() & 0o777, 0o711);
        let path = scratch.path().to_owned();
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        symlink(&kept, path.join("link")).unwrap();
        symlink(outside.path(), path.join("folder")).unwrap();
        drop(scratch);
        assert!(!path.exists() && kept.exists() && other.unwrap().path().exists());
    }
}
