// SPDX-License-Identifier: Apache-2.0
//! The machine that QEMU makes, and what it answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Image, Unbootable, command, root};

/// How long a guest may take.
const PATIENCE_SECONDS: &str = "2700";

/// A guest that is not running yet.
#[derive(Debug)]
pub struct Guest<'a> {
    /// Its kernel.
    pub image: &'a Image,
    /// For what it needs and what it answers. It must not lie in `/tmp` or `/run`.
    pub folder: PathBuf,
}

impl Guest<'_> {
    /// Where what is written to `/dev/ttyS2` in the guest comes out, with `\r\n` for the end of a line.
    pub fn output(&self) -> PathBuf {
        self.folder.join("output")
    }

    /// Boots it, runs a command line in its shell, and shows each line of its console to a reader.
    ///
    /// # Errors
    /// When it cannot be booted, does not end in time, or the command fails.
    pub fn run(&self, line: &str, see: impl FnMut(&str)) -> Result<(), Unbootable> {
        // A guest that hangs ends here, and not with whoever waits for it. It ends also when that one is gone.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "timeout", "--foreground", PATIENCE_SECONDS]);
        let qemu = self.qemu(line)?;
        command.arg(qemu.get_program()).args(qemu.get_args());
        command::watch(command.stdin(Stdio::null()), see)?;
        match fs::read_to_string(self.result()).unwrap_or_default().trim() {
            "0" => Ok(()),
            "" => Err(Unbootable::NoAnswer),
            code => Err(Unbootable::Command { code: code.to_owned() }),
        }
    }

    /// Where the guest says how its command ended.
    fn result(&self) -> PathBuf {
        self.folder.join("result")
    }

    /// QEMU, to boot it and run a command line in it.
    ///
    /// # Errors
    /// When what it boots from cannot be made.
    pub fn qemu(&self, line: &str) -> Result<Command, Unbootable> {
        let (image, folder) = (self.image, &self.folder);
        let unmade = || Unbootable::file(format!("write to `{}`", folder.display()));
        fs::create_dir_all(folder).map_err(unmade())?;
        let initrd = root::initrd(image, folder)?;
        // What one run left must not be taken for the answer of the next.
        for left in [self.result(), self.output()] {
            drop(fs::remove_file(left));
        }
        let script = folder.join("run.sh");
        fs::write(&script, root::script(image, line)).map_err(unmade())?;
        let mut qemu = Command::new("qemu-system-x86_64");
        // QEMU before 8.1 crashes guests that change programs under load on more than one thread.
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
        for file in [self.result(), self.output()] {
            qemu.arg("-serial").arg(format!("file:{}", file.display()));
        }
        qemu.args(["-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"]);
        qemu.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(initrd);
        // QEMU before 8.0 keeps what it translated by address: where each process of a program lies elsewhere, each is
        // translated anew, which takes longer than running it.
        let line = format!("console=ttyS0 quiet panic=-1 norandmaps l3af.run={}", script.display());
        qemu.args(["-append", &line]);
        Ok(qemu)
    }
}

/// A path as one word of a shell.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
