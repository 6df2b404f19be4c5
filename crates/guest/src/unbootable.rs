// SPDX-License-Identifier: Apache-2.0
//! Why a kernel cannot be booted.

use std::io;
use std::process::ExitStatus;

use thiserror::Error;

/// Programs that booting takes, and the packages of Debian that bring them.
const PACKAGES: [(&str, &str); 9] = [
    ("apt-get", "apt"),
    ("apt-cache", "apt"),
    ("/sbin/depmod", "kmod"),
    ("/bin/busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("dpkg", "dpkg"),
    ("xz", "xz-utils"),
    ("setpriv", "util-linux"),
    ("qemu-system-x86_64", "qemu-system-x86"),
];

/// A kernel cannot be had or booted, or what it was to run failed.
#[derive(Debug, Error)]
pub enum Unbootable {
    /// A program cannot be started.
    #[error("cannot start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("`{program}` failed: {status}")]
    Failed {
        /// The program.
        program: String,
        /// How.
        status: ExitStatus,
    },
    /// A file cannot be read or written.
    #[error("cannot {action}")]
    File {
        /// What was to be done.
        action: String,
        /// Why it could not.
        #[source]
        source: io::Error,
    },
    /// No suite of Debian is configured here.
    #[error("this machine has no sources of Debian to derive those of `{suite}` from")]
    NoSources {
        /// The suite that has the kernel.
        suite: String,
    },
    /// There is no such kernel.
    #[error("`{suite}` has no Linux {release}, or not all of it; those that are kept are {known}")]
    NoRelease {
        /// The numbers of the release.
        release: String,
        /// Where it was looked for.
        suite: String,
        /// The releases that are known.
        known: String,
    },
    /// What was unpacked is no kernel.
    #[error("the packages of the kernel have no {what}")]
    Incomplete {
        /// What is missing.
        what: &'static str,
    },
    /// The guest ended without a word.
    #[error("the guest ended without an answer")]
    NoAnswer,
    /// What the guest ran failed.
    #[error("the command failed in the guest with {code}")]
    Command {
        /// How, as the shell tells it.
        code: String,
    },
}

impl Unbootable {
    pub(crate) fn file(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::File { action, source }
    }

    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Start { program, source } if source.kind() == io::ErrorKind::NotFound => {
                let package =
                    PACKAGES.iter().find(|(known, _)| known == program).map(|(_, package)| *package);
                package.map(|package| format!("install `{package}`"))
            }
            Self::NoSources { .. } => {
                Some("kernels come from Debian, by the sources of apt on a Debian machine".to_owned())
            }
            Self::NoAnswer => {
                Some("it may have run out of memory or time; what it printed tells more".to_owned())
            }
            Self::Start { .. }
            | Self::Failed { .. }
            | Self::File { .. }
            | Self::NoRelease { .. }
            | Self::Incomplete { .. }
            | Self::Command { .. } => None,
        }
    }
}
