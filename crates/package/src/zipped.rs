// SPDX-License-Identifier: Apache-2.0
//! Archives in the format ZIP (APPNOTE.TXT 6.3), which artifacts of l3afd v1 may have. Packages never do.
//!
//! The same limits hold as for layers. Where its directory and what is before the files contradict each other, different
//! readers would see different files: such an archive is refused.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};

use zip::read::ZipFile;
use zip::{ZipArchive, ZipReadOptions};

use crate::archive::{Limits, Stream, checked_path, explain};
use crate::{ArchiveError, File, Files};

/// What each begins with: the header of a file in it, or its end where it has none.
const MAGICS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// Of `S_IFMT` of inode(7).
const TYPE: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const PLAIN: u32 = 0o100_000;

/// Whether this is such an archive.
pub(crate) fn is_meant(bytes: &[u8]) -> bool {
    MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

/// Reads its files. Entries for folders say nothing that the paths of files do not.
///
/// # Errors
/// When it exceeds a limit, holds anything but plain files under plain paths, or is damaged.
pub(crate) fn unpack(bytes: &[u8], limits: &Limits) -> Result<Files, ArchiveError> {
    let corrupt = |error: zip::result::ZipError| ArchiveError::Corrupt(io::Error::from(error));
    check_end(bytes, limits)?;
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(corrupt)?;
    if archive.len() > limits.entries {
        return Err(ArchiveError::TooManyEntries { max: limits.entries });
    }
    archive.validate_header_consistency().map_err(corrupt)?;
    let (mut files, mut paths, mut read) = (Vec::new(), BTreeSet::new(), 0);
    for number in 0..archive.len() {
        let mut entry = archive.by_index_with_options(number, ZipReadOptions::new()).map_err(corrupt)?;
        if entry.is_dir() {
            checked_path(entry.name_raw(), limits)?;
            continue;
        }
        let file = read_file(&mut entry, (bytes.len(), read), limits)?;
        read += file.bytes.len() as u64;
        // Names are compared as bytes before; these may be written in two ways.
        if !paths.insert(file.path.clone()) {
            return Err(ArchiveError::Duplicate { path: file.path });
        }
        files.push(file);
    }
    Ok(files.into_iter().collect())
}

/// Refuses by its end what would fill memory with a directory: too many entries (4.3.16), or a directory of ZIP64 (4.3.14), which
/// only archives need that are larger than any here.
fn check_end(bytes: &[u8], limits: &Limits) -> Result<(), ArchiveError> {
    // The end has 22 bytes, and a comment of at most 65535.
    const LONGEST: usize = 22 + 65_535 + 20 + 56;
    let end = &bytes[bytes.len().saturating_sub(LONGEST)..];
    let too_many = Err(ArchiveError::TooManyEntries { max: limits.entries });
    if end.windows(4).any(|magic| magic == b"PK\x06\x06" || magic == b"PK\x06\x07") {
        return too_many;
    }
    let declared = end.windows(12).filter(|end| end.starts_with(b"PK\x05\x06"));
    let entries = declared.map(|end| usize::from(u16::from_le_bytes([end[10], end[11]])));
    if entries.max().unwrap_or_default() > limits.entries { too_many } else { Ok(()) }
}

/// Reads a file of an archive of `packed` bytes out of which `read` have come already.
fn read_file<R: Read>(
    entry: &mut ZipFile<'_, R>,
    (packed, read): (usize, u64),
    limits: &Limits,
) -> Result<File, ArchiveError> {
    let path = checked_path(entry.name_raw(), limits)?;
    // Archives that were made on other systems have none.
    let mode = entry.unix_mode().unwrap_or(PLAIN);
    match mode & TYPE {
        0 | PLAIN => {}
        LINK => return Err(ArchiveError::Link { path }),
        _ => return Err(ArchiveError::NotAFile { path, kind: '?' }),
    }
    let size = entry.size();
    if size > limits.file_bytes {
        return Err(ArchiveError::FileTooLarge { path, bytes: size, max: limits.file_bytes });
    }
    let mut bytes = Vec::new();
    let bounded = Stream::new(entry, packed as u64, limits).after(read);
    // One byte more than it says shows that it lies; the checksum is compared at the end.
    bounded.take(size + 1).read_to_end(&mut bytes).map_err(|error| explain(error, limits))?;
    if bytes.len() as u64 != size {
        return Err(ArchiveError::Corrupt(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(File { path, bytes, executable: mode & 0o111 != 0 })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::Artifact;

    const SMALL: Limits =
        Limits { entries: 3, file_bytes: 1000, total_bytes: 16 * 1024, path_bytes: 20, ratio: 200 };

    fn archive(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, bytes, mode) in files {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            if path.ends_with('/') {
                writer.add_directory(*path, options).unwrap();
            } else {
                writer.start_file(*path, options).unwrap();
                writer.write_all(bytes).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    }

    fn refusal(bytes: &[u8]) -> ArchiveError {
        unpack(bytes, &SMALL).unwrap_err()
    }

    #[test]
    fn an_artifact_is_the_same_package_in_both_kinds_of_archive() {
        let object = include_bytes!("../testdata/small.bpf.o").as_slice();
        let files =
            [("l3af_a/", b"".as_slice(), 0o755), ("l3af_a/a", b"#!", 0o755), ("l3af_a/a.o", object, 0o644)];
        let plain = files[1..].iter().map(|(path, bytes, mode)| File {
            path: (*path).to_owned(),
            bytes: bytes.to_vec(),
            executable: mode & 0o111 != 0,
        });
        let layer = crate::write_layer(&plain.collect(), 0).unwrap();
        let zipped = archive(&files);
        let packed = [&layer, &zipped].map(|bytes| {
            Artifact { name: "a", version: "latest", bytes }.pack(&"acme".parse().unwrap()).unwrap().index
        });
        assert_eq!(packed[0], packed[1]);
    }

    #[test]
    fn what_attacks_is_refused() {
        let told = [
            refusal(&archive(&[("../x", b"", 0o644)])),
            refusal(&archive(&[("a\\b", b"", 0o644)])),
            refusal(&archive(&[("a", &[7; 1001], 0o644)])),
            refusal(&archive(&[("a", b"", 0o644), ("b", b"", 0o644), ("c", b"", 0o644), ("d", b"", 0o644)])),
            refusal(b"PK\x03\x04 and no more"),
        ];
        let told = told.map(|error| error.to_string());
        insta::assert_snapshot!(told.join("\n"), @r"
        `../x` in the archive leads out of it
        `a\b` in the archive is not a plain path of at most 20 bytes
        `a` in the archive has 1001 bytes, more than 1000
        the archive holds more than 3 entries
        the archive is damaged or cut off
        ");
        // It says that it has more entries than it has.
        let mut lies = archive(&[("a", b"", 0o644)]);
        let at = lies.len() - 12;
        lies[at..at + 2].copy_from_slice(&[0xff, 0xff]);
        assert!(matches!(refusal(&lies), ArchiveError::TooManyEntries { .. }));
        let mut link = ZipWriter::new(Cursor::new(Vec::new()));
        link.add_symlink("a", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let link = link.finish().unwrap().into_inner();
        assert!(matches!(refusal(&link), ArchiveError::Link { .. }));
        let many = Limits { file_bytes: 64 << 20, total_bytes: 64 << 20, ..SMALL };
        let bomb = archive(&[("a", &vec![0; 4 << 20], 0o644)]);
        assert!(matches!(unpack(&bomb, &many), Err(ArchiveError::RatioTooHigh { .. })));
    }

    #[test]
    fn a_file_that_the_directory_does_not_name_is_refused() {
        let whole = archive(&[("a", b"1", 0o644), ("b", b"2", 0o644)]);
        // The name in the directory, which comes last.
        let at = whole.windows(1).rposition(|byte| byte == b"b").unwrap();
        let mut twice = whole.clone();
        twice[at] = b'a';
        assert!(matches!(refusal(&twice), ArchiveError::Corrupt(_)));
        twice[at] = b'c';
        assert!(matches!(refusal(&twice), ArchiveError::Corrupt(_)));
        assert_eq!(unpack(&whole, &SMALL).unwrap().iter().count(), 2);
    }

    proptest! {
        #[test]
        fn damage_never_panics_and_never_changes_a_file(at in 0_usize..400, byte: u8) {
            let mut bytes = archive(&[("a/one", &[1; 100], 0o644), ("a/two", b"two", 0o755)]);
            let whole = unpack(&bytes, &SMALL).unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(files) = unpack(&bytes, &SMALL) {
                for (file, before) in files.iter().zip(whole.iter()) {
                    prop_assert_eq!((&file.path, &file.bytes), (&before.path, &before.bytes));
                }
            }
        }
    }
}
