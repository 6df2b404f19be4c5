// SPDX-License-Identifier: Apache-2.0
//! The Python of the tests: `target/python`, an environment with the versions that `it/python/requirements.txt` pins.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::setup;
use crate::shell::{command, repository, run};

const ENVIRONMENT: &str = "target/python";
const REQUIREMENTS: &str = "it/python/requirements.txt";

/// Makes the environment, unless it is there with these very versions.
pub(crate) fn prepare() -> Result<()> {
    let wanted = repository().join(REQUIREMENTS);
    let wanted = fs::read(&wanted).with_context(|| format!("cannot read `{}`", wanted.display()))?;
    // Written last, so that an environment without it was not finished.
    let stamp = repository().join(ENVIRONMENT).join("requirements.txt");
    if fs::read(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    if !has_venv() {
        setup::add(&["python3-venv"])?;
    }
    run(&mut command(&format!("python3 -m venv --clear {ENVIRONMENT}")))?;
    // Nothing comes but what is listed: what others need must be listed as well, which `pip check` holds it to.
    let pip = format!("{ENVIRONMENT}/bin/python -m pip --quiet --disable-pip-version-check");
    run(&mut command(&format!("{pip} install --no-deps --requirement {REQUIREMENTS}")))?;
    run(&mut command(&format!("{pip} check")))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write `{}`", stamp.display()))
}

/// Debian's python3 comes without what environments are made of.
fn has_venv() -> bool {
    let import =
        Command::new("python3").args(["-c", "import ensurepip, venv"]).stderr(Stdio::null()).status();
    import.is_ok_and(|status| status.success())
}
