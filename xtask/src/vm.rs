// SPDX-License-Identifier: Apache-2.0
//! Other kernels: a Debian kernel in QEMU, over the files of this machine.
//!
//! The guest sees this machine's root read-only (9p), with its own changes on top in memory (overlayfs), so that every
//! tool is there. It is emulated (TCG): QEMU before 8.1 crashes guests that change programs under load on more than one
//! thread, so there is one.

mod apt;
mod guest;
mod kernel;

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::{fs, thread};

use anyhow::{Context, Result, bail};

pub(crate) use kernel::{Image, fetch};

use crate::shell::{self, command, output, repository, say};
use crate::suite::Count;

/// How long a guest may take.
const PATIENCE_SECONDS: &str = "2700";

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
        "" => stories(release, &arguments.only, &mut Count::default()),
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
    for (release, _) in kernel::RELEASES {
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

/// Runs the stories whose names begin so, dealt to two guests, and counts them.
pub(crate) fn stories(release: &str, which: &str, count: &mut Count) -> Result<()> {
    shell::run(&mut command("cargo build --quiet --workspace --bins"))?;
    let stories = copies(&story_binary()?)?.join("stories");
    let listed = output(Command::new(&stories).args(["--list", "--format", "terse"]))?;
    let digest = digest_of_ratelimit()?;
    let line = format!("env L3AF_EXPECT_DIGEST={digest} {} --test-threads=1 --exact", stories.display());
    let image = fetch(release, &folder_of(release))?;
    let count = Mutex::new(count);
    let guest = |name, turn: usize| {
        let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        let some: Vec<&str> = names.filter(|name| name.starts_with(which)).skip(turn).step_by(2).collect();
        let guest = Guest { image: &image, folder: folder_of(release).join(name) };
        guest.run(&format!("{line} {}", some.join(" ")), |text| {
            count.lock().unwrap_or_else(PoisonError::into_inner).see(text);
        })
    };
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(|| guest("other", 1));
        (guest("one", 0), other.join().unwrap_or_else(|panic| resume_unwind(panic)))
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
    Guest { image: &image, folder: folder.join("one") }.run(line, |_| ())
}

/// The folder of a kernel.
pub(crate) fn folder_of(release: &str) -> PathBuf {
    repository().join("target/vm").join(release)
}

/// A guest that is not running yet.
pub(crate) struct Guest<'a> {
    pub(crate) image: &'a Image,
    /// For what it needs and what it answers.
    pub(crate) folder: PathBuf,
}

impl Guest<'_> {
    /// Boots it, runs a command line in it, and shows each line that it prints to a reader.
    fn run(&self, line: &str, see: impl FnMut(&str)) -> Result<()> {
        // A guest that hangs ends here, and not with whoever waits for it.
        let mut command = Command::new("timeout");
        command.args(["--foreground", PATIENCE_SECONDS]);
        let qemu = self.qemu(line)?;
        command.arg(qemu.get_program()).args(qemu.get_args());
        say(&format!("Booting {} under emulation", self.image.release));
        shell::watch(command.stdin(Stdio::null()), see)?;
        match fs::read_to_string(self.result()).unwrap_or_default().trim() {
            "0" => Ok(()),
            "" => bail!("the guest ended without an answer"),
            code => bail!("the command failed in the guest with {code}"),
        }
    }

    /// Where the guest says how its command ended.
    fn result(&self) -> PathBuf {
        self.folder.join("result")
    }

    /// QEMU, to boot it and run a command line in it.
    pub(crate) fn qemu(&self, line: &str) -> Result<Command> {
        let (image, folder) = (self.image, &self.folder);
        fs::create_dir_all(folder)?;
        let initrd = guest::initrd(image, folder)?;
        // What one run left must not be taken for the answer of the next.
        drop(fs::remove_file(self.result()));
        let script = folder.join("run.sh");
        fs::write(&script, guest::script(image, line))?;
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args([
            "-machine",
            "q35",
            "-accel",
            "tcg,thread=single",
            "-cpu",
            "max",
            "-smp",
            "1",
            "-m",
            "3072",
        ]);
        qemu.args(["-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"]);
        qemu.arg("-serial").arg(format!("file:{}", self.result().display()));
        qemu.args(["-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"]);
        qemu.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(initrd);
        // QEMU before 8.0 keeps what it translated by address: where each process of a program lies elsewhere, each is
        // translated anew, which takes longer than running it.
        let line = format!("console=ttyS0 quiet panic=-1 norandmaps l3af.run={}", script.display());
        qemu.args(["-append", &line]);
        Ok(qemu)
    }
}
