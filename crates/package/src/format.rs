// SPDX-License-Identifier: Apache-2.0
//! The formats of objects, told apart by their first bytes.

use std::fmt;
use std::str::FromStr;

use object::FileKind;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// There is no such format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a format of objects: it must be `elf` or `pe`")]
pub struct UnknownFormat {
    /// What was given.
    pub given: String,
}

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

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let named = [Self::Elf, Self::Pe].into_iter().find(|format| format.to_string() == text);
        named.ok_or_else(|| UnknownFormat { given: text.to_owned() })
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
    fn formats_read_as_they_are_written() {
        for format in [Format::Elf, Format::Pe] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        insta::assert_snapshot!("sys".parse::<Format>().unwrap_err(), @"`sys` is not a format of objects: it must be `elf` or `pe`");
    }

    #[test]
    fn objects_are_known_by_their_first_bytes() {
        assert_eq!(Format::of(include_bytes!("../testdata/small.bpf.o")), Some(Format::Elf));
        assert_eq!(Format::of(include_bytes!("../testdata/driver.sys")), Some(Format::Pe));
        for other in [&b""[..], b"MZ", b"\x7fELF", b"!<arch>\n", b"\x1f\x8b\x08\x00", b"PK\x03\x04"] {
            assert_eq!(Format::of(other), None, "{other:?}");
        }
    }
}
