// SPDX-License-Identifier: Apache-2.0
//! Versions of the Linux kernel, as far as they decide what it can do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A release of Linux, for instance 6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KernelVersion {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

/// A text is not a kernel version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a kernel version such as `6.1`")]
pub struct BadKernelVersion {
    /// What was given.
    pub given: String,
}

impl FromStr for KernelVersion {
    type Err = BadKernelVersion;

    /// Reads `6.1` as well as what `uname -r` prints, such as `6.1.0-56-cloud-amd64`.
    fn from_str(text: &str) -> Result<Self, BadKernelVersion> {
        let bad = || BadKernelVersion { given: text.to_owned() };
        let (major, rest) = text.split_once('.').ok_or_else(bad)?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let number = |digits: &str| digits.parse().ok().ok_or_else(bad);
        Ok(Self { major: number(major)?, minor: number(&minor)? })
    }
}

spelled!(KernelVersion, BadKernelVersion);

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::KernelVersion;

    #[test]
    fn what_uname_prints_is_read() {
        let parsed = "6.1.0-56-cloud-amd64".parse::<KernelVersion>().unwrap();
        assert_eq!(parsed, KernelVersion { major: 6, minor: 1 });
        assert!("6.10".parse::<KernelVersion>().unwrap() > "6.9".parse().unwrap());
        for text in ["", "6", "six.one", "6.", ".1"] {
            assert!(text.parse::<KernelVersion>().is_err(), "{text}");
        }
    }
}
