// SPDX-License-Identifier: Apache-2.0
//! Files that user programs may reach (landlock), besides what owners and modes permit.
//!
//! They read and execute what belongs to the system, and write to the folder that they are started in and to nothing else.
//! What the daemon has open for them, as their log, stays open; their own bytes are in memory, where no rule is needed.

use std::io;
use std::sync::OnceLock;
use std::thread;

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};
use rustix::thread::CapabilitySet;

use super::terms::Signals;

/// What is handled, as far as the kernel knows it. What is newer must not change what a program can do on the next kernel.
const KNOWN: ABI = ABI::V7;

/// Where the system is; what is not there is passed over.
const SYSTEM: &[&str] = &[
    "/bin",
    "/dev",
    "/etc",
    "/gnu/store",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/opt",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
];
const DEVICES: &[&str] = &["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"];

/// With one of these a program was granted the files of others.
const ANY_FILE: CapabilitySet =
    CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH).union(CapabilitySet::SYS_ADMIN);

/// Fences this thread, and whatever it executes, as well as the kernel can. It must be in its own folder already.
pub(super) fn fence(capabilities: CapabilitySet, signals: Signals) -> io::Result<()> {
    let scope = match signals {
        Signals::Fenced => Scope::from_all(KNOWN),
        Signals::ToOwnUser => Scope::from_all(KNOWN) & !Scope::Signal,
    };
    let fenced =
        if capabilities.intersects(ANY_FILE) { fence_from_processes(scope) } else { fence_from_files(scope) };
    fenced.map(drop).map_err(io::Error::other)
}

fn fence_from_files(scope: BitFlags<Scope>) -> Result<RestrictionStatus, RulesetError> {
    let all = AccessFs::from_all(KNOWN);
    Ruleset::default()
        .handle_access(all)?
        .scope(scope)?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, AccessFs::from_read(KNOWN)))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(KNOWN)))?
        .add_rules(path_beneath_rules(["."], all))?
        .restrict_self()
}

/// What is in the scope does not lead out: signals, abstract sockets.
fn fence_from_processes(scope: BitFlags<Scope>) -> Result<RestrictionStatus, RulesetError> {
    Ruleset::default().scope(scope)?.create()?.restrict_self()
}

/// The version of the kernel's landlock, or why there is none, as the end of a sentence. It is asked once.
pub(super) fn landlock() -> Result<u32, String> {
    static FOUND: OnceLock<Result<u32, String>> = OnceLock::new();
    FOUND.get_or_init(find).clone()
}

/// The crate tells that only to who is fenced, which is a thread that does nothing else.
fn find() -> Result<u32, String> {
    let tried = thread::spawn(|| fence_from_processes(Scope::from_all(KNOWN))).join();
    let status =
        tried.map_err(|_panicked| "it could not be tried".to_owned())?.map_err(|error| error.to_string())?;
    match status.landlock {
        LandlockStatus::NotImplemented => Err("this kernel has none (Linux 5.13 has)".to_owned()),
        LandlockStatus::NotEnabled => {
            Err("it is off; add `landlock` to `lsm=` on the kernel's command line".to_owned())
        }
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            Ok(kernel_abi.unwrap_or(effective_abi as i32).unsigned_abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn who_asks_whether_there_is_a_fence_is_not_fenced() {
        let first = landlock();
        assert_eq!(landlock(), first);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
    }
}
