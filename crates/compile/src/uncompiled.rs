// SPDX-License-Identifier: Apache-2.0
//! Why nothing comes of the sources of a package, and what to do about it.

use std::io;
use std::path::PathBuf;

use package::Digest;
use thiserror::Error;

/// Sources do not become objects.
#[derive(Debug, Error)]
pub enum Uncompiled {
    /// There is no compiler.
    #[error("there is no clang {}", wanted.map_or("here".to_owned(), |major| major.to_string()))]
    NoClang {
        /// The major version that the manifest pins.
        wanted: Option<u32>,
    },
    /// The compiler is another one.
    #[error("`package.toml` pins clang {wanted}, and `{compiler}` is clang {found}")]
    OtherClang {
        /// The major version that the manifest pins.
        wanted: u32,
        /// The program.
        compiler: String,
        /// Its major version.
        found: u32,
    },
    /// What takes debug information away is not there.
    #[error("there is no `llvm-strip`")]
    NoStrip {
        /// The major version of the compiler.
        major: u32,
    },
    /// There is no such package.
    #[error("there is no folder `{}`", folder.display())]
    NoFolder {
        /// Where it should be.
        folder: PathBuf,
        /// Why it cannot be looked into.
        source: io::Error,
    },
    /// A file of the package cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An object was given that the manifest does not name.
    #[error("`package.toml` names no object `{name}`")]
    Stray {
        /// The name of its file.
        name: String,
    },
    /// A tool cannot be run.
    #[error("{what}")]
    NotRun {
        /// What it was to do.
        what: String,
        /// The major version of LLVM whose package has it, where it is not the compiler itself.
        llvm: Option<u32>,
        /// Why not.
        source: io::Error,
    },
    /// A tool refused.
    #[error("{what}:\n{complaints}")]
    Complaint {
        /// What it was to do.
        what: String,
        /// The major version of LLVM whose package has it, where it is not the compiler itself.
        llvm: Option<u32>,
        /// What it says.
        complaints: String,
    },
    /// A header is not the one that the manifest pins.
    #[error("the header `{pin}` is not the one that `package.toml` pins")]
    OtherHeader {
        /// Its path from the folder of the package.
        pin: String,
        /// The digest that is pinned.
        wanted: Digest,
        /// That of the file.
        found: Digest,
    },
    /// The compiler wrote counters in another way than it is known to.
    #[error("the counters of `{of}` cannot be found in what clang made of it")]
    NoCounters {
        /// The source.
        of: String,
    },
    /// There is no room to work in.
    #[error("cannot write or read what the compiler works on")]
    Scratch(#[from] io::Error),
}

impl Uncompiled {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        /// The version that these sources are known to build with.
        const USUAL: u32 = 19;
        let install = |major: u32| format!("sudo apt-get install clang-{major} llvm-{major}");
        match self {
            Self::NoClang { wanted } => Some(install(wanted.unwrap_or(USUAL))),
            Self::OtherClang { wanted, .. } => Some(install(*wanted)),
            Self::NoStrip { major } => Some(format!("sudo apt-get install llvm-{major}")),
            Self::NotRun { llvm: Some(major), .. } | Self::Complaint { llvm: Some(major), .. } => {
                Some(format!("it comes with `llvm-{major}`: sudo apt-get install llvm-{major}"))
            }
            Self::Unread { .. } => {
                Some("`package.toml` names it; `--object` gives an object that is elsewhere".to_owned())
            }
            Self::Stray { .. } => {
                Some("an object takes the place of the one with the same file name".to_owned())
            }
            Self::OtherHeader { wanted, found, .. } => {
                Some(format!("it pins {wanted}; the file has {found}"))
            }
            Self::NoFolder { .. }
            | Self::NotRun { llvm: None, .. }
            | Self::Complaint { llvm: None, .. }
            | Self::NoCounters { .. }
            | Self::Scratch(_) => None,
        }
    }
}
