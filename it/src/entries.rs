// SPDX-License-Identifier: Apache-2.0
//! Entries of maps of programs that were loaded to be tried, by the names and words of their packages.

use anyhow::{Context, Result};
use kernel::{Change, Stand};
use maps::{Endian, Interface};

/// The byte order of objects of this machine.
const HERE: Endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };

/// Writes entries of a map, each the JSON `{"key": .., "value": ..}` as documents have it.
///
/// # Errors
/// When there is no such map, an entry is none of it, or the kernel refuses it.
pub fn fill(
    stand: &Stand,
    interface: &Interface,
    map: &str,
    entries: impl IntoIterator<Item = String>,
) -> Result<()> {
    let none = || format!("there is no map `{map}`");
    let (is, open) = (interface.map(map).with_context(none)?, stand.map(map)?.with_context(none)?);
    let changes = entries.into_iter().map(|entry| {
        let entry = is.encode(&serde_json::from_str(&entry)?, HERE)?;
        Ok(Change::Set { key: entry.key, values: vec![entry.value] })
    });
    Ok(open.change(&changes.collect::<Result<Vec<_>>>()?)?)
}
