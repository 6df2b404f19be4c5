// SPDX-License-Identifier: Apache-2.0
//! The arguments of the commands about generations.

use clap::Args;

/// How a change is taken back by itself.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Trial {
    /// Return to the generation before after this time, as in `60s` or `5m`, unless `l3af confirm` keeps this one; also when the
    /// daemon or your connection is gone by then
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) confirm_within: Option<u32>,
}

/// Keep the generation that is on trial
#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// Refuse when another one is on trial than this
    #[arg(value_name = "NUMBER")]
    pub(crate) generation: Option<u64>,
}

/// Bring back an earlier generation, with the packages that it had; nothing is fetched
#[derive(Debug, Args)]
pub(crate) struct RollBack {
    /// Generation [default: the one before]
    #[arg(value_name = "NUMBER")]
    pub(crate) to: Option<u64>,
    /// Refuse when the state in force is another generation than this
    #[arg(long, value_name = "NUMBER")]
    pub(crate) expect_generation: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tell what differs between two generations, or between what is in force and a document
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af diff                  what the last change changed
  l3af diff 7                what changed since generation 7
  l3af diff 7 9
  l3af diff desired.toml     what applying it would change")]
pub(crate) struct Diff {
    /// Generation to compare from, or a document [default: the generation before]
    #[arg(value_name = "NUMBER|DOCUMENT")]
    pub(crate) from: Option<String>,
    /// Generation to compare with [default: the one in force]
    #[arg(value_name = "NUMBER")]
    pub(crate) to: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A time in whole seconds: a number, or one with `s`, `m` or `h` behind.
pub(super) fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a time: it must be like `60s`, `5m` or `1h`");
    let digits = text.trim_end_matches(|end: char| end.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_told_by_their_unit() {
        assert_eq!(["5", "60s", "5m", "1h"].map(seconds), [Ok(5), Ok(60), Ok(300), Ok(3600)]);
        for wrong in ["", "s", "-5s", "5 s", "2d", "1.5h", "99999999h"] {
            assert!(seconds(wrong).unwrap_err().contains("must be like"), "{wrong}");
        }
    }
}
