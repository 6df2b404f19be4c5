// SPDX-License-Identifier: Apache-2.0
//! The programs that are measured, compiled from `it/bench`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use it::repository;

/// Compiles one file of `it/bench`, once for each change of them.
pub(crate) fn compile(name: &str, flags: &[&str]) -> Result<Vec<u8>> {
    compile_source(name, &format!("it/bench/{name}.bpf.c"), flags)
}

/// Compiles a source of this repository.
pub(crate) fn compile_source(name: &str, source: &str, flags: &[&str]) -> Result<Vec<u8>> {
    let folder = repository().join("target/bench");
    fs::create_dir_all(&folder)?;
    let object = folder.join(format!("{name}{}.bpf.o", flags.concat()));
    if is_newest(&object, source)? {
        return Ok(fs::read(object)?);
    }
    let mut clang = Command::new("clang-19");
    clang.args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-I", "programs/include"]);
    clang.args(["-I", "crates/compile/include"]).args(flags);
    clang.arg("-c").arg(source).arg("-o").arg(&object);
    let output = clang.current_dir(repository()).output().context("`clang-19` cannot be run")?;
    if !output.status.success() {
        bail!("`{source}` does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(fs::read(object)?)
}

/// Whether a file is newer than its source and all beside it.
fn is_newest(object: &Path, source: &str) -> Result<bool> {
    let Ok(compiled) = fs::metadata(object).and_then(|found| found.modified()) else { return Ok(false) };
    let source = repository().join(source);
    for beside in fs::read_dir(source.parent().context("a source lies in a folder")?)? {
        if beside?.metadata()?.modified()? >= compiled {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A UDP datagram over IPv4 in an Ethernet frame of 64 bytes.
pub(crate) fn datagram() -> Vec<u8> {
    let mut frame = vec![0xff; 12];
    frame.extend([0x08, 0x00, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2, 0x10, 0, 0x20, 0, 0, 30, 0, 0]);
    frame.resize(64, 0);
    frame
}
