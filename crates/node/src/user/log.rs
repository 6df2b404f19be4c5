// SPDX-License-Identifier: Apache-2.0
//! What a user program wrote: kept in a file and one older file, read from the end, and followed.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a log may have before it is put aside. One older log is kept.
const MAX_LOG_BYTES: u64 = 1024 * 1024;
/// What it may have while its program runs.
const MAX_RUNNING_BYTES: u64 = 16 * MAX_LOG_BYTES;
/// How much of the end of a log is looked at for its last lines.
const TAIL_BYTES: u64 = 4 * MAX_LOG_BYTES;
/// A longer line is cut into several.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// How much is read at once of a log that is followed.
const PIECE_BYTES: u64 = 256 * 1024;

/// Reads on in a log, also when it was put aside and begun anew.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    path: PathBuf,
    /// None where there is no log yet.
    file: Option<File>,
    /// A line that is not at its end.
    begun: Vec<u8>,
    /// Whether what was told last is the beginning of a longer line.
    is_cut: bool,
}

/// Opens the log of a program that is about to start; one that has grown too large is put aside before.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(path).is_ok_and(|log| log.len() > MAX_LOG_BYTES) {
        fs::rename(path, older(path))?;
    }
    File::options().create(true).append(true).mode(0o600).open(path)
}

/// Bounds a log that grows while its program runs, which has it open: the end is put aside, and the log emptied. What is written
/// at that very moment is lost.
pub(super) fn bound(path: &Path) -> io::Result<()> {
    if fs::metadata(path).map_or(0, |log| log.len()) <= MAX_RUNNING_BYTES {
        return Ok(());
    }
    let mut file = File::options().read(true).write(true).open(path)?;
    skip_to_tail(&mut file)?;
    let mut aside = File::options().create(true).write(true).truncate(true).mode(0o600).open(older(path))?;
    io::copy(&mut (&mut file).take(TAIL_BYTES), &mut aside)?;
    // Whoever appends goes on at the new end.
    file.set_len(0)
}

/// The last lines of a log, and of the older one where it has fewer; and what reads on from there.
pub(crate) fn tail(path: &Path, most: usize) -> io::Result<(Vec<String>, Follower)> {
    let mut follower = Follower { path: path.to_owned(), ..Follower::default() };
    let mut lines = Vec::new();
    if let Some(mut file) = open_if_there(path)? {
        let is_whole = skip_to_tail(&mut file)?;
        let mut bytes = Vec::new();
        // No further than it reached when this began: a program may write faster than is read.
        (&mut file).take(TAIL_BYTES).read_to_end(&mut bytes)?;
        lines = follower.lines(&bytes);
        follower.file = Some(file);
        if !is_whole && !lines.is_empty() {
            // It begins in the middle of a line.
            lines.remove(0);
        } else if is_whole && lines.len() < most {
            lines.splice(0..0, end_of(&older(path))?);
        }
    } else {
        lines.extend(end_of(&older(path))?);
    }
    lines.drain(..lines.len().saturating_sub(most));
    Ok((lines, follower))
}

impl Follower {
    /// What was written since, as far as its lines are at their end.
    pub(crate) fn read(&mut self) -> io::Result<Vec<String>> {
        let Some(file) = &mut self.file else {
            self.file = open_if_there(&self.path)?;
            return Ok(Vec::new());
        };
        let mut bytes = Vec::new();
        file.take(PIECE_BYTES).read_to_end(&mut bytes)?;
        if bytes.is_empty() && is_another(file, &self.path)? {
            // What was written between the two looks, before it was put aside.
            file.take(PIECE_BYTES).read_to_end(&mut bytes)?;
            if bytes.is_empty() {
                self.file = open_if_there(&self.path)?;
                return Ok(self.rest().into_iter().collect());
            }
        }
        Ok(self.lines(&bytes))
    }

    /// The line that is not at its end, where there is one.
    pub(crate) fn rest(&mut self) -> Option<String> {
        let begun = std::mem::take(&mut self.begun);
        (!begun.is_empty()).then(|| text(&begun))
    }

    fn lines(&mut self, bytes: &[u8]) -> Vec<String> {
        let parts = bytes.split_inclusive(|byte| *byte == b'\n');
        parts.flat_map(|part| part.chunks(MAX_LINE_BYTES)).filter_map(|piece| self.add(piece)).collect()
    }

    /// Adds to the line that begun, and takes it when it is at its end, or long enough.
    fn add(&mut self, piece: &[u8]) -> Option<String> {
        if std::mem::take(&mut self.is_cut) && piece == b"\n" {
            return None;
        }
        self.begun.extend_from_slice(piece);
        if self.begun.ends_with(b"\n") {
            self.begun.pop();
            return Some(text(&std::mem::take(&mut self.begun)));
        }
        self.is_cut = self.begun.len() >= MAX_LINE_BYTES;
        if self.is_cut { self.rest() } else { None }
    }
}

/// The lines at the end of a log that nobody writes any more.
fn end_of(path: &Path) -> io::Result<Vec<String>> {
    let Some(mut file) = open_if_there(path)? else { return Ok(Vec::new()) };
    let mut reader = Follower::default();
    let (is_whole, mut bytes) = (skip_to_tail(&mut file)?, Vec::new());
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let mut lines = reader.lines(&bytes);
    lines.extend(reader.rest());
    if !is_whole && !lines.is_empty() {
        lines.remove(0);
    }
    Ok(lines)
}

