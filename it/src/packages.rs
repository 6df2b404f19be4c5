// SPDX-License-Identifier: Apache-2.0
//! Packages of this repository, built and signed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use package::{Package, Platform};
use tempfile::TempDir;
use trust::{Circumstances, Evidence, Memory, PolicyDocument, Verified, verify};

use crate::{Ran, binary, run};

/// The folder of this repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A package as it is where nothing is verified: what plans and kernels are tried with.
///
/// # Errors
/// When it holds nothing for this machine.
pub fn unverified(package: Package) -> Result<Arc<Verified>> {
    let policy = PolicyDocument::parse("mode = \"normal\"")?.resolve(&BTreeMap::new())?;
    let machine = Platform::this_machine().context("packages know no platform like this machine's")?;
    let memory = Memory::default();
    let at = Circumstances::deployment(&policy, &machine, &memory, "2030-01-01T00:00:00Z".parse()?);
    Ok(Arc::new(verify(package, &Evidence::default(), &at).outcome?))
}

/// A folder with packages and a key.
#[derive(Debug)]
pub struct Packages {
    folder: TempDir,
    /// Whoever packs an object that others may pack as well.
    turn: Mutex<()>,
}

impl Packages {
    /// Builds and signs `ratelimit` and `sanity` with a fresh key.
    ///
    /// # Errors
    /// When the compiler is not there or refuses.
    pub fn build() -> Result<Self> {
        let packages = Self { folder: tempfile::tempdir()?, turn: Mutex::new(()) };
        packages.l3af(&["key", "new", "key", "--no-passphrase"])?.success()?;
        for name in ["ratelimit", "sanity"] {
            packages.build_one(name, name)?;
            packages.l3af(&["sign", name, "--key", "key"])?.success()?;
        }
        Ok(packages)
    }

