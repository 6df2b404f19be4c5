// SPDX-License-Identifier: Apache-2.0
//! What the tests run with Node.js: `target/npm`, a folder with the versions that `it/npm/package-lock.json` pins.

use std::fs;

use anyhow::{Context, Result};

use crate::shell::{command, repository, run};

const FOLDER: &str = "target/npm";
/// The list of what is wanted, and what it comes to with its digests.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// Fills the folder, unless it is there with these very versions.
pub(crate) fn prepare() -> Result<()> {
    let (from, folder) = (repository().join("it/npm"), repository().join(FOLDER));
    let read = |name: &str| {
        let path = from.join(name);
        fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))
    };
    let wanted = FILES.map(read).into_iter().collect::<Result<Vec<_>>>()?;
    // Written last, so that a folder without it was not finished.
    let stamp = folder.join("stamp");
    if fs::read(&stamp).is_ok_and(|made| made == wanted.concat()) {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    for (name, content) in FILES.iter().zip(&wanted) {
        fs::write(folder.join(name), content)
            .with_context(|| format!("cannot write `{name}` to `{FOLDER}`"))?;
    }
    // Exactly what is locked, by its digests; and nothing of it runs while it is installed.
    run(&mut command(&format!(
        "npm ci --prefix {FOLDER} --ignore-scripts --no-audit --no-fund --loglevel=error"
    )))?;
    fs::write(&stamp, wanted.concat()).with_context(|| format!("cannot write `{}`", stamp.display()))
}
