// SPDX-License-Identifier: Apache-2.0
//! The folder of a publisher: `1.root.json`, `2.root.json` and so on, and `draft.root.json` while signatures are missing.
//!
//! Versions are never changed. A file is written whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, PersistError};
use trust::{Draft, MAX_JSON_BYTES, Missing, Root, Signer};

use crate::failure::{Failure, Outcome};
use crate::output;

const DRAFT: &str = "draft.root.json";
const NONE_HERE: &str = "`l3af publisher init` makes one; `--folder` says where it is";

/// The versions of a root, each of which follows from the one before.
pub(super) struct Folder {
    path: PathBuf,
    versions: Vec<Root>,
}

impl Folder {
    /// Makes a folder in which there is no root yet.
    pub(super) fn make(path: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(path)
            .map_err(|error| Failure::new(format!("cannot make `{}`: {error}", path.display())))?;
        let folder = Self { path: path.to_owned(), versions: Vec::new() };
        match folder.numbers()?.last() {
            None if !folder.path.join(DRAFT).exists() => Ok(folder),
            _ => Err(Failure::new(format!("there is a root in `{}` already", path.display())).with_hint(
                "`l3af publisher show` shows it, `rotate` and its kin make the next version; for another root choose \
                 another `--folder`",
            )),
        }
    }

    /// Reads all versions.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let mut folder = Self { path: path.to_owned(), versions: Vec::new() };
        for (number, expected) in folder.numbers()?.into_iter().zip(1..) {
            if number != expected {
                let missing = folder.path.join(format!("{expected}.root.json"));
                return Err(Failure::new(format!("`{}` is missing", missing.display()))
                    .with_hint("each version follows from the one before, so that all of them are kept"));
            }
            let file = folder.file(number);
            let bytes = read(&file)?;
            let root = match folder.versions.last() {
                None => Root::pinned(&bytes),
                Some(previous) => previous.update(&bytes),
            };
            let root = root.map_err(|bad| Failure::new(format!("`{}` is refused: {bad}", file.display())))?;
            if root.version() != number {
                let what = format!("`{}` holds version {}", file.display(), root.version());
                return Err(Failure::new(what).with_hint("a version lies in the file of its number"));
            }
            folder.versions.push(root);
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn versions(&self) -> &[Root] {
        &self.versions
    }

    /// The newest version.
    pub(super) fn newest(&self) -> Result<&Root, Failure> {
        self.versions.last().ok_or_else(|| {
            Failure::new(format!("there is no root in `{}`", self.path.display())).with_hint(NONE_HERE)
        })
    }

    /// The draft, if there is one.
    pub(super) fn draft(&self) -> Result<Option<Draft>, Failure> {
        let file = self.path.join(DRAFT);
        if file.exists() { self.copy(&file).map(Some) } else { Ok(None) }
    }

    /// A draft of the version after the newest, wherever it is.
    pub(super) fn copy(&self, file: &Path) -> Result<Draft, Failure> {
        let refused = |bad| Failure::new(format!("`{}` is refused: {bad}", file.display()));
        let draft = Draft::parse(&read(file)?).map_err(refused)?;
        let (found, next) = (draft.checked().map_err(refused)?.version(), self.next());
        if found == next {
            return Ok(draft);
        }
        let what = format!("`{}` is version {found}, and {next} is the next", file.display());
        Err(Failure::new(what)
            .with_hint("when that version is complete, the draft is of no more use: remove it"))
    }

    /// Keeps a draft, or the version that it has become.
    pub(super) fn keep(&self, draft: &Draft) -> Outcome {
        let draft_file = self.path.join(DRAFT);
        let missing = draft.missing(self.versions.last())?;
        let bytes = draft.to_json().into_bytes();
        if missing.is_empty() {
            // Through the door that everybody else takes.
            let root = match self.versions.last() {
                Some(newest) => newest.update(&bytes)?,
                None => Root::pinned(&bytes)?,
            };
            let file = self.file(root.version());
            write(&file, &bytes, |made, file| made.persist_noclobber(file))?;
            if draft_file.exists() {
                fs::remove_file(&draft_file)?;
            }
            output::note(&format!("version {} is complete: `{}`", root.version(), file.display()));
            output::data(&root.digest().to_string());
            return Ok(());
        }
        write(&draft_file, &bytes, |made, file| made.persist(file))?;
        output::note(&format!("version {} is a draft: `{}`", self.next(), draft_file.display()));
        for lacking in &missing {
            output::note(&format!("  {}", words(lacking)));
        }
        output::note("hint: who has one of these keys signs with `l3af publisher sign --key FILE`");
        Ok(())
    }

    /// The number of the version that comes next.
    fn next(&self) -> u64 {
        self.versions.last().map_or(1, |newest| newest.version().saturating_add(1))
    }

    fn file(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number}.root.json"))
    }

    /// The numbers of the versions that are there.
    fn numbers(&self) -> Result<Vec<u64>, Failure> {
        let unread = |error| {
            Failure::new(format!("cannot read `{}`: {error}", self.path.display())).with_hint(NONE_HERE)
        };
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(unread)? {
            let name = entry.map_err(unread)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".root.json"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// What a draft lacks, in words.
pub(super) fn words(missing: &Missing) -> String {
    let Missing { version, valid, threshold, of, .. } = missing;
    let names: Vec<String> = of.iter().map(name).collect();
    format!("{valid} of {threshold} signatures of version {version}'s keys; not yet: {}", names.join(", "))
}

/// The first letters of the names of a signer's keys.
fn name(signer: &Signer) -> String {
    let ids = signer.ids().map(|id| format!("{id:.16}"));
    ids.collect::<Vec<_>>().join("+")
}

/// Writes a file beside its place and puts it there.
pub(super) fn write(
    file: &Path,
    bytes: &[u8],
    put: impl FnOnce(NamedTempFile, &Path) -> Result<File, PersistError>,
) -> Outcome {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Everybody may read what is given to everybody.
    let made = Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder);
    let written = made.and_then(|mut made| {
        made.write_all(bytes)?;
        made.as_file().sync_all()?;
        put(made, file)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|error| Failure::new(format!("cannot write `{}`: {error}", file.display())))
}

/// Reads a file of JSON, but no more of it than may be.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let opened = File::open(file);
    // One more than may be, so that it is refused for what it is.
    let taken = opened.and_then(|opened| opened.take(MAX_JSON_BYTES as u64 + 1).read_to_end(&mut bytes));
    taken.map_err(|error| Failure::new(format!("cannot read `{}`: {error}", file.display())))?;
    Ok(bytes)
}
