// SPDX-License-Identifier: Apache-2.0
//! What keeps a user program from what nobody granted it, beyond its user: which system calls it is refused, and which files
//! it reaches.

use std::io;

use rustix::thread::CapabilitySet;
use wire::UserProgramConfinement;

use super::identity::Identity;
use super::terms::Signals;
use super::{calls, files};

/// Confines this thread, and whatever it executes. It must be that user already, unable to gain privileges, and in its folder.
pub(super) fn confine(identity: Identity, signals: Signals) -> io::Result<()> {
    match identity {
        Identity::Root => Ok(()),
        Identity::Own { capabilities, .. } => {
            let capabilities = CapabilitySet::from_bits_retain(capabilities);
            let failed = |what: &str, error: &io::Error| io::Error::other(format!("cannot {what}: {error}"));
            files::fence(capabilities, signals).map_err(|error| failed("have landlock fence it", &error))?;
            calls::refuse(capabilities).map_err(|error| failed("have seccomp filter its calls", &error))
        }
    }
}

/// What will be in force for a program that is this user. Where seccomp cannot be, it is not started.
pub(super) fn confinement(identity: Identity) -> UserProgramConfinement {
    match identity {
        Identity::Root => {
            let reason = Some("it is root".to_owned());
            UserProgramConfinement { seccomp: false, landlock: None, reason }
        }
        Identity::Own { .. } => {
            let (landlock, reason) = match files::landlock() {
                Ok(version) => (Some(version), None),
                Err(why) => (None, Some(why)),
            };
            UserProgramConfinement { seccomp: true, landlock, reason }
        }
    }
}
