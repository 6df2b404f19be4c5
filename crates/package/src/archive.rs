// SPDX-License-Identifier: Apache-2.0
//! The one layer of a package: a gzipped tar archive that may come from anywhere.
//!
//! Reading never inflates more than the limits allow, and accepts plain files under plain paths only. Writing gives the
//! same bytes for the same files.

use std::collections::BTreeSet;
use std::io::{self, Read};

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use thiserror::Error;

use crate::zipped;

/// What a layer may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files.
    pub entries: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files and what is between them.
    pub total_bytes: u64,
    /// Bytes of a path.
    pub path_bytes: usize,
    /// How many times more bytes come out of it than go in. Looked at after the first mebibyte.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self { entries: 256, file_bytes: 64 * MIB, total_bytes: 256 * MIB, path_bytes: 255, ratio: 200 }
    }
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, with slashes, never leading out of the package.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it may be run.
    pub executable: bool,
}

/// The files of a package, in the order of its archive. No path comes twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files(Vec<File>);

/// An archive that is refused.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// There are too many files.
    #[error("the archive holds more than {max} entries")]
    TooManyEntries {
        /// The limit.
        max: usize,
    },
    /// A file is too large.
    #[error("`{path}` in the archive has {bytes} bytes, more than {max}")]
    FileTooLarge {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// All together is too large.
    #[error("the archive unpacks to more than {max} bytes")]
    TotalTooLarge {
        /// The limit.
        max: u64,
    },
    /// It blows up too much.
    #[error("the archive unpacks to more than {max} times its size")]
    RatioTooHigh {
        /// The limit.
        max: u64,
    },
    /// A path leads out of the package.
    #[error("`{path}` in the archive leads out of it")]
    PathTraversal {
        /// The path.
        path: String,
    },
    /// A path begins at the root of a file system.
    #[error("`{path}` in the archive is an absolute path")]
    AbsolutePath {
        /// The path.
        path: String,
    },
    /// A path is not one that every file system takes.
    #[error("`{path}` in the archive is not a plain path of at most {max} bytes")]
    BadPath {
        /// The path, with what cannot be shown replaced.
        path: String,
        /// The limit.
        max: usize,
    },
    /// An entry is a link.
    #[error("`{path}` in the archive is a link")]
    Link {
        /// The path.
        path: String,
    },
    /// An entry is a folder, a device or the like.
    #[error("`{path}` in the archive is not a plain file (its type is `{kind}`)")]
    NotAFile {
        /// The path.
        path: String,
        /// The type in the header of the entry.
        kind: char,
    },
    /// A path comes twice.
    #[error("`{path}` is in the archive twice")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// It is damaged or cut off.
    #[error("the archive is damaged or cut off")]
    Corrupt(#[source] io::Error),
    /// Something follows behind its end.
    #[error("the archive is followed by {bytes} bytes that do not belong to it")]
    TrailingData {
        /// How many bytes.
        bytes: usize,
    },
}

impl Files {
    /// The files in order.
    pub fn iter(&self) -> impl Iterator<Item = &File> {
        self.0.iter()
    }

    /// The bytes of the file at a path.
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.0.iter().find(|file| file.path == path).map(|file| file.bytes.as_slice())
    }

    /// The first file: in a package, the object that readers of a single file take.
    pub fn first(&self) -> Option<&File> {
        self.0.first()
    }
}

impl FromIterator<File> for Files {
    fn from_iter<T: IntoIterator<Item = File>>(files: T) -> Self {
        Self(files.into_iter().collect())
    }
}

/// Whether a path names a file below a folder on every system.
pub(crate) fn is_safe_path(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let odd = |letter: char| letter.is_control() || letter == '\\' || letter == ':';
    path.len() <= Limits::default().path_bytes && path.split('/').all(plain) && !path.contains(odd)
}

/// A stream that ends with an error where more comes out of it than may.
pub(crate) struct Stream<R> {
    inner: R,
    read: u64,
    packed: u64,
    limits: Limits,
}

/// Why a bounded stream ended.
#[derive(Debug, Error)]
enum Exceeded {
    #[error("too large")]
    Total,
    #[error("too good to be true")]
    Ratio,
}

impl<R> Stream<R> {
    /// What comes out of an archive of so many bytes.
    pub(crate) fn new(inner: R, packed: u64, limits: &Limits) -> Self {
        Self { inner, read: 0, packed, limits: *limits }
    }

    /// Where so many bytes have come out of it before.
    pub(crate) fn after(self, read: u64) -> Self {
        Self { read, ..self }
    }
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const RATIO_AFTER: u64 = 1024 * 1024;
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        if self.read > self.limits.total_bytes {
            return Err(io::Error::other(Exceeded::Total));
        }
        if self.read > RATIO_AFTER && self.read / self.packed.max(1) > self.limits.ratio {
            return Err(io::Error::other(Exceeded::Ratio));
        }
        Ok(count)
    }
}

/// What becomes of the folders that have an entry in an archive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folders {
    /// No package has one.
    Refuse,
    /// They say nothing that the paths of files do not.
    PassOver,
}

