// SPDX-License-Identifier: Apache-2.0
//! x
use anyhow::Result;
pub(crate) fn run(_options: &super::Options) -> Result<()> {
    Ok(())
}
