// SPDX-License-Identifier: Apache-2.0
//! For which packets the verdict of a member counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// For which packets the verdict of a member counts. Its text is `enforce`, `shadow`, or `canary` and a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Enforcement {
    /// For all.
    #[default]
    Enforce,
    /// For none: it is counted, and the chain goes on.
    Shadow,
    /// For the packets of a share of flows; for the others as in shadow.
    Canary(Share),
}

/// A share of flows, more than nothing and less than all, in steps of a hundredth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Share(u16);

/// A text is no share.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a share; it is between 0.01 % and 99.99 %, as in `5%`")]
pub struct BadShare {
    /// What was given.
    pub given: String,
}

/// A text says nothing of an enforcement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` is not an enforcement; it is `enforce`, `shadow`, or `canary` and a share of flows between \
     0.01 % and 99.99 %, as in `canary 5%`"
)]
pub struct BadEnforcement {
    /// What was given.
    pub given: String,
}

impl Share {
    /// All flows, in the unit of [`Share::in_ten_thousand`].
    pub const WHOLE: u16 = 10_000;

    /// A share in ten thousand flows; none when it is nothing or all.
    pub fn of_ten_thousand(flows: u16) -> Option<Self> {
        (1..Self::WHOLE).contains(&flows).then_some(Self(flows))
    }

    /// How many of ten thousand flows it takes, on average.
    pub fn in_ten_thousand(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        match hundredths {
            0 => write!(f, "{whole}%"),
            _ if hundredths % 10 == 0 => write!(f, "{whole}.{}%", hundredths / 10),
            _ => write!(f, "{whole}.{hundredths:02}%"),
        }
    }
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enforce => f.write_str("enforce"),
            Self::Shadow => f.write_str("shadow"),
            Self::Canary(share) => write!(f, "canary {share}"),
        }
    }
}

impl FromStr for Share {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, BadShare> {
        share(text).ok_or_else(|| BadShare { given: text.to_owned() })
    }
}

spelled!(Share, BadShare);
spelled!(Enforcement, BadEnforcement);

impl FromStr for Enforcement {
    type Err = BadEnforcement;

    fn from_str(text: &str) -> Result<Self, BadEnforcement> {
        let read = match text {
            "enforce" => Some(Self::Enforce),
            "shadow" => Some(Self::Shadow),
            _ => text.strip_prefix("canary ").and_then(share).map(Self::Canary),
        };
        read.ok_or_else(|| BadEnforcement { given: text.to_owned() })
    }
}

/// Reads a number with at most two decimals and a percent sign.
fn share(text: &str) -> Option<Share> {
    let number = text.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) {
        return None;
    }
    let hundredths = format!("{decimals:0<2}").parse::<u16>().ok()?;
    Share::of_ten_thousand(whole.parse::<u16>().ok()? * 100 + hundredths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enforcement_reads_as_it_prints() {
        let texts = ["enforce", "shadow", "canary 5%", "canary 0.01%", "canary 99.99%", "canary 12.5%"];
        for text in texts {
            assert_eq!(text.parse::<Enforcement>().unwrap().to_string(), text);
        }
        let all = (1..Share::WHOLE).map(|flows| Enforcement::Canary(Share::of_ten_thousand(flows).unwrap()));
        all.for_each(|canary| assert_eq!(canary.to_string().parse(), Ok(canary)));
    }

    #[test]
    fn a_share_of_nothing_or_all_is_none() {
        for text in ["canary 0%", "canary 100%", "canary 5", "canary", "canary -1%", "canary 1.234%", "half"]
        {
            assert!(text.parse::<Enforcement>().is_err(), "{text}");
        }
    }
}
