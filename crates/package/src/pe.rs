// SPDX-License-Identifier: Apache-2.0
//! Reading a PE image: a native driver of Windows ("PE Format", Microsoft), as far as its name tag goes.
//!
//! Which machine it is for, whether it is a driver, which bytes an embedded Authenticode signature covers, and where that
//! is. Whose signature it is and whether it verifies, `trust` tells; nothing here is believed.

use object::pe::{
    IMAGE_DIRECTORY_ENTRY_SECURITY, IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64,
    IMAGE_FILE_MACHINE_ARMNT, IMAGE_FILE_MACHINE_I386, IMAGE_SUBSYSTEM_NATIVE, ImageDataDirectory,
    ImageNtHeaders32, ImageNtHeaders64, ImageSectionHeader,
};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile};
use object::{FileKind, LittleEndian};
use thiserror::Error;

use crate::digest::Hasher;
use crate::{Digest, Platform};

/// The letters `PE` and two zeros, and `IMAGE_FILE_HEADER`.
const SIGNATURE_AND_FILE_HEADER_BYTES: usize = 4 + 20;
/// Where the checksum is in the optional header, in that of 32 bits and in that of 64.
const CHECKSUM: usize = 64;
/// `IMAGE_DATA_DIRECTORY` in bytes.
const DIRECTORY_BYTES: usize = 8;
/// The header of `WIN_CERTIFICATE`: its length, revision and type.
const ENTRY_HEADER_BYTES: usize = 8;
/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const PKCS_SIGNED_DATA: u16 = 2;
/// Entries of the certificate table, and the table, begin at multiples of it.
const ALIGNMENT: usize = 8;

/// What a PE image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<'a> {
    /// The platform that it is for.
    pub platform: Platform,
    /// Whether it runs in the kernel: its subsystem is `IMAGE_SUBSYSTEM_NATIVE`.
    pub is_driver: bool,
    /// The digest that an Authenticode signature states, as it is computed from these bytes.
    pub authenticode: Digest,
    /// The signature that it carries, `SignedData` of PKCS #7 in DER, perhaps with zeros behind it.
    pub signature: Option<&'a [u8]>,
}

/// Bytes that are not a PE image.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImageError {
    /// The bytes are something else, or damaged.
    #[error("it is not a PE image: {reason}")]
    Pe {
        /// What is wrong.
        reason: String,
    },
    /// It is for a machine that packages do not know.
    #[error("it is a PE image for machine {machine:#06x}, which no platform is for")]
    Machine {
        /// The number of the machine.
        machine: u16,
    },
    /// The certificate table is not the end of the file, behind all that is loaded.
    #[error(
        "its certificate table is {bytes} bytes at {offset}, and must lie behind its sections, which end at {sections}, up to \
         the end at {end}"
    )]
    Table {
        /// Where it begins.
        offset: usize,
        /// How long it is.
        bytes: usize,
        /// Where the last section ends.
        sections: usize,
        /// How long the file is.
        end: usize,
    },
    /// An entry of the certificate table is damaged.
    #[error("its certificate table has an entry of {bytes} bytes, and {left} are left")]
    Entry {
        /// How long it says it is.
        bytes: usize,
        /// How many bytes there are.
        left: usize,
    },
}

impl<'a> Image<'a> {
    /// Reads an image.
    ///
    /// # Errors
    /// When the bytes are not one of a known machine, or its certificate table is not at its end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let kind = FileKind::parse(bytes).map_err(damaged)?;
        if kind == FileKind::Pe64 {
            Self::read::<ImageNtHeaders64>(bytes)
        } else if kind == FileKind::Pe32 {
            Self::read::<ImageNtHeaders32>(bytes)
        } else {
            Err(ImageError::Pe { reason: format!("it is {kind:?}") })
        }
    }

    fn read<Headers: ImageNtHeaders>(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let file = PeFile::<Headers>::parse(bytes).map_err(damaged)?;
        let headers = file.nt_headers();
        let machine = headers.file_header().machine.get(LittleEndian);
        let directory = file.data_directories().iter().nth(IMAGE_DIRECTORY_ENTRY_SECURITY);
        let table = directory.map(ImageDataDirectory::address_range).filter(|range| *range != (0, 0));
        let optional = file.dos_header().nt_headers_offset() as usize + SIGNATURE_AND_FILE_HEADER_BYTES;
        let directories = optional + size_of::<Headers::ImageOptionalHeader>();
        let holes = Holes {
            checksum: optional + CHECKSUM,
            entry: directory.map(|_| directories + IMAGE_DIRECTORY_ENTRY_SECURITY * DIRECTORY_BYTES),
            table: table.map(|table| checked(&file, table)).transpose()?,
        };
        Ok(Self {
            platform: platform(machine)?,
            is_driver: headers.optional_header().subsystem() == IMAGE_SUBSYSTEM_NATIVE,
            authenticode: holes.digest(bytes),
            signature: holes.table.map(|at| signature(&bytes[at..])).transpose()?.flatten(),
        })
    }
}

