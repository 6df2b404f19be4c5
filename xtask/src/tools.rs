// SPDX-License-Identifier: Apache-2.0
//! Programs of crates.io that chores need: in `target/tools`, built once, in the versions that are named here.

use std::process::Command;

use anyhow::Result;

use crate::shell::{command, exists, repository, run, say};

/// A program of crates.io.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// What it is called, as a crate and as a program.
    name: &'static str,
    version: &'static str,
    /// What `cargo install` is told besides.
    flags: &'static [&'static str],
}

/// Looks at dependencies. The version is the one that the rules in `deny.toml` were written for.
pub(crate) const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", flags: &[] };

/// Serves a folder by the protocol of Amazon S3. Tests need not wait for what makes it faster.
pub(crate) const S3S_FS: Tool =
    Tool { name: "s3s-fs", version: "0.13.0", flags: &["--debug", "--features", "binary"] };

impl Tool {
    /// The path of the program, which is built where it is missing or of another version.
    pub(crate) fn ready(self) -> Result<String> {
        if exists(self.name) && self.is_right(self.name) {
            return Ok(self.name.to_owned());
        }
        let own = repository().join("target/tools/bin").join(self.name).to_string_lossy().into_owned();
        if !self.is_right(&own) {
            say(&format!("Building {} {}", self.name, self.version));
            let package = format!("{}@{}", self.name, self.version);
            let mut install = command("cargo install --quiet --locked --root target/tools");
            run(install.args(self.flags).arg(package))?;
        }
        Ok(own)
    }

    fn is_right(self, program: &str) -> bool {
        let asked = Command::new(program).arg("--version").output();
        asked.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains(self.version))
    }
}
