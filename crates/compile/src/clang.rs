// SPDX-License-Identifier: Apache-2.0
//! Compiling eBPF C so that the same sources give the same bytes everywhere.
//!
//! The major version of clang and the headers from outside of the package are pinned by the manifest. The helpers of
//! libbpf come with this program. Debug information is stripped, BTF is kept, and no path of this machine gets in.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use package::{Build, Digest};
use tempfile::TempDir;

use crate::Uncompiled;

/// The headers of libbpf 1.7.0 that programs include as `<bpf/...>`; `include/bpf/README.md` says where they are from.
const HEADERS: [(&str, &str); 6] = [
    ("bpf_core_read.h", include_str!("../include/bpf/bpf_core_read.h")),
    ("bpf_endian.h", include_str!("../include/bpf/bpf_endian.h")),
    ("bpf_helper_defs.h", include_str!("../include/bpf/bpf_helper_defs.h")),
    ("bpf_helpers.h", include_str!("../include/bpf/bpf_helpers.h")),
    ("bpf_tracing.h", include_str!("../include/bpf/bpf_tracing.h")),
    ("usdt.bpf.h", include_str!("../include/bpf/usdt.bpf.h")),
];

/// The numbers of errors that `<bpf/usdt.bpf.h>` names.
const ERRNO: &str = include_str!("../include/linux/errno.h");

/// A compiler for eBPF, with what it needs in a folder of its own.
#[derive(Debug)]
pub struct Clang {
    pub(crate) compiler: String,
    pub(crate) major: u32,
    pub(crate) strip: String,
    pub(crate) scratch: TempDir,
    pins: BTreeMap<String, Digest>,
    /// Is told what is worth a warning.
    tell: fn(&str),
}

impl Clang {
    /// Finds the compiler that the manifest pins, or where it pins none `clang`, else the newest that has its version in its name.
    /// What is worth a warning is told.
    ///
    /// # Errors
    /// When there is none, or none of that major version, or LLVM's other programs are not there.
    pub fn find(build: Option<&Build>, tell: fn(&str)) -> Result<Self, Uncompiled> {
        let wanted = build.map(|build| build.clang);
        let usual = "clang".to_owned();
        let names = match wanted {
            Some(major) => vec![format!("clang-{major}"), usual],
            None => [usual].into_iter().chain(versioned(programs())).collect(),
        };
        let found = names.iter().find_map(|name| Some((name.clone(), major_version(name)?)));
        let (compiler, major) = found.ok_or(Uncompiled::NoClang { wanted })?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != major) {
            return Err(Uncompiled::OtherClang { wanted, compiler, found: major });
        }
        let strips = [format!("llvm-strip-{major}"), "llvm-strip".to_owned()];
        let strip = strips.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
        let strip = strip.ok_or(Uncompiled::NoStrip { major })?;
        let scratch = tempfile::tempdir()?;
        let headers = scratch.path().join("bpf");
        fs::create_dir(&headers)?;
        for (name, text) in HEADERS {
            fs::write(headers.join(name), text)?;
        }
        fs::create_dir(scratch.path().join("linux"))?;
        fs::write(scratch.path().join("linux/errno.h"), ERRNO)?;
        let pins = build.map(|build| build.headers.clone()).unwrap_or_default();
        Ok(Self { compiler, major, strip, scratch, pins, tell })
    }

    /// Compiles a source of a package, whose folder is given, into the bytes of an object.
    ///
    /// # Errors
    /// When it does not compile, or includes a header that is not the one that the manifest pins.
    pub fn compile(&self, folder: &Path, source: &str) -> Result<Vec<u8>, Uncompiled> {
        self.compile_file(folder, source, Path::new(source))
    }

    /// Compiles a text in place of a source of a package. What it includes is looked for as if it were that source.
    ///
    /// # Errors
    /// As for [`Clang::compile`].
    pub fn compile_text(&self, folder: &Path, source: &str, text: &str) -> Result<Vec<u8>, Uncompiled> {
        let own = self.scratch.path().join("source");
        fs::create_dir_all(&own)?;
        let file = own.join(Path::new(source).file_name().unwrap_or_default());
        fs::write(&file, text)?;
        self.compile_file(folder, source, &file)
    }

    fn compile_file(&self, folder: &Path, source: &str, file: &Path) -> Result<Vec<u8>, Uncompiled> {
        let object = self.scratch.path().join("object.o");
        let dependencies = self.scratch.path().join("object.d");
        let (folder, mut command) = self.command(folder, source)?;
        command.arg("-MD").arg("-MF").arg(&dependencies);
        command.arg("-c").arg(file).arg("-o").arg(&object);
        self.succeed(None, &format!("`{}` cannot compile `{source}`", self.compiler), command.output())?;
        self.check_headers(&folder, &fs::read_to_string(&dependencies)?)?;
        let strip = Command::new(&self.strip).arg("-g").arg(&object).output();
        self.succeed(None, &format!("`{}` cannot strip what was compiled", self.strip), strip)?;
        Ok(fs::read(&object)?)
    }

    /// The compiler with what is said to it of every source, and the folder that it works in.
    pub(crate) fn command(&self, folder: &Path, source: &str) -> Result<(PathBuf, Command), Uncompiled> {
        let folder = folder
            .canonicalize()
            .map_err(|source| Uncompiled::NoFolder { folder: folder.to_owned(), source })?;
        let mut command = Command::new(&self.compiler);
        command.current_dir(&folder);
        command.args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-fdebug-compilation-dir=."]);
        command.arg(format!("-ffile-prefix-map={}=libbpf", self.scratch.path().display()));
        command.arg("-isystem").arg(self.scratch.path());
        // The folder of a file comes first for what it includes, and that of its source next.
        command.arg("-iquote").arg(
            Path::new(source)
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        );
        Ok((folder, command))
    }

    /// Holds every header that was read from outside of the package against its pin.
    fn check_headers(&self, folder: &Path, dependencies: &str) -> Result<(), Uncompiled> {
        let read = dependencies.split_once(':').map_or("", |(_, read)| read);
        for path in read.split_ascii_whitespace().filter(|word| *word != "\\") {
            let header = folder.join(path).canonicalize()?;
            let own = header.starts_with(folder) || header.starts_with(self.scratch.path().canonicalize()?);
            if own {
                continue;
            }
            let found = Digest::of(&fs::read(&header)?);
            let pinned = self
                .pins
                .iter()
                .find(|(pin, _)| folder.join(pin).canonicalize().is_ok_and(|pin| pin == header));
            match pinned {
                Some((_, wanted)) if *wanted == found => {}
                Some((pin, wanted)) => {
                    return Err(Uncompiled::OtherHeader { pin: pin.clone(), wanted: *wanted, found });
                }
                None => (self.tell)(&unpinned(&relative(folder, &header), &found)),
            }
        }
        Ok(())
    }

    /// Passes on what a tool complained of. `llvm` is the version of LLVM whose package has it, where it is not the compiler itself.
    pub(crate) fn succeed(
        &self,
        llvm: Option<u32>,
        what: &str,
        result: io::Result<Output>,
    ) -> Result<(), Uncompiled> {
        let what = what.to_owned();
        let output = match result {
            Ok(output) => output,
            Err(source) => return Err(Uncompiled::NotRun { what, llvm, source }),
        };
        let complaints = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        if !output.status.success() {
            return Err(Uncompiled::Complaint { what, llvm, complaints });
        }
        if !complaints.is_empty() {
            (self.tell)(&complaints);
        }
        Ok(())
    }
}

