// SPDX-License-Identifier: Apache-2.0
//! Stories on other kernels, in guests (crate `guest`).

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::{fs, thread};

use anyhow::{Context, Result, bail};

pub(crate) use ::guest::{Guest, Image};
use ::guest::{RELEASES, quoted};

use crate::programs;
use crate::shell::{self, command, output, repository, say};
use crate::suite::Count;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Kernel: the numbers of its release, as in `6.1`, or `newest`, or `all` for one after another
    #[arg(default_value = "6.1")]
    kernel: String,
    /// Of the stories, those whose names begin so
    #[arg(long, value_name = "PREFIX", default_value = "")]
    only: String,
    /// Command to run in place of the stories
    #[arg(last = true)]
    command: Vec<String>,
}

/// Runs the stories, or a command, in a guest or in one of each.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    crate::setup::install(crate::setup::EVERYTHING)?;
    let command = arguments.command.join(" ");
    let run_on = |release: &str| match command.as_str() {
        "" => stories(release, &[&arguments.only], &mut Count::default()),
        command => boot(release, command),
    };
    if arguments.kernel == "all" { all(run_on) } else { run_on(&arguments.kernel) }
}

/// Runs a command line in a guest.
pub(crate) fn run_command(release: &str, line: &str) -> Result<()> {
    boot(release, line)
}

/// Runs something on every release. One that fails does not keep the others from their turn.
fn all(run_on: impl Fn(&str) -> Result<()>) -> Result<()> {
    let mut failed = Vec::new();
    for (release, _) in RELEASES {
        say(&format!("\n== Linux {release}"));
        let begin = Instant::now();
        if let Err(error) = run_on(release) {
            say(&format!("error: {error:#}"));
            failed.push(release);
        }
        say(&format!("-- Linux {release}: {:.0} s", begin.elapsed().as_secs_f64()));
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed on Linux {}", failed.join(", ")) }
}

/// Runs the stories whose names begin so or so, dealt to two guests, and counts them.
pub(crate) fn stories(release: &str, which: &[&str], count: &mut Count) -> Result<()> {
    shell::run(&mut command("cargo build --quiet --workspace --bins"))?;
    // Emulated, each would take its time to compile.
    programs::build()?;
    let stories = copies(&story_binary()?)?.join("stories");
    let listed = output(Command::new(&stories).args(["--list", "--format", "terse"]))?;
    let digest = digest_of_ratelimit()?;
    let line = format!("env L3AF_EXPECT_DIGEST={digest} {} --test-threads=1 --exact", stories.display());
    let image = fetch(release, &folder_of(release))?;
    let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    let names: Vec<&str> = names.filter(|name| which.iter().any(|which| name.starts_with(which))).collect();
    if names.is_empty() {
        bail!(
            "no story has a name that begins with `{}`; see `cargo test -p it --test stories -- --list`",
            which.join("`, `")
        );
    }
    let count = Mutex::new(count);
    let some_of = |name, turn: usize| {
        let some: Vec<&str> = names.iter().copied().skip(turn).step_by(2).collect();
        // Asked for none, the binary would run them all.
        if some.is_empty() {
            return Ok(());
        }
        let guest = Guest { image: &image, folder: folder_of(release).join(name) };
        run_in(&guest, &format!("{line} {}", some.join(" ")), |text| {
            count.lock().unwrap_or_else(PoisonError::into_inner).see(text);
        })
    };
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(|| some_of("other", 1));
        (some_of("one", 0), other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    one.and(other)
}

/// Copies what the guest runs: a build during the run must not change it under the guest's feet.
fn copies(stories: &str) -> Result<PathBuf> {
    let folder = repository().join("target/vm/bin");
    copy(&["l3afd", "l3af", "l3af-demo"], &folder)?;
    fs::copy(stories, folder.join("stories"))?;
    Ok(folder)
}

/// Copies binaries that were built into a folder.
pub(crate) fn copy(binaries: &[&str], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let built = repository().join("target/debug");
    for name in binaries {
        fs::copy(built.join(name), folder.join(name))?;
    }
    Ok(())
}

/// What `ratelimit` is here, for the guest to compare with.
fn digest_of_ratelimit() -> Result<String> {
    let folder = repository().join("target/vm/ratelimit.oci");
    let built = output(command("target/debug/l3af build programs/ratelimit --output").arg(folder))?;
    Ok(built.trim().to_owned())
}

fn story_binary() -> Result<String> {
    let messages = output(&mut command(
        "cargo test --quiet --package it --test stories --no-run --message-format json",
    ))?;
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut stories = artifacts.filter(|artifact| artifact["target"]["name"] == "stories");
    let binary = stories.find_map(|artifact| artifact["executable"].as_str().map(str::to_owned));
    binary.context("cargo built no test binary of the stories")
}

/// Boots a kernel, runs a command line in it, and passes on what it prints.
fn boot(release: &str, line: &str) -> Result<()> {
    let folder = folder_of(release);
    let image = fetch(release, &folder)?;
    run_in(&Guest { image: &image, folder: folder.join("one") }, line, |_| ())
}

/// Downloads and unpacks a kernel, once.
pub(crate) fn fetch(release: &str, folder: &Path) -> Result<Image> {
    Ok(::guest::fetch(release, folder, &mut |text| say(text))?)
}

/// The command line as it runs in the repository.
pub(crate) fn line(line: &str) -> String {
    format!("cd {} && export L3AF_VM=1 RUST_BACKTRACE=0 && {line}", quoted(&repository()))
}

/// Runs a command line in a guest, passes on each line that it prints, and shows each to a reader.
fn run_in(guest: &Guest<'_>, line: &str, mut see: impl FnMut(&str)) -> Result<()> {
    say(&format!("Booting {} under emulation", guest.image.release));
    let told = |text: &str| {
        say(text);
        see(text);
    };
    Ok(guest.run(&self::line(line), told)?)
}

/// The folder of a kernel.
pub(crate) fn folder_of(release: &str) -> PathBuf {
    repository().join("target/vm").join(release)
}
