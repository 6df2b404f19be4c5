// SPDX-License-Identifier: Apache-2.0
//! The folders in which executables of l3afd v1 look for maps: made before those are started, removed when nobody needs them, and
//! written down in between (`<state>/l3afd-pins.json`), so that none is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kernel::Kernel;
use plan::{Desired, Hook, MemberSpec};

use crate::durable;

/// The folders that were made.
#[derive(Debug)]
pub(crate) struct Exposed {
    file: PathBuf,
}

impl Exposed {
    pub(crate) fn new(state: &Path) -> Self {
        Self { file: state.join("l3afd-pins.json") }
    }

    /// Makes the folders that a desired state needs, and removes the others. What fails is told, and keeps nothing else from
    /// being done.
    pub(crate) fn follow(&self, kernel: &mut dyn Kernel, desired: &Desired) {
        let wanted = wanted(desired);
        if let Err(error) = self.remove_others(&wanted) {
            tracing::warn!("maps that were pinned for programs of l3afd v1 cannot be let go: {error}");
        }
        for (folder, members) in &wanted {
            if let Err(unseen) = kernel.expose(folder, members) {
                let cause = std::error::Error::source(&unseen).map(ToString::to_string).unwrap_or_default();
                tracing::error!("programs of l3afd v1 do not find their maps: {unseen}: {cause}");
            }
        }
    }

    fn remove_others(&self, wanted: &BTreeMap<&Path, Vec<(&Hook, &MemberSpec)>>) -> io::Result<()> {
        let known: BTreeSet<PathBuf> = durable::read_json(&self.file)?.unwrap_or_default();
        let needed: BTreeSet<PathBuf> = wanted.keys().map(|folder| (*folder).to_owned()).collect();
        if known == needed {
            return Ok(());
        }
        // Whatever is made from now on is known already.
        durable::write_json(&self.file, &known.union(&needed).collect::<Vec<_>>())?;
        known.difference(&needed).try_for_each(|folder| remove(folder))?;
        durable::write_json(&self.file, &needed)
    }
}

/// The folders, and the members whose maps are in them.
fn wanted(desired: &Desired) -> BTreeMap<&Path, Vec<(&Hook, &MemberSpec)>> {
    let mut folders: BTreeMap<&Path, Vec<_>> = BTreeMap::new();
    for (hook, chain) in desired.chains() {
        for member in chain.iter().filter(|member| member.is_enabled()) {
            let Some(folder) = &member.outside().pins else { continue };
            folders.entry(folder).or_default().push((hook, member.spec()));
        }
    }
    folders
}

/// Removes the pins in a folder, the folder, and the two around it where they are empty then.
fn remove(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        fs::remove_file(entry?.path())?;
    }
    fs::remove_dir(folder)?;
    // `<interface>/<name>/<version>`: others may have something beside it.
    for around in folder.ancestors().skip(1).take(2) {
        if fs::remove_dir(around).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_go_with_what_is_empty_around_them() {
        let folder = tempfile::tempdir().unwrap();
        let version = |name: &str| folder.path().join("base/eth0").join(name).join("latest");
        for name in ["a", "b"] {
            fs::create_dir_all(version(name)).unwrap();
            fs::write(version(name).join("map"), "").unwrap();
        }
        remove(&version("a")).unwrap();
        assert!(!version("a").parent().unwrap().exists() && version("b").join("map").exists());
        remove(&version("b")).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("base")).unwrap().count(), 0);
        remove(&version("b")).unwrap();
    }

    #[test]
    fn what_was_made_is_known_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (exposed, made) = (Exposed::new(folder.path()), folder.path().join("base/eth0/a/latest"));
        fs::create_dir_all(&made).unwrap();
        exposed.remove_others(&[(made.as_path(), Vec::new())].into()).unwrap();
        assert!(made.exists());
        exposed.remove_others(&BTreeMap::new()).unwrap();
        assert!(!made.exists());
    }
}
