// SPDX-License-Identifier: Apache-2.0
//! A folder to work in, and `l3af` as people call it there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use trust::PrivateKey;

/// A folder with a copy of `programs/` in it, and `l3af` run there.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { folder: TempDir::new().unwrap() };
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs");
        for part in ["include", "ratelimit", "sanity"] {
            fs::create_dir(place.path(part)).unwrap();
            let entries = fs::read_dir(programs.join(part)).unwrap().map(Result::unwrap);
            for file in entries.filter(|entry| entry.file_type().unwrap().is_file()) {
                fs::copy(file.path(), place.path(part).join(file.file_name())).unwrap();
            }
        }
        for seed in [1, 2] {
            let key = PrivateKey::from_seed([seed; 32]);
            fs::write(place.path(&format!("{seed}.key")), key.to_pem()).unwrap();
            fs::write(place.path(&format!("{seed}.pub")), key.public().to_pem()).unwrap();
        }
        place
    }

    pub(crate) fn built() -> Self {
        let place = Self::new();
        let built = place.l3af("build sanity --output sanity.oci");
        assert!(built.success, "{}", built.stderr);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        self.words(&line.split(' ').collect::<Vec<_>>())
    }

    /// The command of words that may have blanks in them.
    pub(crate) fn words(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_l3af"));
        command.current_dir(self.folder.path()).args(words);
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("L3AF_PASSPHRASE");
        command
    }

    /// Another program, run here.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Ended {
        let output = Command::new(program).current_dir(self.folder.path()).args(arguments).output();
        ended(output.unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn l3af(&self, line: &str) -> Ended {
        ended(self.command(line).output().unwrap())
    }

    /// What a command complains of, on a machine whose programs are those in `bin`.
    pub(crate) fn without_tools(&self, line: &str) -> String {
        let bin = self.path("bin");
        fs::create_dir_all(&bin).unwrap();
        refused(ended(self.command(line).env("PATH", bin).output().unwrap()))
    }

    pub(crate) fn refusal(&self, line: &str) -> String {
        refused(self.l3af(line))
    }
}

pub(crate) fn ended(output: Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { success: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) fn refused(ended: Ended) -> String {
    assert!(!ended.success, "it was accepted: {}", ended.stdout);
    assert_eq!(ended.stdout, "", "a failure is told on stderr");
    ended.stderr
}
