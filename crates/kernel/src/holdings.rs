// SPDX-License-Identifier: Apache-2.0
//! The part of the port that shows to others what the kernel holds for members: their maps, their programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use plan::{Hook, Instance, MemberSpec, ProbeSpec};

use crate::Unseen;

/// What a kernel holds for members.
pub trait Holdings {
    /// Takes over what a daemon before this one attached, in the daemon's own network namespace: by links that are pinned below a folder,
    /// and by filters of TC with programs that are pinned below another. It runs on until a chain takes its place by one
    /// update, or its hook is cleared; its pins are gone. Returns the hooks.
    ///
    /// # Errors
    /// When the pins or the kernel cannot be read.
    fn inherit(&mut self, links: &Path, programs: &Path) -> Result<BTreeSet<Hook>, Unseen>;

    /// Pins the maps of members once more, in a folder of a bpffs where programs in user space look for them, and nothing else
    /// there.
    ///
    /// # Errors
    /// When they cannot be pinned.
    fn expose(&mut self, folder: &Path, members: &[(&Hook, &MemberSpec)]) -> Result<(), Unseen>;

    /// Pins the program of a member once more, in a file of a bpffs.
    ///
    /// # Errors
    /// When it cannot be pinned.
    fn expose_program(&mut self, hook: &Hook, spec: &MemberSpec, place: &Path) -> Result<(), Unseen>;

    /// Where the maps of a member are pinned that outlive its instances, by the names that their author gave them; sections of global
    /// variables go by theirs, as `.bss`. There is none before it was loaded.
    ///
    /// # Errors
    /// When the pins cannot be read.
    fn maps(&self, hook: &Hook, spec: &MemberSpec) -> Result<BTreeMap<String, PathBuf>, Unseen>;

    /// The same of a probe.
    ///
    /// # Errors
    /// When the pins cannot be read.
    fn probe_maps(&self, spec: &ProbeSpec) -> Result<BTreeMap<String, PathBuf>, Unseen>;

    /// The numbers by which the kernel knows the programs of the instances of a hook.
    ///
    /// # Errors
    /// When they cannot be read.
    fn program_ids(&self, hook: &Hook) -> Result<BTreeMap<Instance, u32>, Unseen>;
}
