// SPDX-License-Identifier: Apache-2.0
//! The programs that are measured, compiled from `it/bench`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use it::repository;

/// Compiles one file of `it/bench`, once for each change of them.
pub(crate) fn compile(name: &str, flags: &[&str]) -> Result<Vec<u8>> {
    let folder = repository().join("target/bench");
    fs::create_dir_all(&folder)?;
    let object = folder.join(format!("{name}{}.bpf.o", flags.concat()));
    if is_newest(&object)? {
        return Ok(fs::read(object)?);
    }
    let mut clang = Command::new("clang-19");
    clang.args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-I", "programs/include"]);
    clang.args(["-I", "crates/cli/include"]).args(flags);
    clang.arg("-c").arg(format!("it/bench/{name}.bpf.c")).arg("-o").arg(&object);
    let output = clang.current_dir(repository()).output().context("`clang-19` cannot be run")?;
    if !output.status.success() {
        bail!("`it/bench/{name}.bpf.c` does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(fs::read(object)?)
}

/// Whether a file is newer than all sources.
fn is_newest(object: &Path) -> Result<bool> {
    let Ok(compiled) = fs::metadata(object).and_then(|found| found.modified()) else { return Ok(false) };
    for source in fs::read_dir(repository().join("it/bench"))? {
        if source?.metadata()?.modified()? >= compiled {
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