/// What an Authenticode signature does not cover, since signing changes it ("Windows Authenticode Portable Executable
/// Signature Format", "Calculating the PE Image Hash").
struct Holes {
    checksum: usize,
    /// The entry of the certificate table among the directories.
    entry: Option<usize>,
    /// Where the table begins; it goes to the end.
    table: Option<usize>,
}

impl Holes {
    /// Everything else, in its order. Windows goes by sections; the two differ only where there are holes between
    /// sections, which no linker leaves, and there this is the stricter one.
    fn digest(&self, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::default();
        let end = self.table.unwrap_or(bytes.len());
        let entry = self.entry.map_or(end, |at| at.min(end));
        let mut from = 0;
        for (hole, length) in [(self.checksum, 4), (entry, DIRECTORY_BYTES)] {
            hasher.update(bytes.get(from..hole).unwrap_or_default());
            from = hole + length;
        }
        hasher.update(bytes.get(from..end).unwrap_or_default());
        if self.table.is_none() {
            // Who signs it pads it first, so that the table begins where it may.
            hasher.update(&[0; ALIGNMENT][..bytes.len().next_multiple_of(ALIGNMENT) - bytes.len()]);
        }
        hasher.finish()
    }
}

fn damaged(error: object::Error) -> ImageError {
    ImageError::Pe { reason: error.to_string() }
}

fn platform(machine: u16) -> Result<Platform, ImageError> {
    let architecture = match machine {
        IMAGE_FILE_MACHINE_AMD64 => "amd64",
        IMAGE_FILE_MACHINE_ARM64 => "arm64",
        IMAGE_FILE_MACHINE_ARMNT => "arm",
        IMAGE_FILE_MACHINE_I386 => "386",
        _ => return Err(ImageError::Machine { machine }),
    };
    Ok(Platform::new("windows", architecture).expect("these are among the known ones"))
}

/// Where the table begins. Bytes behind it would be covered by nothing, and what it holds is covered by nothing either.
fn checked<Headers: ImageNtHeaders>(
    file: &PeFile<'_, Headers>,
    (offset, bytes): (u32, u32),
) -> Result<usize, ImageError> {
    let (offset, bytes, end) = (offset as usize, bytes as usize, file.data().len());
    let headers = file.nt_headers().optional_header().size_of_headers() as usize;
    let section = |section: &ImageSectionHeader| section.pe_file_range();
    let ends = file.section_table().iter().map(section).map(|(at, bytes)| at as usize + bytes as usize);
    let sections = ends.fold(headers, usize::max);
    if offset >= sections && offset.checked_add(bytes) == Some(end) {
        Ok(offset)
    } else {
        Err(ImageError::Table { offset, bytes, sections, end })
    }
}

