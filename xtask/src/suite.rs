// SPDX-License-Identifier: Apache-2.0
//! `make test`: every check and every test, in the order in which they are likely to fail and quick to tell.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::shell::{self, command, is_root, output, say, watch};
use crate::{durability, npm, programs, python, setup, tidy, tools, vm};

/// The stories that are told on a second kernel too: the others hang on no kernel, and emulated each takes its time.
const ON_OTHERS: [&str; 2] = ["hooks::", "programs::probes::"];

/// How many tests there were.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    /// Adds up the closing lines of test binaries.
    pub(crate) fn see(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else { return };
        let number = |word: &str| {
            let before = rest.split(word).next()?;
            before.trim().rsplit(' ').next()?.parse::<u64>().ok()
        };
        self.passed += number(" passed").unwrap_or_default();
        self.failed += number(" failed").unwrap_or_default();
    }
}

/// Runs everything. Ends with one line that counts the tests.
pub(crate) fn run() -> Result<()> {
    let unprivileged = is_unprivileged()?;
    stage("system packages", || setup::install(setup::EVERYTHING))?;
    stage("formatting", || shell::run(&mut command("cargo fmt --all --check")))?;
    stage("formatting of C", format_of_c)?;
    stage("tidy", tidy::run)?;
    stage("clippy", || {
        shell::run(&mut command("cargo clippy --quiet --workspace --all-targets -- -D warnings"))
    })?;
    stage("documentation", || {
        let line = "cargo doc --quiet --workspace --no-deps --document-private-items";
        shell::run(command(line).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    stage("dependencies", deny)?;
    stage("binaries", || shell::run(&mut command("cargo build --quiet --workspace --bins")))?;
    stage("programs", programs::build)?;
    stage("python", python::prepare)?;
    stage("npm", npm::prepare)?;
    stage("tools", || tools::S3S_FS.ready().map(drop))?;
    let mut count = Count::default();
    let tested = stage("tests", || test(unprivileged, &mut count));
    let on_others = match (&tested, unprivileged) {
        (Ok(()), false) => stage("stories on Linux 6.1", || vm::stories("6.1", &ON_OTHERS, &mut count)),
        _ => Ok(()),
    };
    let lasts = match (&tested, unprivileged) {
        (Ok(()), false) => stage("durability on Linux 6.1", || {
            durability::Arguments::few().iter().try_for_each(durability::run)
        }),
        _ => Ok(()),
    };
    if unprivileged {
        say("\nL3AF_TEST=unprivileged: the stories, which need root, were left out, here and on Linux 6.1.");
    }
    say(&format!("\n{} passed, {} failed", count.passed, count.failed));
    tested.and(on_others).and(lasts)
}

fn is_unprivileged() -> Result<bool> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads this variable")]
    let variable = std::env::var("L3AF_TEST").unwrap_or_default();
    match (variable.as_str(), is_root()) {
        ("unprivileged", _) => Ok(true),
        ("", true) => Ok(false),
        ("", false) => bail!(
            "the stories make network namespaces and load programs. Run: sudo env PATH=\"$PATH\" make test\nTo leave \
             them out: L3AF_TEST=unprivileged make test"
        ),
        (other, _) => bail!("L3AF_TEST is `{other}`; the one value it can have is `unprivileged`"),
    }
}

fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    say(&format!("\n== {name}"));
    let begin = Instant::now();
    let result = work().with_context(|| format!("{name} failed"));
    say(&format!("-- {name}: {:.0} s", begin.elapsed().as_secs_f64()));
    result
}

fn test(unprivileged: bool, count: &mut Count) -> Result<()> {
    let mut command = command("cargo test --workspace --no-fail-fast");
    if unprivileged {
        command.args(["--exclude", "it"]);
    }
    watch(&mut command, |line| count.see(line))
}

fn format_of_c() -> Result<()> {
    let listed = output(&mut command("git ls-files programs/*.c programs/*.h it/*.c it/*.h"))?;
    shell::run(command("clang-format-19 --dry-run -Werror").args(listed.lines()))
}

/// Bans, licences and sources need no network; advisories come from a repository that not every machine reaches.
fn deny() -> Result<()> {
    let program = tools::CARGO_DENY.ready()?;
    shell::run(command(&program).args([
        "--workspace",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn closing_lines_are_added_up() {
        let mut count = Count::default();
        count.see(
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.04s",
        );
        count.see("test a::passed ... ok");
        count.see("test result: FAILED. 31 passed; 2 failed; 0 ignored");
        assert_eq!(count, Count { passed: 43, failed: 2 });
    }
}
