// SPDX-License-Identifier: Apache-2.0
//! Maps of what runs, over the API: which there are, what is in them, and what is to be.
//!
//! Keys and values are JSON as `docs/map-interface.md` has it.

use ::maps::Map;
use package::MemberName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The maps of what runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Maps {
    /// By member, place and name.
    pub maps: Vec<MapView>,
}

/// A map of a member or a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MapView {
    /// The member or probe.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// The hook of its chain, such as `eth0/xdp`; none for a probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// What it is: an object of `maps` in an interface.
    #[schema(value_type = Object)]
    pub map: Map,
}

/// An entry of a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MapEntry {
    /// Its key; none for the one entry that a section of global variables is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub key: Option<Value>,
    /// Its value: where each processor has its own, their sum, or all of them in an array if that was asked for.
    #[schema(value_type = Object)]
    pub value: Value,
    /// What of the value has no sum (RFC 6901), and is `null`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_sum: Vec<String>,
}

/// A line of the answer that has all entries of a map (`application/x-ndjson`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum MapLine {
    /// An entry.
    Entry(MapEntry),
    /// The last line.
    End(MapEnd),
}

/// How an answer with all entries of a map ends. One that does not end so is cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MapEnd {
    /// How many entries came.
    pub entries: u64,
    /// Why there are no more, where there may be some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What is to become of entries of a map: all of it, or nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MapChange {
    /// Entries as they are to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<NewEntry>)]
    pub set: Vec<Value>,
    /// The keys of entries that are to go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub delete: Vec<Value>,
    /// Whether what the program counts, or keeps for itself, is written over as well.
    #[serde(default)]
    pub force: bool,
}

/// An entry as it is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEntry {
    /// Its key.
    #[schema(value_type = Object)]
    pub key: Value,
    /// Its value; on every processor, where each has its own.
    #[schema(value_type = Object)]
    pub value: Value,
}

/// What is told of a map that is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MapTold {
    /// An entry has this value now.
    Set(MapEntry),
    /// The entry of this key is gone.
    #[schema(value_type = Object)]
    Deleted(Value),
    /// An event that the program hands over; hexadecimal text where nobody says what it is.
    #[schema(value_type = Object)]
    Event(Value),
    /// So many events were lost.
    Lost(u64),
    /// Why nothing more comes.
    Ended(String),
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MapChanged {
    /// How many entries were set.
    pub set: usize,
    /// How many are gone.
    pub deleted: usize,
}

/// Which map of which member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapPlace {
    /// The member or probe.
    pub member: MemberName,
    /// The hook of its chain, where several have a member of that name.
    pub hook: Option<String>,
    /// The map.
    pub map: String,
}
