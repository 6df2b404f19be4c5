// SPDX-License-Identifier: Apache-2.0
//! What a manifest adds to what an object says: the keys of `[[map]]` that are about the interface.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::types::is_default;
use crate::{Buckets, Number, Unit};

/// What is said of one map.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapNotes {
    /// The name of the map, or of the section of global variables.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What it is for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its keys are, where the object does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_type: Option<String>,
    /// What its values are, where the object does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_type: Option<String>,
    /// What events it hands over, which no object says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What is said of parts of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field: Vec<FieldNotes>,
}

/// What a map is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Somebody sets it, and the program reads it.
    Config,
    /// The program keeps in it what it needs.
    State,
    /// The program counts in it, and somebody reads it.
    Metric,
    /// The program tells in it what happens.
    Event,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Config => "config",
            Self::State => "state",
            Self::Metric => "metric",
            Self::Event => "event",
        })
    }
}

/// What is said of a key, a value, an event, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldNotes {
    /// Which part: `key`, `value` or `event`, then `.name` for a field and `[]` for the elements of an array.
    pub path: String,
    /// The name that people are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What one of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// How it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Which clock a time is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// What is written where nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The least that may be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The most that may be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// Names of its numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NamesFrom>,
    /// Whether numbers without a name may be written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub open: bool,
    /// The label of metrics whose values it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the buckets of a histogram count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Buckets>,
}

/// Where names of numbers come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NamesFrom {
    /// An enumeration of the object.
    Enum(String),
    /// The manifest itself.
    Table(BTreeMap<String, Number>),
}

/// How a value is written, where its type does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A number in hexadecimal, or bytes.
    Hex,
    /// Bytes in hexadecimal, as they lie.
    Bytes,
    /// Text.
    Text,
    /// An address of IPv4.
    Ipv4,
    /// An address of IPv6.
    Ipv6,
    /// An address of either: 16 bytes that may stand for one of IPv4.
    Ip,
    /// An address of Ethernet.
    Mac,
    /// The number of a port, in network order.
    Port,
    /// A number in network order.
    Be,
    /// A prefix: its length as 32 bits, then its bytes.
    Prefix,
    /// Names of bits.
    Flags,
    /// A time between two others.
    Duration,
    /// A point in time.
    Time,
    /// Counts of what falls into buckets.
    Histogram,
}

/// A clock of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Since 1970 began.
    Unix,
    /// Since the machine started, as `bpf_ktime_get_ns` tells it.
    Monotonic,
    /// Since the machine started, with the time that it slept, as `bpf_ktime_get_boot_ns` tells it.
    Boot,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hex => "hex",
            Self::Bytes => "bytes",
            Self::Text => "text",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Ip => "ip",
            Self::Mac => "mac",
            Self::Port => "port",
            Self::Be => "be",
            Self::Prefix => "prefix",
            Self::Flags => "flags",
            Self::Duration => "duration",
            Self::Time => "time",
            Self::Histogram => "histogram",
        })
    }
}
