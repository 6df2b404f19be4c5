// SPDX-License-Identifier: Apache-2.0
//! Blobs in a folder: `blobs/<algorithm>/<two digits>/<digits>`, whole from the moment that they have their name.
//!
//! A file is written beside (`uploads/`), flushed, renamed, and the folder that got it is flushed. The folders of the digits
//! are made once, when the storage is opened.
//!
//! Each request that brings a piece of an upload writes a file of its own, to which nobody else ever writes. So two requests
//! at a time spoil nothing for each other, and what becomes a blob changes no more once its digest was computed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::BodyDataStream;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::task::spawn_blocking;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::{Pieces, Staged};
use crate::{Algorithm, ContentDigest};

/// How many bytes are read, or written, at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// The most files of an upload.
const MOST_PARTS: usize = 64;

/// A folder with blobs.
pub(super) struct Folder {
    blobs: PathBuf,
    uploads: PathBuf,
    pub(super) records: PathBuf,
}

impl Folder {
    /// Opens a folder, and makes what is missing in it.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let [blobs, uploads, records] = ["blobs", "uploads", "records"].map(|name| folder.join(name));
        let opened = Self { blobs, uploads, records };
        fs::create_dir_all(&opened.uploads)?;
        fs::create_dir_all(&opened.records)?;
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let above = opened.blobs.join(algorithm.name());
            for digits in 0..=u8::MAX {
                fs::create_dir_all(above.join(format!("{digits:02x}")))?;
            }
            flush(&above)?;
        }
        flush(&opened.blobs)?;
        flush(folder)?;
        Ok(opened)
    }

    fn place(&self, digest: &ContentDigest) -> PathBuf {
        let hex = digest.hex();
        self.blobs.join(digest.algorithm().name()).join(&hex[..2]).join(hex)
    }

    fn beside(&self) -> PathBuf {
        self.uploads.join(Uuid::now_v7().simple().to_string())
    }

    /// The files of an upload, in their order.
    fn parts(&self, staged: &Staged) -> Vec<PathBuf> {
        staged.parts.iter().map(|part| self.uploads.join(part)).collect()
    }

    pub(super) async fn put(&self, digest: &ContentDigest, bytes: Bytes) -> io::Result<()> {
        self.write(self.place(digest), bytes).await
    }

    /// Writes a file whole or not at all, in place of the one that has its name.
    pub(super) async fn write(&self, place: PathBuf, bytes: Bytes) -> io::Result<()> {
        let beside = self.beside();
        blocking(move || {
            let mut file = File::create_new(&beside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            rename(&beside, &place)
        })
        .await
    }

    pub(super) async fn read(&self, digest: &ContentDigest, range: Range<u64>) -> io::Result<Pieces> {
        pieces(&self.place(digest), range).await
    }

    pub(super) async fn size(&self, digest: &ContentDigest) -> io::Result<Option<u64>> {
        match tokio::fs::metadata(self.place(digest)).await {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn remove(&self, digest: &ContentDigest) -> io::Result<()> {
        unless_missing(tokio::fs::remove_file(self.place(digest)).await)
    }

    pub(super) fn list(&self) -> BoxStream<'static, io::Result<(ContentDigest, u64)>> {
        let folders = [Algorithm::Sha256, Algorithm::Sha512].into_iter().flat_map(|algorithm| {
            let above = self.blobs.join(algorithm.name());
            (0..=u8::MAX).map(move |digits| (algorithm, above.join(format!("{digits:02x}"))))
        });
        let folders: Vec<_> = folders.collect();
        let listed = stream::iter(folders)
            .then(|(algorithm, folder)| blocking(move || Ok(stream::iter(blobs_in(algorithm, &folder)?))));
        listed.try_flatten().boxed()
    }

    pub(super) async fn append(
        &self,
        staged: &mut Staged,
        mut body: BodyDataStream,
        mut seen: impl FnMut(&Bytes) + Send,
    ) -> io::Result<()> {
        let Some(first) = body.next().await else { return Ok(()) };
        let path = self.beside();
        let mut file = tokio::fs::File::create_new(&path).await?;
        file.set_max_buf_size(PIECE_BYTES);
        let mut size = 0;
        // Few files make a blob: one that would be one too many begins with what is in the others.
        let mut before =
            if staged.parts.len() < MOST_PARTS { stream::empty().boxed() } else { self.staged(staged) };
        while let Some(piece) = before.try_next().await? {
            file.write_all(&piece).await?;
        }
        let mut pieces = stream::iter([first]).chain(body);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(io::Error::other)?;
            seen(&piece);
            file.write_all(&piece).await?;
            size += piece.len() as u64;
        }
        file.sync_all().await?;
        let uploads = self.uploads.clone();
        blocking(move || flush(&uploads)).await?;
        if staged.parts.len() >= MOST_PARTS {
            staged.parts.clear();
        }
        staged.parts.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        staged.size += size;
        Ok(())
    }

    pub(super) fn staged(&self, staged: &Staged) -> Pieces {
        let parts = stream::iter(self.parts(staged)).map(Ok);
        let files = parts.and_then(|path| async move {
            let size = tokio::fs::metadata(&path).await?.len();
            pieces(&path, 0..size).await
        });
        files.try_flatten().boxed()
    }

    pub(super) async fn keep(&self, staged: &Staged, digest: &ContentDigest) -> io::Result<()> {
        let (parts, beside, place) = (self.parts(staged), self.beside(), self.place(digest));
        blocking(move || {
            match parts.as_slice() {
                // It stays where it was under a second name: if the hub ends now, the client ends the upload once more.
                [only] => fs::hard_link(only, &beside)?,
                parts => join(parts, &beside)?,
            }
            rename(&beside, &place)?;
            // Names of one and the same file are not renamed over each other.
            unless_missing(fs::remove_file(&beside))
        })
        .await
    }

    pub(super) async fn discard(&self, staged: &Staged) -> io::Result<()> {
        for part in self.parts(staged) {
            unless_missing(tokio::fs::remove_file(part).await)?;
        }
        Ok(())
    }

    pub(super) async fn remove_parts(
        &self,
        but: &BTreeSet<String>,
        age: Duration,
        now_ms: i64,
    ) -> io::Result<()> {
        let mut entries = tokio::fs::read_dir(&self.uploads).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Files are named when they begin to be written.
            let begun =
                name.parse::<Uuid>().ok().and_then(|id| id.get_timestamp()).map(|begun| begun.to_unix());
            let is_old = begun.is_none_or(|(seconds, _)| {
                i64::try_from(seconds.saturating_add(age.as_secs()))
                    .is_ok_and(|until| until.saturating_mul(1000) < now_ms)
            });
            if is_old && !but.contains(&name) {
                unless_missing(tokio::fs::remove_file(entry.path()).await)?;
            }
        }
        Ok(())
    }
}

