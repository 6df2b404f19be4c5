// SPDX-License-Identifier: Apache-2.0
//! apt's view of one suite of Debian: sources derived from those of this machine, and lists of their own.
//!
//! Of the configured sources apt tells where the files are, but not which key signs them, and that key may not be the
//! one of another suite. What Debian signs, its own keyring knows: it brings the keys of later suites ahead of time, in
//! updates of `debian-archive-keyring`. A suite whose key it lacks is refused, as is any source that fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Unbootable;
use crate::command::{output, run};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A suite, as apt sees it.
#[derive(Debug)]
pub(crate) struct Suite {
    /// What keeps apt away from the sources, the lists and the installed packages of this machine.
    options: Vec<String>,
}

impl Suite {
    /// Fetches the lists of a suite into a folder.
    pub(crate) fn fetch(name: &str, folder: &Path) -> Result<Self, Unbootable> {
        let unmade = || Unbootable::file(format!("write to `{}`", folder.display()));
        for part in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(folder.join(part)).map_err(unmade())?;
        }
        let list = folder.join("sources.list");
        fs::write(&list, sources(name)?).map_err(unmade())?;
        let settings = [
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State={}", folder.display()),
            "Dir::State::status=/dev/null".to_owned(),
            format!("Dir::Cache={}", folder.display()),
            // A list that could not be had would hide the newest kernel.
            "APT::Update::Error-Mode=any".to_owned(),
        ];
        let suite = Self { options: settings.into_iter().flat_map(|set| ["-o".to_owned(), set]).collect() };
        run(suite.command("apt-get").args(["-qq", "update"]))?;
        Ok(suite)
    }

    /// The packages whose names begin in some way.
    pub(crate) fn packages(&self, prefix: &str) -> Result<Vec<String>, Unbootable> {
        let names = output(self.command("apt-cache").args(["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Downloads packages into a folder and returns the files.
    pub(crate) fn download(&self, packages: &[String], folder: &Path) -> Result<Vec<PathBuf>, Unbootable> {
        let unmade = || Unbootable::file(format!("write to `{}`", folder.display()));
        fs::create_dir_all(folder).map_err(unmade())?;
        run(self.command("apt-get").args(["-qq", "download"]).args(packages).current_dir(folder))?;
        let files = fs::read_dir(folder).map_err(unmade())?;
        files.map(|entry| Ok(entry.map_err(unmade())?.path())).collect()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options);
        command
    }
}

fn sources(suite: &str) -> Result<String, Unbootable> {
    let own = output(Command::new("sh").args(["-c", ". /etc/os-release && echo \"$VERSION_CODENAME\""]))?;
    let configured = output(Command::new("apt-get").args([
        "indextargets",
        "--no-release-info",
        "--format",
        "$(REPO_URI) $(RELEASE)",
        "Created-By: Packages",
        "Component: main",
        "Architecture: amd64",
    ]))?;
    let derived = derive(&configured, own.trim(), suite);
    if derived.is_empty() {
        return Err(Unbootable::NoSources { suite: suite.to_owned() });
    }
    Ok(derived)
}

/// Puts another suite in place of this machine's own, in lines of an address and a suite.
fn derive(configured: &str, own: &str, suite: &str) -> String {
    // Only releases have the other parts; the suites beside them stand alone.
    let is_release = suite != "sid" && !suite.ends_with("-backports");
    let line = |line: &str| {
        let (address, configured) = line.split_once(' ')?;
        let part = configured.strip_prefix(own)?;
        let is_there = part.is_empty() || is_release && matches!(part, "-updates" | "-security");
        is_there.then(|| format!("deb [target=Packages signed-by={KEYRING}] {address} {suite}{part} main\n"))
    };
    configured.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::derive;

    const CONFIGURED: &str = "mirror:/main bookworm\nmirror:/main bookworm-updates\nmirror:/main bookworm-backports\n\
                              mirror:/security bookworm-security\nmirror:/other bookworm-other\nmirror:/third stable\n";

    fn suites(suite: &str) -> Vec<String> {
        let derived = derive(CONFIGURED, "bookworm", suite);
        let words = derived.lines().map(|line| line.split(' ').skip(3).take(2).collect::<Vec<_>>().join(" "));
        words.collect()
    }

    #[test]
    fn a_release_keeps_its_updates() {
        let expected =
            ["mirror:/main trixie", "mirror:/main trixie-updates", "mirror:/security trixie-security"];
        assert_eq!(suites("trixie"), expected);
    }

    #[test]
    fn a_suite_that_is_no_release_stands_alone() {
        assert_eq!(suites("sid"), ["mirror:/main sid"]);
        assert_eq!(suites("trixie-backports"), ["mirror:/main trixie-backports"]);
    }
}
