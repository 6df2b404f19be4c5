// SPDX-License-Identifier: Apache-2.0
//! The packages of `programs/`: their programs for user space are compiled first, linked statically, so that they run on every
//! distribution and no file of a node has a say in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{self, command, output, repository};

/// Where the compiler works, and packages are put.
const OUTPUT: &str = "target/programs";

/// Builds all packages.
pub(crate) fn build() -> Result<()> {
    let folders = folders()?;
    build_user_programs(&folders)?;
    shell::run(&mut command("cargo build --quiet -p cli --bin l3af"))?;
    for folder in &folders {
        let package = repository().join(OUTPUT).join(format!("{}.oci", name(folder)));
        let mut build = Command::new(repository().join("target/debug/l3af"));
        shell::run(build.arg("build").arg(folder).arg("--output").arg(&package))?;
    }
    Ok(())
}

/// Compiles the programs for user space, each to `bin/` in the folder of its package.
fn build_user_programs(folders: &[PathBuf]) -> Result<()> {
    let with_program: Vec<&PathBuf> =
        folders.iter().filter(|folder| folder.join("user/Cargo.toml").exists()).collect();
    if with_program.is_empty() {
        return Ok(());
    }
    let target = output(&mut command("rustc --print host-tuple"))?.trim().to_owned();
    let mut cargo =
        command(&format!("cargo build --quiet --release --target {target} --target-dir {OUTPUT}"));
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    cargo.env(flags, "-C target-feature=+crt-static -C strip=symbols");
    for folder in &with_program {
        cargo.args(["-p", &name(folder)]);
    }
    shell::run(&mut cargo)?;
    for folder in with_program {
        let built = repository().join(OUTPUT).join(&target).join("release").join(name(folder));
        let bin = folder.join("bin");
        fs::create_dir_all(&bin)?;
        // A program that runs is left alone: another file takes its name.
        let (new, place) = (bin.join(format!(".{}.new", name(folder))), bin.join(name(folder)));
        fs::copy(&built, &new).with_context(|| format!("cannot copy {}", built.display()))?;
        fs::rename(new, place)?;
    }
    Ok(())
}

/// The folders of packages.
fn folders() -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(repository().join("programs"))?;
    let folders = listed.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let mut folders: Vec<PathBuf> =
        folders.into_iter().filter(|folder| folder.join("package.toml").exists()).collect();
    folders.sort();
    Ok(folders)
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
