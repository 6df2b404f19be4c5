// SPDX-License-Identifier: Apache-2.0
//! Bytes that are executed and that nobody can change any more, in memory and not in a file system.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use package::Digest;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use thiserror::Error;

/// A sealed file in memory, with the bytes that it was meant to have.
#[derive(Debug)]
pub(super) struct Sealed(File);

/// A program cannot be put into memory as it was verified.
#[derive(Debug, Error)]
pub(super) enum Unsealed {
    /// The kernel refuses.
    #[error("cannot put the program into a sealed file in memory")]
    Memory(#[source] io::Error),
    /// It is nothing that a kernel executes.
    #[error("the program is neither an ELF file nor a script that begins with `#!`")]
    Format,
    /// Other bytes than those that were verified.
    #[error("the sealed program has the digest {found}, and {wanted} was verified")]
    Digest {
        /// The digest that was verified.
        wanted: Digest,
        /// That of the sealed bytes.
        found: Digest,
    },
}

impl Sealed {
    /// Writes bytes, seals them, reads them back, and compares what was read with the digest that was verified.
    pub(super) fn new(name: &str, bytes: &[u8], wanted: &Digest) -> Result<Self, Unsealed> {
        // What the kernel does not know, the C library would hand to a shell (`execvp`, ENOEXEC).
        if !bytes.starts_with(b"\x7fELF") && !bytes.starts_with(b"#!") {
            return Err(Unsealed::Format);
        }
        let mut file = File::from(create(name).map_err(Unsealed::Memory)?);
        let found = seal(&mut file, bytes).map_err(Unsealed::Memory)?;
        if found == *wanted { Ok(Self(file)) } else { Err(Unsealed::Digest { wanted: *wanted, found }) }
    }

    /// The file, for a process that becomes it.
    pub(super) fn into_file(self) -> File {
        self.0
    }
}

/// Since Linux 6.3 a file in memory says whether it may be executed; before, each may, and the flag is unknown.
fn create(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => Ok(memfd_create(name, flags)?),
        created => Ok(created?),
    }
}

fn seal(file: &mut File, bytes: &[u8]) -> io::Result<Digest> {
    file.write_all(bytes)?;
    // A program that is not root must be able to execute it, and its interpreter to read it.
    file.set_permissions(Permissions::from_mode(0o555))?;
    fcntl_add_seals(&*file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    let mut sealed = Vec::with_capacity(bytes.len());
    file.rewind()?;
    file.read_to_end(&mut sealed)?;
    Ok(Digest::of(&sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_can_neither_be_written_nor_resized_nor_unsealed() {
        let sealed = Sealed::new("test", b"#!one", &Digest::of(b"#!one")).unwrap();
        let mut file = sealed.into_file();
        file.rewind().unwrap();
        assert_eq!(file.write(b"#!two").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(file.set_len(1).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(file.set_len(9).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(fcntl_add_seals(&file, SealFlags::FUTURE_WRITE).unwrap_err(), Errno::PERM);
    }

    #[test]
    fn other_bytes_than_those_that_were_verified_are_refused() {
        let refused = Sealed::new("test", b"#!two", &Digest::of(b"#!one")).unwrap_err();
        assert!(matches!(&refused, Unsealed::Digest { wanted, .. } if *wanted == Digest::of(b"#!one")));
        assert!(refused.to_string().ends_with("was verified"), "{refused}");
    }

    #[test]
    fn what_no_kernel_executes_is_not_left_to_a_shell() {
        let refused = Sealed::new("test", b"reboot\n", &Digest::of(b"reboot\n")).unwrap_err();
        assert!(matches!(refused, Unsealed::Format));
    }
}