/// Writes a file of what is in others.
fn join(parts: &[PathBuf], whole: &Path) -> io::Result<()> {
    let mut whole = File::create_new(whole)?;
    for part in parts {
        io::copy(&mut File::open(part)?, &mut whole)?;
    }
    whole.sync_all()
}

/// Gives a flushed file its name for good.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    flush(to.parent().expect("the place of a blob is in a folder"))
}

/// Makes the names in a folder durable.
fn flush(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(super) fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Runs what waits for a disk where nobody else has to wait for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The bytes of a file in a range.
async fn pieces(path: &Path, range: Range<u64>) -> io::Result<Pieces> {
    let length = range.end.saturating_sub(range.start);
    if let Ok(length) = usize::try_from(length)
        && length <= PIECE_BYTES
    {
        let (path, start) = (path.to_owned(), range.start);
        let read = blocking(move || {
            let mut bytes = vec![0; length];
            std::os::unix::fs::FileExt::read_exact_at(&File::open(path)?, &mut bytes, start)?;
            Ok(Bytes::from(bytes))
        });
        let read = read.await?;
        return Ok(stream::once(async { Ok(read) }).boxed());
    }
    let mut file = tokio::fs::File::open(path).await?;
    file.set_max_buf_size(PIECE_BYTES);
    file.seek(io::SeekFrom::Start(range.start)).await?;
    Ok(ReaderStream::with_capacity(file.take(length), PIECE_BYTES).boxed())
}

/// The blobs of one folder.
fn blobs_in(algorithm: Algorithm, folder: &Path) -> io::Result<Vec<io::Result<(ContentDigest, u64)>>> {
    let mut blobs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{}:{}", algorithm.name(), entry.file_name().to_string_lossy());
        // Whatever has no name of a blob is none.
        if let Ok(digest) = name.parse() {
            blobs.push(entry.metadata().map(|found| (digest, found.len())));
        }
    }
    Ok(blobs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::TryStreamExt as _;
    use uuid::Uuid;

    use super::{Folder, PIECE_BYTES};
    use crate::storage::Staged;
    use crate::{Algorithm, ContentDigest};

    #[tokio::test]
    async fn a_blob_is_read_in_ranges_of_any_size() {
        let kept = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(kept.path()).expect("a storage");
        let bytes: Vec<u8> =
            (0..3 * PIECE_BYTES).map(|at| u8::try_from(at % 251).expect("below 251")).collect();
        let digest = ContentDigest::of(Algorithm::Sha512, &bytes);
        folder.put(&digest, Bytes::from(bytes.clone())).await.expect("kept");
        for range in [0..bytes.len(), 5..6, 7..7, PIECE_BYTES - 1..2 * PIECE_BYTES + 1] {
            let read = folder.read(&digest, range.start as u64..range.end as u64).await.expect("there");
            let read: Vec<Bytes> = read.try_collect().await.expect("whole");
            assert_eq!(read.concat(), bytes[range]);
        }
        assert_eq!(
            folder.list().try_collect::<Vec<_>>().await.expect("listed"),
            [(digest, bytes.len() as u64)]
        );
    }

    #[tokio::test]
    async fn what_was_left_by_a_request_that_broke_off_is_no_part_of_the_upload() {
        let kept = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(kept.path()).expect("a storage");
        let mut staged = Staged::new(Uuid::now_v7());
        folder.append(&mut staged, Body::from("first").into_data_stream(), |_| ()).await.expect("written");
        let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"lost")), Err("gone")]);
        let body = Body::from_stream(broken).into_data_stream();
        folder.append(&mut staged, body, |_| ()).await.expect_err("the body breaks off");
        assert_eq!(staged.size, 5);
        folder.append(&mut staged, Body::from("x").into_data_stream(), |_| ()).await.expect("written");
        let digest = ContentDigest::of(Algorithm::Sha256, b"firstx");
        folder.keep(&staged, &digest).await.expect("kept");
        assert_eq!(folder.size(&digest).await.expect("asked"), Some(6));
    }

    #[tokio::test]
    async fn files_of_uploads_that_no_row_knows_go_when_they_are_old() {
        let kept = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(kept.path()).expect("a storage");
        let (mut known, mut lost) = (Staged::new(Uuid::now_v7()), Staged::new(Uuid::now_v7()));
        for staged in [&mut known, &mut lost] {
            folder.append(staged, Body::from("x").into_data_stream(), |_| ()).await.expect("written");
        }
        let (but, day) = (known.parts.iter().cloned().collect(), Duration::from_hours(24));
        let begun_ms = Uuid::parse_str(&lost.parts[0]).ok().and_then(|id| id.get_timestamp());
        let begun_ms = i64::try_from(begun_ms.expect("a time").to_unix().0 * 1000).expect("a time of today");
        folder.remove_parts(&but, day, begun_ms + 23 * 3_600_000).await.expect("removed");
        assert!(folder.staged(&lost).try_next().await.expect("read").is_some());
        folder.remove_parts(&but, day, begun_ms + 25 * 3_600_000).await.expect("removed");
        assert!(folder.staged(&known).try_next().await.expect("read").is_some());
        folder.staged(&lost).try_next().await.expect_err("it is gone");
    }
}
