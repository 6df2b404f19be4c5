// SPDX-License-Identifier: Apache-2.0
//! What the guest tells on its console: lines that begin with `@`.

use anyhow::{Context, Result, bail};

/// One thing that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    /// A generation is kept, with the whole document of a mark.
    Kept { generation: u64, mark: u64 },
    /// The generation that is in force after the boot.
    InForce { generation: u64 },
    /// The document whose chain is in the kernel after the boot.
    Runs { mark: u64 },
    /// The artifact of a mark is there as a whole after the boot.
    Whole { mark: u64 },
    /// All that was found after the boot was told.
    Complete,
    /// A document is about to be applied, or an artifact to be pushed.
    Begun { mark: u64 },
    /// The document was applied: the daemon said so.
    Acknowledged { generation: u64, mark: u64 },
    /// The artifact was pushed: the hub said so.
    Pushed { mark: u64 },
}

impl Fact {
    /// Reads a line of the console; none where it is something else.
    pub(super) fn read(line: &str) -> Result<Option<Self>> {
        let Some(told) = line.strip_prefix("@ ") else { return Ok(None) };
        let mut words = told.split(' ');
        let what = words.next().unwrap_or_default();
        let numbers = words.map(str::parse).collect::<Result<Vec<u64>, _>>();
        let numbers = numbers.with_context(|| format!("the guest tells `{line}`"))?;
        Ok(Some(match (what, numbers.as_slice()) {
            ("kept", &[generation, mark]) => Self::Kept { generation, mark },
            ("in-force", &[generation]) => Self::InForce { generation },
            ("runs", &[mark]) => Self::Runs { mark },
            ("complete", []) => Self::Complete,
            ("whole", &[mark]) => Self::Whole { mark },
            ("begun", &[mark]) => Self::Begun { mark },
            ("pushed", &[mark]) => Self::Pushed { mark },
            ("acknowledged", &[generation, mark]) => Self::Acknowledged { generation, mark },
            _ => bail!("the guest tells `{line}`, and nobody knows what that is"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::Fact;

    #[test]
    fn other_lines_tell_nothing_and_half_a_line_is_an_error() {
        assert_eq!(Fact::read("Booting").unwrap(), None);
        assert_eq!(Fact::read("@ kept 3 2001").unwrap(), Some(Fact::Kept { generation: 3, mark: 2001 }));
        assert!(Fact::read("@ kept 3").is_err() && Fact::read("@ runs 2x").is_err());
    }
}
