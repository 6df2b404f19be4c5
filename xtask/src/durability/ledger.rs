// SPDX-License-Identifier: Apache-2.0
//! Whoever remembers what a guest acknowledged.

use anyhow::Result;

use super::fact::Fact;

/// Remembers what a guest acknowledged, where no power goes off, and compares it with what there is after a boot.
pub(super) trait Ledger {
    /// Remembers what a guest that is at work tells.
    fn hear(&mut self, fact: &Fact) -> Result<()>;

    /// Whether something was being done when the guest was heard last.
    fn in_flight(&self) -> bool;

    /// How much was acknowledged.
    fn acknowledged(&self) -> usize;

    /// Compares it with what a guest tells after a boot, and says what that is.
    fn judge(&mut self, told: &[Fact]) -> Result<String>;

    /// What came of all boots.
    fn sum_up(&self) -> String;
}
