// SPDX-License-Identifier: Apache-2.0
//! `l3af build`: from a folder with sources to a package.

mod l3afd;
mod wrapper;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use package::{Manifest, PackFile, PackSource, Packed};
use wire::Layout;

use crate::arguments::Build;
use crate::arguments::build::Loader;
use crate::failure::{Failure, Outcome};
use crate::output;

pub(crate) fn run(arguments: &Build) -> Outcome {
    if let Some(Loader::L3afd) = arguments.target {
        return l3afd::run(arguments);
    }
    let (manifest, packed) = pack(&arguments.folder, given_objects(&arguments.object)?, arguments.created)?;
    let info = &manifest.package;
    let name = format!("{}-{}.oci", info.name, info.version);
    let target = arguments.output.clone().unwrap_or_else(|| PathBuf::from(name));
    if fs::read_dir(&target).is_ok_and(|mut entries| entries.next().is_some())
        && Layout::open(&target).is_err()
    {
        return Err(Failure::new(format!(
            "`{}` has something in it that is not a package",
            target.display()
        ))
        .with_hint("choose an empty or new folder with `--output`"));
    }
    Layout::write(&target, &packed)?;
    output::note(&format!(
        "built {}/{} {} into `{}`",
        info.publisher,
        info.name,
        info.version,
        target.display()
    ));
    output::data(&packed.index.digest.to_string());
    Ok(())
}

/// What a package is made of, its sources compiled.
pub(crate) struct Gathered {
    pub(crate) manifest: Manifest,
    /// The text of the manifest.
    pub(crate) text: String,
    /// All other files, by path.
    pub(crate) files: BTreeMap<String, PackFile>,
}

impl Gathered {
    /// Gathers it from a folder with a `package.toml`. Objects that are given take the place of those of the same file name.
    pub(crate) fn from(folder: &Path, given: BTreeMap<String, Vec<u8>>) -> Result<Self, Failure> {
        let (manifest, text) = read_manifest(folder)?;
        let mut files = BTreeMap::new();
        for (path, bytes) in compile::objects(folder, given, &manifest, output::note)? {
            files.insert(path, PackFile { bytes, executable: false });
        }
        for path in sources(folder, &manifest)?.into_iter().chain(companions(folder, &manifest)?) {
            files.insert(path.clone(), read(&folder.join(&path))?);
        }
        Ok(Self { manifest, text, files })
    }
}

/// Makes a package of a folder. Objects that are given, by the names of their files, are not built.
pub(crate) fn pack(
    folder: &Path,
    given: BTreeMap<String, Vec<u8>>,
    created: u64,
) -> Result<(Manifest, Packed), Failure> {
    let Gathered { manifest, text, files } = Gathered::from(folder, given)?;
    let packed = package::pack(&PackSource { manifest: text, files }, created)?;
    Ok((manifest, packed))
}

/// The manifest in a folder, and its text.
pub(crate) fn read_manifest(folder: &Path) -> Result<(Manifest, String), Failure> {
    let path = folder.join("package.toml");
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("cannot read `{}`: {error}", path.display()))
            .with_hint("`docs/package.md` describes the manifest of a package")
    })?;
    Ok((Manifest::parse(&text)?, text))
}

/// The name of the file that a path of a package ends with.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn given_objects(paths: &[PathBuf]) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut given = BTreeMap::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        given.insert(name, read(path)?.bytes);
    }
    Ok(given)
}

/// The sources of a package, and the headers beside them.
fn sources(folder: &Path, manifest: &Manifest) -> Result<BTreeSet<String>, Failure> {
    let mut paths: BTreeSet<String> =
        manifest.programs.iter().filter_map(|program| program.source.clone()).collect();
    if !paths.is_empty() {
        let is_header = |name: &String| Path::new(name).extension().is_some_and(|end| end == "h");
        paths.extend(names(folder)?.into_iter().filter(is_header));
    }
    Ok(paths)
}

/// What else belongs into the package: its documentation, its user program, its tests, and licences.
fn companions(folder: &Path, manifest: &Manifest) -> Result<BTreeSet<String>, Failure> {
    let mut paths = BTreeSet::from([manifest.package.documentation.clone()]);
    paths.extend(manifest.user.iter().map(|user| user.command.clone()));
    paths.extend(names(folder)?.into_iter().filter(|name| name.starts_with("LICENSE")));
    paths.extend(tests(folder)?);
    Ok(paths)
}

/// The names of what is in a folder.
fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let listed = fs::read_dir(folder)?;
    listed.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The tests of a package, with the captures that they are made of.
fn tests(folder: &Path) -> Result<BTreeSet<String>, Failure> {
    let tests = folder.join("tests");
    if !tests.is_dir() {
        return Ok(BTreeSet::new());
    }
    let mut paths = BTreeSet::new();
    for entry in fs::read_dir(tests)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && [".toml", ".pcap", ".pcapng"].iter().any(|end| name.ends_with(end))
        {
            paths.insert(format!("tests/{name}"));
        }
    }
    Ok(paths)
}

fn read(path: &Path) -> Result<PackFile, Failure> {
    let read = || -> std::io::Result<PackFile> {
        let executable = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
        Ok(PackFile { bytes: fs::read(path)?, executable })
    };
    read().map_err(|error| {
        Failure::new(format!("cannot read `{}`: {error}", path.display()))
            .with_hint("`package.toml` names it; `--object` gives an object that is elsewhere")
    })
}
