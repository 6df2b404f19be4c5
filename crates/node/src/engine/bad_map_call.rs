// SPDX-License-Identifier: Apache-2.0
//! Why a map cannot be read or written as somebody asks, and what to do about it.

use kernel::NotChanged;
use maps::{Faults, MapKind};
use package::{InterfaceError, MemberName};
use thiserror::Error;
use wire::Fault;

/// A map cannot be read or written as somebody asks.
#[derive(Debug, Error)]
pub enum BadMapCall {
    /// Members of that name are in several chains.
    #[error("several chains have a member `{member}`: {}", places.join(", "))]
    SeveralPlaces {
        /// The member.
        member: MemberName,
        /// The hooks.
        places: Vec<String>,
    },
    /// There is no such map.
    #[error("`{member}` has no map `{map}`; it has {}", list(.known))]
    NoMap {
        /// The member.
        member: MemberName,
        /// What was asked for.
        map: String,
        /// The maps that it has.
        known: Vec<String>,
    },
    /// It does not run, so that there are none.
    #[error("the map `{map}` of `{member}` is not in the kernel: it does not run")]
    NotLoaded {
        /// The member.
        member: MemberName,
        /// The map.
        map: String,
    },
    /// It is not read or written by entries.
    #[error("the map `{map}` is of the kind `{kind}`, which has no entries of keys and values")]
    NoEntries {
        /// The map.
        map: String,
        /// Its kind.
        kind: MapKind,
    },
    /// It is not for others to write.
    #[error("the map `{map}` is {what}")]
    NotYours {
        /// The map.
        map: String,
        /// Whose it is.
        what: &'static str,
        /// Whether it may be written over nevertheless.
        may_be_forced: bool,
    },
    /// The document says what it holds.
    #[error("the document says what the map `{map}` of `{member}` holds")]
    Configured {
        /// The member.
        member: MemberName,
        /// The map.
        map: String,
    },
    /// Its events are for the user program of its package.
    #[error("the events of the map `{map}` are read by the user program of its package")]
    ReadByUserProgram {
        /// The map.
        map: String,
    },
    /// Somebody else reads its events.
    #[error("somebody else reads the events of the map `{map}`, and each is told once")]
    Taken {
        /// The map.
        map: String,
    },
    /// There is no entry.
    #[error("the map `{map}` has no entry `{key}`")]
    NoEntry {
        /// The map.
        map: String,
        /// The key.
        key: String,
    },
    /// A key or a value is none.
    #[error("the map `{map}` does not hold that: {faults}")]
    BadValue {
        /// The map.
        map: String,
        /// All that is wrong.
        faults: Faults,
    },
    /// A key is not even text that could be one.
    #[error("the map `{map}` has no such key: {reason}")]
    BadKey {
        /// The map.
        map: String,
        /// What is wrong.
        reason: String,
    },
    /// An entry was given twice.
    #[error("entry {number} is about the key of one before it")]
    Twice {
        /// Which, from 0: those to set first, then those to delete.
        number: usize,
    },
    /// The package does not say what is in its maps.
    #[error("what is in the maps of `{member}` is not known")]
    Unknown {
        /// The member.
        member: MemberName,
        /// Why not.
        #[source]
        source: InterfaceError,
    },
    /// The kernel cannot be asked.
    #[error("the map `{map}` cannot be read")]
    Unread {
        /// The map.
        map: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The kernel refuses an entry.
    #[error("the map `{map}` is not changed")]
    NotChanged {
        /// The map.
        map: String,
        /// Why not.
        #[source]
        source: NotChanged,
    },
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl BadMapCall {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::NoMap { .. } | Self::NoEntry { .. } => 404,
            Self::SeveralPlaces { .. }
            | Self::NotLoaded { .. }
            | Self::Configured { .. }
            | Self::ReadByUserProgram { .. }
            | Self::Taken { .. } => 409,
            Self::NoEntries { .. }
            | Self::NotYours { .. }
            | Self::BadValue { .. }
            | Self::BadKey { .. }
            | Self::Twice { .. }
            | Self::Unknown { .. }
            | Self::NotChanged { .. } => 422,
            Self::Unread { .. } => 500,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::SeveralPlaces { places, .. } => {
                places.first().map(|place| format!("name one, for example `--hook {place}`"))
            }
            Self::NoMap { .. } | Self::NoEntries { .. } => {
                Some("`l3af maps` lists the maps, with what they hold".to_owned())
            }
            Self::Configured { member, map } => {
                Some(format!("`l3af change {member} --set '{map}={{\"KEY\": VALUE}}'` says all of it anew"))
            }
            Self::NotLoaded { .. } => Some("`l3af status` says why it does not run".to_owned()),
            Self::NotYours { may_be_forced: true, .. } => {
                Some("`--force` writes over it nevertheless".to_owned())
            }
            Self::NotYours { may_be_forced: false, .. } => Some(
                "`l3af get` reads it; constants of a program are set in the document, under `config`".to_owned(),
            ),
            Self::BadValue { .. } | Self::BadKey { .. } => {
                Some("docs/map-interface.md says how keys and values are written".to_owned())
            }
            Self::ReadByUserProgram { .. } => Some("`l3af logs` shows what that makes of them".to_owned()),
            Self::Taken { .. } => Some("end the other `l3af watch`, or watch another map".to_owned()),
            Self::NoEntry { .. } => Some("without a key `l3af get` prints all entries".to_owned()),
            Self::Twice { .. } => Some("give each key once".to_owned()),
            Self::NotChanged { .. } => Some(
                "nothing is written unless all is: the map may be full, and a key that is deleted must be there".to_owned(),
            ),
            Self::Unknown { .. } => Some("`l3af inspect` tells what a package says of its maps".to_owned()),
            Self::Unread { .. } => Some("the log of `l3afd` and `l3af status` may tell more".to_owned()),
        }
    }

    /// All that is wrong with what was given.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        if let Self::BadValue { faults, .. } = self { crate::faults::told(faults, "") } else { Vec::new() }
    }
}