    /// Builds and signs a package of this repository, once, and returns its path.
    ///
    /// # Errors
    /// When the compiler is not there or refuses, or the program for user space was not built before.
    pub fn program(&self, name: &str) -> Result<String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (folder, path) = (repository().join("programs").join(name), self.path(name));
        if !fs::exists(&path)? {
            let is_built = !folder.join("user").exists() || folder.join("bin").join(name).exists();
            ensure!(is_built, "its program for user space is not there; run `cargo xtask programs`");
            self.build_one(name, name)?;
            self.l3af(&["sign", name, "--key", "key"])?.success()?;
        }
        Ok(path)
    }

    /// Signs a package of this repository that was built before, once, and returns its path: `cargo xtask programs` builds it.
    ///
    /// # Errors
    /// When it was not built, or a file of it changed since.
    pub fn built_before(&self, name: &str) -> Result<String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(name);
        if !fs::exists(&path)? {
            let built = repository().join(format!("target/programs/{name}.oci"));
            ensure!(built.exists(), "`{}` is not there; run `cargo xtask programs`", built.display());
            for sources in [name, "include"] {
                ensure_newer(&built.join("index.json"), &repository().join("programs").join(sources))?;
            }
            run(&format!("cp -r {} {path}", built.display()))?;
            self.l3af(&["sign", name, "--key", "key"])?.success()?;
        }
        Ok(path)
    }

    /// Builds a package of this repository, unsigned.
    ///
    /// # Errors
    /// When the compiler is not there or refuses.
    pub fn build_one(&self, name: &str, output: &str) -> Result<String> {
        let source = repository().join("programs").join(name);
        self.l3af(&["build", &source.to_string_lossy(), "--output", output])?.success()
    }

    /// Builds and signs a package of one C source and returns its path; see [`Packages::unsigned`].
    ///
    /// # Errors
    /// When it cannot be written or built.
    pub fn from_source(&self, release: (&str, &str), source: &str, manifest: &str) -> Result<String> {
        let package = self.unsigned(release, source, manifest)?;
        self.l3af(&["sign", &package, "--key", "key"])?.success()?;
        Ok(package)
    }

    /// Builds a package of one C source and returns its path. `manifest` is what stands behind `[package]` and its
    /// like: the programs, whose object is `<name>.bpf.o`, and maps.
    ///
    /// # Errors
    /// When it cannot be written or built.
    pub fn unsigned(&self, release: (&str, &str), source: &str, manifest: &str) -> Result<String> {
        let (name, version) = release;
        let folder = PathBuf::from(self.path(&format!("{name}-{version}")));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{name}.bpf.c")), source)?;
        fs::copy(repository().join("programs/include/vmlinux.h"), folder.join("vmlinux.h"))?;
        write_manifest(&folder, release, &format!("{manifest}[build]\nclang = 19\n"))?;
        let output = self.path(&format!("{name}-{version}.oci"));
        self.l3af(&["build", &folder.to_string_lossy(), "--output", &output])?.success()?;
        Ok(output)
    }

    /// Packs and signs an object with one program, once, and returns the path of the package.
    ///
    /// # Errors
    /// When it cannot be written or built.
    pub fn from_object(
        &self,
        release: (&str, &str),
        object: &[u8],
        function: &str,
        hook: &str,
    ) -> Result<String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, version) = release;
        let names = format!("{name}-{version}-{function}-{hook}");
        let (folder, output) = (PathBuf::from(self.path(&names)), self.path(&format!("{names}.oci")));
        if fs::exists(&output)? {
            return Ok(output);
        }
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("program.bpf.o"), object)?;
        let program = format!(
            "[[program]]\nfunction = \"{function}\"\nobject = \"program.bpf.o\"\nhook = \"{hook}\"\n"
        );
        write_manifest(&folder, release, &program)?;
        self.l3af(&["build", &folder.to_string_lossy(), "--output", &output])?.success()?;
        self.l3af(&["sign", &output, "--key", "key"])?.success()?;
        Ok(output)
    }

    /// Runs `l3af` in the folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn l3af(&self, arguments: &[&str]) -> Result<Ran> {
        let output =
            Command::new(binary("l3af")?).args(arguments).current_dir(self.folder.path()).output()?;
        Ok(output.into())
    }

    /// The path of a file or package in the folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// A policy that trusts the key.
    pub fn policy(&self) -> String {
        format!(
            "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nkey_files = [\"{}\"]\n",
            self.path("key.pub")
        )
    }

    /// A document with one XDP chain of these members, each as `name` or `name` and TOML behind a colon.
    pub fn document(&self, interface: &str, members: &[&str]) -> String {
        let mut document = format!("[[chain]]\ninterface = \"{interface}\"\nhook = \"xdp\"\n");
        for member in members {
            let (name, rest) = member.split_once(':').unwrap_or((member, ""));
            let lines = [
                "[[chain.member]]",
                &format!("name = \"{name}\""),
                &format!("package = \"{}\"", self.path(name)),
                rest,
            ];
            document.push_str(&lines.join("\n"));
            document.push('\n');
        }
        document
    }
}

/// Writes the manifest of a release, which is that of `sanity` but for its name, its version and what stands behind `[package]` and
/// its like; and a README.
pub(crate) fn write_manifest(folder: &Path, (name, version): (&str, &str), rest: &str) -> Result<()> {
    let original = fs::read_to_string(repository().join("programs/sanity/package.toml"))?;
    let head = original.split("[[program]]").next().unwrap_or_default();
    let head = head
        .replace("\"sanity\"", &format!("\"{name}\""))
        .replace("version = \"0.1.0\"", &format!("version = \"{version}\""));
    fs::write(folder.join("package.toml"), head + rest)?;
    Ok(fs::write(folder.join("README.md"), name)?)
}

/// Says that no file in a folder changed since another one was written.
fn ensure_newer(written: &Path, folder: &Path) -> Result<()> {
    let changed = |path: &Path| fs::metadata(path)?.modified();
    let since = changed(written)?;
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        let is_older = !file.is_file() || changed(&file)? <= since;
        ensure!(is_older, "`{}` changed since it was built; run `cargo xtask programs`", file.display());
    }
    Ok(())
}
