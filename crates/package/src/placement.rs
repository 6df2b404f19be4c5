// SPDX-License-Identifier: Apache-2.0
//! Words for how a chain is placed on its interface.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{BadName, ProgramName};

/// Where in the kernel XDP programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver, before a packet becomes a socket buffer.
    #[doc(alias = "XDP_FLAGS_DRV_MODE")]
    Native,
    /// In the network stack, with any driver. Slower.
    #[doc(alias = "XDP_FLAGS_SKB_MODE")]
    Generic,
    /// On the card.
    #[doc(alias = "XDP_FLAGS_HW_MODE")]
    Offloaded,
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offloaded => "offloaded",
        })
    }
}

/// Where a TC chain stands among the programs of others on its hook (TCX, Linux 6.6).
///
/// As text it is `first`, `last`, `before NAME` or `after NAME`, by the name of a program in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Position {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
    /// Anywhere before a program, if it is there.
    Before(ProgramName),
    /// Anywhere behind a program, if it is there.
    After(ProgramName),
}

impl FromStr for Position {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        const RULE: &str = "it must be `first`, `last`, `before NAME` or `after NAME`";
        match text.split_once(' ') {
            None if text == "first" => Ok(Self::First),
            None if text == "last" => Ok(Self::Last),
            Some(("before", name)) => Ok(Self::Before(name.parse()?)),
            Some(("after", name)) => Ok(Self::After(name.parse()?)),
            _ => Err(BadName { kind: "position", given: text.to_owned(), rule: RULE }),
        }
    }
}

spelled!(Position, BadName);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first"),
            Self::Last => f.write_str("last"),
            Self::Before(name) => write!(f, "before {name}"),
            Self::After(name) => write!(f, "after {name}"),
        }
    }
}

/// What becomes of an XDP program of somebody else that has the packets of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Occupied {
    /// The chain is refused.
    #[default]
    Refuse,
    /// It becomes the last member of the chain.
    Keep,
    /// It gets no packets while there is a chain, and has them again afterwards.
    Replace,
}

/// What becomes of a hook that somebody else changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// It is made again what it should be.
    #[default]
    Repair,
    /// It is told, and left as it is until the next document.
    Report,
    /// It is told, and left to whoever changed it: the chain is taken out until the next document.
    Yield,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_as_it_prints() {
        for text in ["first", "last", "before cil_from_netdev", "after x"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        let error = "third".parse::<Position>().unwrap_err();
        insta::assert_snapshot!(error, @"`third` is not a position: it must be `first`, `last`, `before NAME` or `after NAME`");
    }
}
