// SPDX-License-Identifier: Apache-2.0
//! Platforms, in the words of OCI: those of `GOOS` and `GOARCH`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

const SYSTEMS: [&str; 2] = ["linux", "windows"];
const ARCHITECTURES: [&str; 10] =
    ["386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x", "ppc64"];

/// An operating system and an architecture.
///
/// Linux sorts before Windows: a reader that looks at the architecture alone then finds the Linux object first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Spelled")]
pub struct Platform {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelled {
    os: String,
    architecture: String,
}

/// There is no such platform.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{os}/{architecture}` is not a platform: the system must be one of {}, the architecture one of {}",
    SYSTEMS.join(", "), ARCHITECTURES.join(", ")
)]
pub struct BadPlatform {
    /// The system that was given.
    pub os: String,
    /// The architecture that was given.
    pub architecture: String,
}

impl Platform {
    /// A platform by its two names.
    ///
    /// # Errors
    /// When one of the names is unknown.
    pub fn new(os: &str, architecture: &str) -> Result<Self, BadPlatform> {
        let (os, architecture) = (os.to_owned(), architecture.to_owned());
        if SYSTEMS.contains(&os.as_str()) && ARCHITECTURES.contains(&architecture.as_str()) {
            Ok(Self { os, architecture })
        } else {
            Err(BadPlatform { os, architecture })
        }
    }

    /// The platform that this code was compiled for; `None` where packages know no such platform.
    pub fn this_machine() -> Option<Self> {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "loongarch64" => "loong64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "x86" => "386",
            same => same,
        };
        Self::new(std::env::consts::OS, architecture).ok()
    }

    /// The operating system.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The architecture.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }
}

impl TryFrom<Spelled> for Platform {
    type Error = BadPlatform;

    fn try_from(spelled: Spelled) -> Result<Self, BadPlatform> {
        Self::new(&spelled.os, &spelled.architecture)
    }
}

impl FromStr for Platform {
    type Err = BadPlatform;

    fn from_str(text: &str) -> Result<Self, BadPlatform> {
        let (os, architecture) = text.split_once('/').unwrap_or((text, ""));
        Self::new(os, architecture)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}
