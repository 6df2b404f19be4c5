// SPDX-License-Identifier: Apache-2.0
//! The folders in which executables of l3afd v1 look for maps: made before those are started, removed when nobody needs them, and
//! written down in between (`<state>/l3afd-pins.json`), so that none is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kernel::{Kernel, Unseen};
use plan::{Desired, Hook, Member, MemberSpec};

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
        let (wanted, programs) = (wanted(desired), programs(desired));
        let needed = wanted.keys().chain(programs.keys()).map(|path| (*path).to_owned()).collect();
        if let Err(error) = self.remove_others(&needed) {
            tracing::warn!("maps that were pinned for programs of l3afd v1 cannot be let go: {error}");
        }
        for (folder, members) in &wanted {
            told(kernel.expose(folder, members));
        }
        for (place, (hook, spec)) in &programs {
            told(kernel.expose_program(hook, spec, place));
        }
    }

    fn remove_others(&self, needed: &BTreeSet<PathBuf>) -> io::Result<()> {
        let known: BTreeSet<PathBuf> = durable::read_json(&self.file)?.unwrap_or_default();
        if known == *needed {
            return Ok(());
        }
        // Whatever is made from now on is known already.
        durable::write_json(&self.file, &known.union(needed).collect::<Vec<_>>())?;
        known.difference(needed).try_for_each(|path| remove(path))?;
        durable::write_json(&self.file, needed)
    }
}

fn told(exposed: Result<(), Unseen>) {
    if let Err(unseen) = exposed {
        let cause = std::error::Error::source(&unseen).map(ToString::to_string).unwrap_or_default();
        tracing::error!("programs of l3afd v1 do not find what they look for: {unseen}: {cause}");
    }
}

/// The folders, and the members whose maps are in them.
fn wanted(desired: &Desired) -> BTreeMap<&Path, Vec<(&Hook, &MemberSpec)>> {
    let mut folders: BTreeMap<&Path, Vec<_>> = BTreeMap::new();
    for (hook, member) in enabled(desired) {
        let Some(folder) = &member.outside().pins else { continue };
        folders.entry(folder).or_default().push((hook, member.spec()));
    }
    folders
}

/// The files, and the members whose programs are in them.
fn programs(desired: &Desired) -> BTreeMap<&Path, (&Hook, &MemberSpec)> {
    let found = enabled(desired).filter_map(|(hook, member)| {
        let place = member.outside().program.as_deref()?;
        Some((place, (hook, member.spec())))
    });
    found.collect()
}

fn enabled(desired: &Desired) -> impl Iterator<Item = (&Hook, &Member)> {
    let members =
        desired.chains().iter().flat_map(|(hook, chain)| chain.iter().map(move |member| (hook, member)));
    members.filter(|(_, member)| member.is_enabled())
}

/// Removes a pin, or the pins in a folder and the folder, and what is empty around it then.
fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| fs::remove_file(entry?.path()))?;
        fs::remove_dir(path)?;
    } else if path.exists() {
        fs::remove_file(path)?;
    }
    // `<interface>/<name>/<version>/<file>`: others may have something beside it.
    for around in path.ancestors().skip(1).take(3) {
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
        assert!(!folder.path().join("base/eth0").exists());
        remove(&version("b")).unwrap();
    }

    #[test]
    fn what_was_made_is_known_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (exposed, made) = (Exposed::new(folder.path()), folder.path().join("base/eth0/a/latest"));
        fs::create_dir_all(&made).unwrap();
        exposed.remove_others(&[made.clone()].into()).unwrap();
        assert!(made.exists());
        exposed.remove_others(&BTreeSet::new()).unwrap();
        assert!(!made.exists());
    }
}
