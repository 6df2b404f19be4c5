// SPDX-License-Identifier: Apache-2.0
//! Why a program cannot be tested as somebody asks, and what to do about it.

use std::error::Error as _;
use std::io;

use kernel::{NotChanged, Refused};
use maps::{Faults, MapKind};
use thiserror::Error;
use wire::{Fault, Problem, TestWish};

/// A program cannot be tested as somebody asks.
#[derive(Debug, Error)]
pub(crate) enum BadTest {
    /// It asks for too much.
    #[error("{found} {what} are too many for one test: it has at most {most}")]
    TooMuch { what: &'static str, found: u64, most: u64 },
    /// What came of it is too long to tell.
    #[error("more than {} bytes of packets and maps would be told", TestWish::MOST_TOLD_BYTES)]
    TooMuchToTell,
    /// It takes too long.
    #[error("the test takes more than {seconds} s")]
    TooLong { seconds: u64 },
    /// A packet is met by no run.
    #[error("the program never meets packet {}", number + 1)]
    NoRuns { number: usize },
    /// A packet is none.
    #[error("packet {} is not base64", number + 1)]
    NoPacket { number: usize },
    /// A packet is too short or too long.
    #[error("packet {} has {bytes} bytes, and a kernel takes {} to {}", number + 1, TestWish::LEAST_BYTES, TestWish::MOST_BYTES)]
    PacketSize { number: usize, bytes: usize },
    /// The kernel does not take a packet.
    #[error("the kernel does not take packet {}", number + 1)]
    NotTaken {
        number: usize,
        #[source]
        source: io::Error,
    },
    /// Something is said of a packet that no such packet has.
    #[error("packet {} cannot have `{field}`", number + 1)]
    Stray { number: usize, field: &'static str },
    /// An interface has no such name.
    #[error("packet {} comes on no interface: {problem}", number + 1)]
    Interface { number: usize, problem: String },
    /// There is no such map.
    #[error("the program has no map `{map}`; it has {}", list(.known))]
    NoMap { map: String, place: String, known: Vec<String> },
    /// A map is not read or written by entries.
    #[error("the map `{map}` is of the kind `{kind}`, which has no entries of keys and values")]
    NoEntries { map: String, kind: MapKind, place: String },
    /// Global variables are not written.
    #[error("`{map}` is a section of global variables, which begin as the program has them")]
    Variables { map: String, place: String },
    /// A key or a value is none.
    #[error("the map `{map}` does not hold that: {faults}")]
    Value { map: String, faults: Faults },
    /// A map has more entries than are told.
    #[error("the map `{map}` has more than {} entries", TestWish::MOST_ENTRIES)]
    TooManyEntries { map: String },
    /// The kernel refuses an entry.
    #[error("the map `{map}` is not written")]
    Unwritten {
        map: String,
        #[source]
        source: NotChanged,
    },
    /// The kernel cannot be asked.
    #[error("the map `{map}` cannot be read")]
    Unread {
        map: String,
        #[source]
        source: io::Error,
    },
    /// The program cannot be loaded.
    #[error(transparent)]
    Refused(Refused),
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl BadTest {
    /// As it is told over the API.
    pub(crate) fn problem(&self) -> Problem {
        let mut causes = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        Problem {
            kind: "urn:l3af:problem:test".to_owned(),
            title: self.to_string(),
            status: if matches!(self, Self::Unread { .. }) { 500 } else { 422 },
            detail: self.last_words().unwrap_or_else(|| causes.join(": ")),
            hint: self.hint().map(str::to_owned),
            errors: self.faults(),
            rules: Vec::new(),
            log: None,
        }
    }

    /// The last lines of what the verifier says of a program: its author sees there which instruction it is about.
    fn last_words(&self) -> Option<String> {
        const LINES: usize = 12;
        let Self::Refused(refused) = self else { return None };
        let lines: Vec<&str> = refused.log()?.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
        (!last.is_empty()).then(|| format!("\n  {}", last.join("\n  ")))
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TooMuch { .. } => Some("make several tests of it"),
            Self::TooMuchToTell => Some("read fewer entries of maps, or make several tests of it"),
            Self::TooLong { .. } => Some("let it `repeat` less, or read fewer entries of maps"),
            Self::NoRuns { .. } => Some("`repeat` is at least 1"),
            Self::NoPacket { .. } => Some("base64 is that of RFC 4648, section 4"),
            Self::PacketSize { .. } => Some("the bytes of the Ethernet header count"),
            Self::NotTaken { .. } => {
                Some("is the interface there, with that queue? for XDP that takes Linux 5.15")
            }
            Self::Stray { .. } => {
                Some("XDP has `interface` and with it `queue`; TC has `interface`, `mark` and `priority`")
            }
            Self::Interface { .. } => {
                Some("it must be one of the daemon's own network namespace, such as `lo`")
            }
            Self::NoMap { .. } | Self::NoEntries { .. } => {
                Some("`l3af inspect` tells what maps a package has")
            }
            Self::Variables { .. } => Some("constants are given under `config`"),
            Self::Value { .. } => Some("docs/map-interface.md says how keys and values are written"),
            Self::TooManyEntries { .. } => Some("name the keys"),
            Self::Unwritten { .. } => Some("is it full?"),
            Self::Unread { .. } => Some("the log of `l3afd` may tell more"),
            Self::Refused(_) => None,
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let fault = |pointer: &str, value: &str, detail: String| Fault {
            pointer: pointer.to_owned(),
            value: (!value.is_empty()).then(|| value.to_owned()),
            detail,
            line: None,
        };
        match self {
            Self::NoMap { map, place, .. }
            | Self::NoEntries { map, place, .. }
            | Self::Variables { map, place } => vec![fault(place, map, self.to_string())],
            Self::Value { faults, .. } => {
                let told = faults.all().iter();
                told.map(|wrong| fault(&wrong.pointer, &wrong.given, format!("expected {}", wrong.expected)))
                    .collect()
            }
            Self::TooMuch { .. }
            | Self::TooMuchToTell
            | Self::TooLong { .. }
            | Self::NoRuns { .. }
            | Self::NoPacket { .. }
            | Self::PacketSize { .. }
            | Self::NotTaken { .. }
            | Self::Stray { .. }
            | Self::Interface { .. }
            | Self::TooManyEntries { .. }
            | Self::Unwritten { .. }
            | Self::Unread { .. }
            | Self::Refused(_) => Vec::new(),
        }
    }
}
