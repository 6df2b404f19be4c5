// SPDX-License-Identifier: Apache-2.0
//! Layers that attack: each is refused with its own error.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use package::{ArchiveError, File, Files, Limits, read_layer, write_layer};
use proptest::prelude::*;

const SMALL_LIMITS: Limits =
    Limits { entries: 3, file_bytes: 1000, total_bytes: 16 * 1024, path_bytes: 20, ratio: 200 };

/// An entry of an archive with whatever path and kind.
fn entry(path: &str, kind: tar::EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut entry = header.as_bytes().to_vec();
    entry.extend_from_slice(bytes);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn layer(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&entries.concat()).unwrap();
    gzip.write_all(&[0; 1024]).unwrap();
    gzip.finish().unwrap()
}

fn file(path: &str, bytes: &[u8]) -> Vec<u8> {
    entry(path, tar::EntryType::Regular, bytes)
}

fn refusal(entries: &[Vec<u8>]) -> ArchiveError {
    read_layer(&layer(entries), &SMALL_LIMITS).unwrap_err()
}

#[test]
fn paths_that_lead_out_are_refused() {
    assert!(matches!(refusal(&[file("../x", b"")]), ArchiveError::PathTraversal { .. }));
    assert!(matches!(refusal(&[file("a/../../x", b"")]), ArchiveError::PathTraversal { .. }));
    assert!(matches!(refusal(&[file("/etc/passwd", b"")]), ArchiveError::AbsolutePath { .. }));
    insta::assert_snapshot!(refusal(&[file("../x", b"")]), @"`../x` in the archive leads out of it");
}

#[test]
fn paths_that_some_file_system_reads_otherwise_are_refused() {
    for path in ["a//b", "./a", "a\\b", "c:d", "a\nb", "a-path-that-is-too-long"] {
        assert!(matches!(refusal(&[file(path, b"")]), ArchiveError::BadPath { .. }), "{path:?}");
    }
}

#[test]
fn links_are_refused() {
    assert!(matches!(refusal(&[entry("a", tar::EntryType::Symlink, b"")]), ArchiveError::Link { .. }));
    assert!(matches!(refusal(&[entry("a", tar::EntryType::Link, b"")]), ArchiveError::Link { .. }));
}

#[test]
fn folders_devices_and_long_name_entries_are_refused() {
    use tar::EntryType::{Block, Char, Directory, Fifo, GNULongName, XGlobalHeader, XHeader};
    for kind in [Block, Char, Directory, Fifo, GNULongName, XHeader, XGlobalHeader] {
        assert!(matches!(refusal(&[entry("a", kind, b"")]), ArchiveError::NotAFile { .. }), "{kind:?}");
    }
    insta::assert_snapshot!(refusal(&[entry("a/", Directory, b"")]), @"`a/` in the archive is not a plain file (its type is `5`)");
}

#[test]
fn a_path_that_comes_twice_is_refused() {
    let twice = [file("a", b"1"), file("a", b"2")];
    assert!(matches!(refusal(&twice), ArchiveError::Duplicate { .. }));
}

#[test]
fn too_many_entries_are_refused() {
    let many: Vec<_> = ["a", "b", "c", "d"].iter().map(|path| file(path, b"")).collect();
    assert!(matches!(refusal(&many), ArchiveError::TooManyEntries { max: 3 }));
}

#[test]
fn a_file_that_is_too_large_is_refused_before_it_is_unpacked() {
    let refused = refusal(&[file("a", &[7; 1001])]);
    assert!(matches!(refused, ArchiveError::FileTooLarge { bytes: 1001, max: 1000, .. }));
    // One that only says so is refused as well.
    let mut liar = file("a", b"");
    let mut header = tar::Header::from_byte_slice(&liar[..512]).clone();
    header.set_size(1 << 40);
    header.set_cksum();
    liar[..512].copy_from_slice(header.as_bytes());
    assert!(matches!(refusal(&[liar]), ArchiveError::FileTooLarge { .. }));
}

#[test]
fn a_bomb_is_refused_by_what_comes_out_of_it() {
    let zeros = vec![0; 32 * 1024];
    let limits = Limits { file_bytes: u64::MAX, ..SMALL_LIMITS };
    let refused = read_layer(&layer(&[file("a", &zeros)]), &limits).unwrap_err();
    assert!(matches!(refused, ArchiveError::TotalTooLarge { .. }), "{refused}");
    let limits = Limits { file_bytes: u64::MAX, total_bytes: u64::MAX, ..SMALL_LIMITS };
    let zeros = vec![0; 8 * 1024 * 1024];
    let refused = read_layer(&layer(&[file("a", &zeros)]), &limits).unwrap_err();
    assert!(matches!(refused, ArchiveError::RatioTooHigh { .. }), "{refused}");
}

#[test]
fn a_bomb_behind_the_last_entry_is_refused() {
    let mut bytes = [file("a", b"1"), vec![0; 1024]].concat();
    bytes.resize(64 * 1024, 0);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bytes).unwrap();
    let refused = read_layer(&gzip.finish().unwrap(), &SMALL_LIMITS).unwrap_err();
    assert!(matches!(refused, ArchiveError::TotalTooLarge { .. }), "{refused}");
}

#[test]
fn an_archive_that_is_cut_off_is_refused() {
    let whole = layer(&[file("a", b"some bytes")]);
    for end in 0..whole.len() {
        assert!(read_layer(&whole[..end], &SMALL_LIMITS).is_err(), "cut at {end}");
    }
    assert!(read_layer(&whole, &SMALL_LIMITS).is_ok());
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let mut long = layer(&[file("a", b"1")]);
    long.extend_from_slice(b"more");
    let refused = read_layer(&long, &SMALL_LIMITS).unwrap_err();
    assert!(matches!(refused, ArchiveError::TrailingData { bytes: 4 }), "{refused}");
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut wrong = layer(&[file("a", b"1")]);
    let at = wrong.len() - 8;
    wrong[at] ^= 1;
    assert!(matches!(read_layer(&wrong, &SMALL_LIMITS).unwrap_err(), ArchiveError::Corrupt(_)));
}

proptest! {
    #[test]
    fn what_is_written_is_read(contents in prop::collection::vec((any::<Vec<u8>>(), any::<bool>()), 0..8)) {
        let numbered = contents.into_iter().enumerate();
        let file = |(number, (bytes, executable))| File { path: format!("file-{number}"), bytes, executable };
        let files: Files = numbered.map(file).collect();
        let layer = write_layer(&files, 0).unwrap();
        assert_eq!(read_layer(&layer, &Limits::default()).unwrap(), files);
        assert_eq!(write_layer(&files, 0).unwrap(), layer);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        drop(read_layer(&bytes, &SMALL_LIMITS));
    }

    #[test]
    fn no_archive_makes_the_reader_panic(bytes: Vec<u8>) {
        drop(read_layer(&layer(&[bytes]), &SMALL_LIMITS));
    }
}