/// The first PKCS #7 signature of a certificate table.
fn signature(mut table: &[u8]) -> Result<Option<&[u8]>, ImageError> {
    while let Some((header, _)) = table.split_first_chunk::<ENTRY_HEADER_BYTES>() {
        let [a, b, c, d, _, _, low, high] = *header;
        let (bytes, left) = (u32::from_le_bytes([a, b, c, d]) as usize, table.len());
        if !(ENTRY_HEADER_BYTES..=left).contains(&bytes) {
            return Err(ImageError::Entry { bytes, left });
        }
        if u16::from_le_bytes([low, high]) == PKCS_SIGNED_DATA {
            return Ok(Some(&table[ENTRY_HEADER_BYTES..bytes]));
        }
        table = table.get(bytes.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVER: &[u8] = include_bytes!("../testdata/driver.sys");
    const SIGNED: &[u8] = include_bytes!("../testdata/signed.sys");
    /// Where the headers of these two are: `e_lfanew`, the optional header, its directories.
    const OPTIONAL: usize = 0x78 + 24;
    const TABLE_ENTRY: usize = OPTIONAL + 112 + 32;

    fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut image = SIGNED.to_vec();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        image
    }

    #[track_caller]
    fn refused(bytes: &[u8]) -> String {
        Image::parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_driver_says_what_it_is_for() {
        let image = Image::parse(DRIVER).unwrap();
        assert_eq!(image.platform.to_string(), "windows/amd64");
        assert!(image.is_driver);
        assert_eq!(image.signature, None);
    }

    #[test]
    fn the_digest_is_the_one_that_osslsigncode_signs() {
        let signed = Image::parse(SIGNED).unwrap();
        let digest = "sha256:a167f1b6a31928f639d2efb91fd2e23195cfde0afa16b0172cfba5de8877c64b";
        assert_eq!(signed.authenticode.to_string(), digest);
        // Signing changes nothing that is signed.
        assert_eq!(Image::parse(DRIVER).unwrap().authenticode, signed.authenticode);
        assert_eq!(signed.signature.unwrap()[..2], [0x30, 0x82], "a sequence of DER");
    }

    #[test]
    fn every_byte_is_covered_but_those_that_signing_changes() {
        let digest = Image::parse(SIGNED).unwrap().authenticode;
        let table = DRIVER.len();
        for at in 0..SIGNED.len() {
            let mut bytes = SIGNED.to_vec();
            bytes[at] ^= 1;
            let checksum = (OPTIONAL + CHECKSUM..OPTIONAL + CHECKSUM + 4).contains(&at);
            let Ok(image) = Image::parse(&bytes) else { continue };
            assert_eq!(image.authenticode == digest, checksum || at >= table, "byte {at}");
        }
    }

    #[test]
    fn a_certificate_table_lies_at_the_end_and_covers_nothing_that_is_loaded() {
        let with_more = [SIGNED, &[0; 8]].concat();
        insta::assert_snapshot!(refused(&with_more), @"its certificate table is 1536 bytes at 2048, and must lie behind its sections, which end at 1564, up to the end at 3592");
        let from = |offset: u32| {
            [offset, u32::try_from(SIGNED.len()).unwrap() - offset].map(u32::to_le_bytes).concat()
        };
        insta::assert_snapshot!(refused(&changed(TABLE_ENTRY, &from(1024))), @"its certificate table is 2560 bytes at 1024, and must lie behind its sections, which end at 1564, up to the end at 3584");
        insta::assert_snapshot!(refused(&changed(TABLE_ENTRY, &from(0))), @"its certificate table is 3584 bytes at 0, and must lie behind its sections, which end at 1564, up to the end at 3584");
        assert_eq!(Image::parse(&changed(TABLE_ENTRY, &from(2048))), Image::parse(SIGNED));
        insta::assert_snapshot!(refused(&changed(DRIVER.len(), &u32::MAX.to_le_bytes())), @"its certificate table has an entry of 4294967295 bytes, and 1536 are left");
        insta::assert_snapshot!(refused(&changed(DRIVER.len(), &[7, 0, 0, 0])), @"its certificate table has an entry of 7 bytes, and 1536 are left");
        // A signature of another kind is none.
        assert_eq!(Image::parse(&changed(DRIVER.len() + 6, &[9, 0])).unwrap().signature, None);
    }

    #[test]
    fn what_is_no_image_of_a_known_machine_is_refused() {
        insta::assert_snapshot!(refused(b""), @"it is not a PE image: Could not read file magic");
        insta::assert_snapshot!(refused(include_bytes!("../testdata/small.bpf.o")), @"it is not a PE image: it is Elf64");
        insta::assert_snapshot!(refused(&SIGNED[..200]), @"it is not a PE image: Unknown MS-DOS file");
        insta::assert_snapshot!(refused(&changed(0x78 + 4, &0x0166_u16.to_le_bytes())), @"it is a PE image for machine 0x0166, which no platform is for");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            noise: Vec<u8>,
            damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::num::u8::ANY), 1..8),
            end: proptest::sample::Index,
        ) {
            drop(Image::parse(&noise));
            let mut bytes = SIGNED.to_vec();
            for (at, byte) in damage {
                let at = at.index(600);
                bytes[at] = byte;
            }
            drop(Image::parse(&bytes));
            bytes.truncate(end.index(bytes.len()));
            drop(Image::parse(&bytes));
        }
    }
}
