// SPDX-License-Identifier: Apache-2.0
//! The formats of objects, told apart by their first bytes.

use std::fmt;

use object::FileKind;
use serde::{Deserialize, Serialize};

/// The format of an object.
///
/// It does not tell the system: an eBPF object for Linux and one for Windows are both ELF for the machine `EM_BPF`, with
/// nothing in them that tells them apart. For which system an object is, its signer states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// ELF, as Linux and eBPF for Windows load it.
    Elf,
    /// A PE image: a native driver of Windows.
    Pe,
}

impl Format {
    /// The format that the bytes say they have, if it is one that programs come in. They may still be damaged.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let kind = FileKind::parse(bytes).ok()?;
        let formats = [
            (FileKind::Elf64, Self::Elf),
            (FileKind::Elf32, Self::Elf),
            (FileKind::Pe32, Self::Pe),
            (FileKind::Pe64, Self::Pe),
        ];
        formats.into_iter().find(|(of, _)| *of == kind).map(|(_, format)| format)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Elf => "elf",
            Self::Pe => "pe",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_known_by_their_first_bytes() {
        assert_eq!(Format::of(include_bytes!("../testdata/small.bpf.o")), Some(Format::Elf));
        assert_eq!(Format::of(include_bytes!("../testdata/driver.sys")), Some(Format::Pe));
        for other in [&b""[..], b"MZ", b"\x7fELF", b"!<arch>\n", b"\x1f\x8b\x08\x00", b"PK\x03\x04"] {
            assert_eq!(Format::of(other), None, "{other:?}");
        }
    }
}
