// SPDX-License-Identifier: Apache-2.0
//! The corpus: programs that are hard to chain, each in one way, and programs of others. `it/corpus` holds the sources of
//! the first; the second are all that Debian's xdp-tools and libxdp bring.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::repository;

/// A program of the corpus, compiled.
#[derive(Debug, Clone)]
pub struct Specimen {
    /// The name of its file, without endings.
    pub name: String,
    /// Its object.
    pub object: Vec<u8>,
    /// Whether its programs are for TC; else they are for XDP.
    pub is_tc: bool,
}

/// Compiles the corpus, each file once for each change of it.
///
/// # Errors
/// When clang is missing or rejects a file.
pub fn corpus() -> Result<Vec<Specimen>> {
    let folder = repository().join("it/corpus");
    let mut sources: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("`{}` is missing", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".bpf.c"))
        .collect();
    sources.sort();
    sources.iter().map(|source| compile(source)).collect()
}

/// The objects of others that this machine has.
///
/// # Errors
/// When there are none, or they cannot be read.
pub fn foreign() -> Result<Vec<Specimen>> {
    let mut specimens = Vec::new();
    for library in fs::read_dir("/usr/lib")? {
        let Ok(objects) = fs::read_dir(library?.path().join("bpf")) else { continue };
        for object in objects {
            let path = object?.path();
            if path.extension().is_some_and(|kind| kind == "o") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                specimens.push(Specimen { name, object: fs::read(path)?, is_tc: false });
            }
        }
    }
    specimens.sort_by(|one, other| one.name.cmp(&other.name));
    if specimens.is_empty() {
        bail!("there is no object in `/usr/lib/*/bpf`; `cargo xtask setup` installs xdp-tools");
    }
    Ok(specimens)
}

/// One program of the corpus by its name.
///
/// # Errors
/// When there is none, or it does not compile.
pub fn specimen(name: &str) -> Result<Specimen> {
    compile(&repository().join(format!("it/corpus/{name}.bpf.c")))
}

fn compile(source: &Path) -> Result<Specimen> {
    let text = fs::read_to_string(source).with_context(|| format!("`{}` is missing", source.display()))?;
    let name = source.file_name().unwrap_or_default().to_string_lossy().replace(".bpf.c", "");
    let object = repository().join(format!("target/corpus/{name}.bpf.o"));
    if !is_newer(&object, source) {
        fs::create_dir_all(repository().join("target/corpus"))?;
        let mut clang = Command::new("clang-19");
        clang.args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-I", "programs/include"]);
        clang.args(["-I", "crates/compile/include", "-c"]).arg(source).arg("-o").arg(&object);
        clang.args(marked(&text, "clang:").into_iter().flat_map(str::split_ascii_whitespace));
        let output = clang.current_dir(repository()).output().context("`clang-19` cannot be run")?;
        if !output.status.success() {
            bail!("`{}` does not compile:\n{}", source.display(), String::from_utf8_lossy(&output.stderr));
        }
    }
    let is_tc = text.contains("struct __sk_buff");
    Ok(Specimen { name, object: fs::read(object)?, is_tc })
}

/// What a comment of the source says behind a word.
fn marked<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.lines().find_map(|line| line.trim_start_matches([' ', '/', '*']).strip_prefix(word))?;
    Some(rest.trim().trim_end_matches("*/").trim())
}

fn is_newer(one: &Path, other: &Path) -> bool {
    let changed = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    changed(one).is_some_and(|one| changed(other).is_some_and(|other| one > other))
}