fn unpinned(path: &Path, found: &Digest) -> String {
    format!(
        "warning: `{0}` is not pinned, so others may build another object\nhint: add to `[build.headers]` in \
         `package.toml`: \"{0}\" = \"{found}\"",
        path.display()
    )
}

/// A path from a folder to a file, as `package.toml` spells it.
fn relative(folder: &Path, file: &Path) -> PathBuf {
    let shared = folder.components().zip(file.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(shared).map(|_| std::path::Component::ParentDir);
    up.chain(file.components().skip(shared)).collect()
}

/// The names of the programs that a shell finds.
fn programs() -> impl Iterator<Item = String> {
    let folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    let entries = folders.into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

/// The compilers among programs that have their version in their names, as Debian's have; the newest first.
fn versioned(programs: impl Iterator<Item = String>) -> Vec<String> {
    let mut majors: Vec<u32> =
        programs.filter_map(|name| name.strip_prefix("clang-")?.parse().ok()).collect();
    majors.sort_unstable();
    majors.dedup();
    majors.into_iter().rev().map(|major| format!("clang-{major}")).collect()
}

/// The major version that `<name> --version` tells; `None` when there is no such program.
fn major_version(name: &str) -> Option<u32> {
    let output = Command::new(name).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, version) = text.split_once("clang version ")?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_compilers_with_a_version_the_newest_comes_first() {
        let programs =
            ["clang-9", "clang-19", "clang++-20", "clang-format-21", "clang-tidy", "clang-19", "gcc-22"];
        assert_eq!(versioned(programs.into_iter().map(str::to_owned)), ["clang-19", "clang-9"]);
    }

    #[test]
    fn a_header_is_named_from_the_folder_of_the_package() {
        let path = relative(Path::new("/a/b/c"), Path::new("/a/x/y.h"));
        assert_eq!(path, Path::new("../../x/y.h"));
    }
}