/// Reads a layer.
///
/// # Errors
/// When it exceeds a limit, holds anything but plain files under plain paths, or is damaged.
pub fn read_layer(layer: &[u8], limits: &Limits) -> Result<Files, ArchiveError> {
    read_archive(layer, limits, Folders::Refuse)
}

/// Reads an archive that other tools made, a gzipped one of tar or one of ZIP: it may have entries for folders.
///
/// # Errors
/// When it exceeds a limit, holds anything but folders and plain files under plain paths, or is damaged.
pub fn unpack(archive: &[u8], limits: &Limits) -> Result<Files, ArchiveError> {
    if zipped::is_meant(archive) {
        return zipped::unpack(archive, limits);
    }
    read_archive(archive, limits, Folders::PassOver)
}

fn read_archive(layer: &[u8], limits: &Limits, folders: Folders) -> Result<Files, ArchiveError> {
    let corrupt = |error| explain(error, limits);
    let bounded = Stream::new(GzDecoder::new(layer), layer.len() as u64, limits);
    let mut archive = tar::Archive::new(bounded);
    let mut files = Files::default();
    let mut paths = BTreeSet::new();
    for entry in archive.entries().map_err(corrupt)?.raw(true) {
        let mut entry = entry.map_err(corrupt)?;
        if files.0.len() == limits.entries {
            return Err(ArchiveError::TooManyEntries { max: limits.entries });
        }
        if folders == Folders::PassOver && entry.header().entry_type().is_dir() {
            checked_path(&entry.path_bytes(), limits)?;
            continue;
        }
        let file = read_file(&mut entry, limits)?;
        if !paths.insert(file.path.clone()) {
            return Err(ArchiveError::Duplicate { path: file.path });
        }
        files.0.push(file);
    }
    let mut rest = archive.into_inner();
    // The checksum of gzip stands behind the last block: reading to the end checks it.
    io::copy(&mut rest, &mut io::sink()).map_err(corrupt)?;
    match rest.inner.into_inner() {
        [] => Ok(files),
        trailing => Err(ArchiveError::TrailingData { bytes: trailing.len() }),
    }
}

pub(crate) fn explain(error: io::Error, limits: &Limits) -> ArchiveError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        let inner = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let exceeded = inner.and_then(|inner| inner.downcast_ref::<Exceeded>());
        match exceeded.or_else(|| current.downcast_ref::<Exceeded>()) {
            Some(Exceeded::Total) => return ArchiveError::TotalTooLarge { max: limits.total_bytes },
            Some(Exceeded::Ratio) => return ArchiveError::RatioTooHigh { max: limits.ratio },
            None => cause = current.source(),
        }
    }
    ArchiveError::Corrupt(error)
}

fn read_file<R: Read>(entry: &mut tar::Entry<'_, R>, limits: &Limits) -> Result<File, ArchiveError> {
    let path = checked_path(&entry.path_bytes(), limits)?;
    let kind = entry.header().entry_type();
    if kind.is_symlink() || kind.is_hard_link() {
        return Err(ArchiveError::Link { path });
    }
    if !kind.is_file() {
        return Err(ArchiveError::NotAFile { path, kind: char::from(kind.as_byte()) });
    }
    let size = entry.header().entry_size().map_err(ArchiveError::Corrupt)?;
    if size > limits.file_bytes {
        return Err(ArchiveError::FileTooLarge { path, bytes: size, max: limits.file_bytes });
    }
    let executable = entry.header().mode().map_err(ArchiveError::Corrupt)? & 0o111 != 0;
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|error| explain(error, limits))?;
    if bytes.len() as u64 != size {
        return Err(ArchiveError::Corrupt(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(File { path, bytes, executable })
}

pub(crate) fn checked_path(bytes: &[u8], limits: &Limits) -> Result<String, ArchiveError> {
    let path = String::from_utf8_lossy(bytes).into_owned();
    if path.starts_with('/') {
        return Err(ArchiveError::AbsolutePath { path });
    }
    if path.split('/').any(|part| part == "..") {
        return Err(ArchiveError::PathTraversal { path });
    }
    // A folder's path ends with a slash; it is refused for what it is, not for its name.
    let plain = path.strip_suffix('/').unwrap_or(&path);
    if std::str::from_utf8(bytes).is_err() || path.len() > limits.path_bytes || !is_safe_path(plain) {
        return Err(ArchiveError::BadPath { path, max: limits.path_bytes });
    }
    Ok(path)
}

/// Writes a layer: the same bytes for the same files in the same order.
///
/// # Errors
/// When a path does not fit into a header of tar.
pub fn write_layer(files: &Files, modified: u64) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(6));
    let mut archive = tar::Builder::new(gzip);
    archive.mode(tar::HeaderMode::Deterministic);
    for file in files.iter() {
        let mut header = tar::Header::new_ustar();
        header.set_path(&file.path)?;
        header.set_size(file.bytes.len() as u64);
        header.set_mode(if file.executable { 0o755 } else { 0o644 });
        header.set_mtime(modified);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        archive.append(&header, file.bytes.as_slice())?;
    }
    archive.into_inner()?.finish()
}