/// Goes to where the tail begins. Returns whether that is the beginning.
fn skip_to_tail(file: &mut File) -> io::Result<bool> {
    let begin = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(begin))?;
    Ok(begin == 0)
}

/// Whether there is another file by now where this one was, or none, or what was read is no longer there.
fn is_another(file: &mut File, path: &Path) -> io::Result<bool> {
    let (own, at) = (file.metadata()?, file.stream_position()?);
    match fs::metadata(path) {
        Ok(now) => Ok((now.dev(), now.ino()) != (own.dev(), own.ino()) || now.len() < at),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the older log is.
fn older(path: &Path) -> PathBuf {
    path.with_extension("log.old")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("user-a_b.log");
        (folder, path)
    }

    fn last(path: &Path, most: usize) -> Vec<String> {
        let (mut lines, mut follower) = tail(path, most).unwrap();
        lines.extend(follower.rest());
        lines
    }

    #[test]
    fn the_last_lines_are_told_with_those_of_the_older_log() {
        let (_folder, path) = folder();
        assert!(last(&path, 5).is_empty());
        fs::write(older(&path), "one\ntwo\n").unwrap();
        assert_eq!(last(&path, 5), ["one", "two"]);
        fs::write(&path, "three\n\nfi").unwrap();
        assert_eq!(last(&path, 3), ["two", "three", "", "fi"]);
        assert_eq!(last(&path, 1), ["", "fi"]);
        assert_eq!(last(&path, 9).len(), 5);
        fs::write(&path, b"\xff\n").unwrap();
        assert_eq!(last(&path, 1), ["\u{fffd}"]);
    }

    #[test]
    fn of_a_large_log_the_end_is_looked_at_from_a_whole_line_on() {
        let (_folder, path) = folder();
        let mut text = "x".repeat(usize::try_from(TAIL_BYTES).unwrap());
        text.push_str("\nthe end\n");
        fs::write(&path, text).unwrap();
        fs::write(older(&path), "before\n").unwrap();
        let (lines, _) = tail(&path, usize::MAX).unwrap();
        assert_eq!(lines.last().unwrap(), "the end");
        assert!(lines.iter().all(|line| line != "before"));
    }

    #[test]
    fn a_log_is_followed_when_it_is_put_aside_and_when_it_is_emptied() {
        let (_folder, path) = folder();
        let (_, mut follower) = tail(&path, 0).unwrap();
        let mut read = || -> Vec<String> { (0..4).flat_map(|_| follower.read().unwrap()).collect() };
        let mut log = open(&path).unwrap();
        log.write_all(b"one\ntw").unwrap();
        assert_eq!(read(), ["one"]);
        log.write_all(b"o\n").unwrap();
        assert_eq!(read(), ["two"]);
        log.write_all(&vec![b'y'; usize::try_from(MAX_LOG_BYTES).unwrap()]).unwrap();
        log.write_all(b"\nlast\n").unwrap();
        let mut next = open(&path).unwrap();
        next.write_all(b"first\n").unwrap();
        let said: Vec<String> = (0..5).flat_map(|_| read()).filter(|line| !line.starts_with('y')).collect();
        assert_eq!(said, ["last", "first"]);
        next.set_len(0).unwrap();
        next.write_all(b"new\n").unwrap();
        assert_eq!(read(), ["new"]);
    }

    #[test]
    fn a_log_that_grows_while_its_program_runs_is_bounded() {
        let (_folder, path) = folder();
        let mut log = open(&path).unwrap();
        log.write_all(&b"a line\n".repeat(3_000_000)).unwrap();
        let (_, mut follower) = tail(&path, 0).unwrap();
        while !follower.read().unwrap().is_empty() {}
        bound(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(fs::metadata(older(&path)).unwrap().len(), TAIL_BYTES);
        log.write_all(b"new\n").unwrap();
        bound(&path).unwrap();
        let said: Vec<String> = (0..3).flat_map(|_| follower.read().unwrap()).collect();
        assert_eq!(said, ["new"]);
        assert_eq!(last(&path, 2), ["a line", "new"]);
    }

    #[test]
    fn a_long_line_is_cut_and_nothing_is_added() {
        let mut follower = Follower::default();
        let text = format!("{}\n\nend\n", "x".repeat(2 * MAX_LINE_BYTES));
        let lengths: Vec<usize> = follower.lines(text.as_bytes()).iter().map(String::len).collect();
        assert_eq!(lengths, [MAX_LINE_BYTES, MAX_LINE_BYTES, 0, 3]);
    }

    proptest::proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(text in "[a\n]{0,40}", cut: proptest::sample::Index) {
            let mut follower = Follower::default();
            let (one, other) = text.as_bytes().split_at(cut.index(text.len() + 1));
            let mut lines = follower.lines(one);
            lines.extend(follower.lines(other));
            lines.extend(follower.rest());
            assert_eq!(lines, text.lines().collect::<Vec<_>>());
        }
    }
}
