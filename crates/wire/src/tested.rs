// SPDX-License-Identifier: Apache-2.0
//! Programs of packages on made-up packets: what is asked for, and what came of it. Nothing is attached, and nothing stays.

use std::collections::BTreeMap;

use base64::Engine as _;
use package::{Config, HookPoint, ProgramName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::MapEntry;

/// A program, and the packets that it is to meet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestWish {
    /// Where the package is, as in a document.
    pub package: String,
    /// The hook that the program is for: `xdp`, `tc-ingress` or `tc-egress`.
    #[schema(value_type = String)]
    pub hook: HookPoint,
    /// The function, where the package has several for the hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub program: Option<ProgramName>,
    /// Values for parameters, and what maps hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub config: Config,
    /// Where the program runs.
    #[serde(default)]
    pub place: TestPlace,
    /// Entries of maps before the first packet, by the name of the map: objects of `key` and `value`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Vec<crate::NewEntry>>)]
    pub maps: BTreeMap<String, Vec<Value>>,
    /// The packets, in their order; maps keep what is in them from one to the next.
    pub steps: Vec<TestStep>,
}

/// Where a program is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestPlace {
    /// By itself, as its author wrote it.
    #[default]
    Alone,
    /// As a member of a chain, with one in front of it and one behind that let every packet go on.
    Spliced,
}

/// A packet for a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestStep {
    /// The packet in base64 (RFC 4648, section 4): 14 to 3520 bytes.
    pub packet: String,
    /// How often the program meets it, each time as it is here; at least 1.
    #[serde(default = "once")]
    pub repeat: u32,
    /// What the kernel says of the packet.
    #[serde(default)]
    pub context: TestContext,
    /// What is read of maps then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<TestRead>,
}

/// What the kernel says of a packet besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestContext {
    /// The interface that it came on, by name (Linux 5.15 for XDP); that of nobody where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The queue of that interface, for XDP.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub queue: u32,
    /// Its mark, for TC.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mark: u32,
    /// Its priority, for TC.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: u32,
}

/// Entries of a map that are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRead {
    /// The map, or a section of global variables such as `.bss`.
    pub map: String,
    /// The keys; all entries where it is left out, up to 10000 of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub keys: Option<Vec<Value>>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tested {
    /// The verdicts after which a chain goes on behind the program.
    pub proceed: Vec<String>,
    /// What came of each step.
    pub steps: Vec<TestedStep>,
}

/// What came of a packet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestedStep {
    /// Its runs; those that ended alike one after the other are one.
    pub runs: Vec<TestedRun>,
    /// The time of one run in nanoseconds, on average.
    pub nanoseconds: u64,
    /// What was read of maps, in the order of what was asked for.
    pub read: Vec<TestedMap>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestedRun {
    /// How many ended so.
    pub count: u32,
    /// The verdict, a number where it has no name; none where the packet went on to the member behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// The packet as it was then, in base64.
    pub packet: String,
    /// Its mark then, for TC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    /// Its priority then, for TC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
}

/// What was read of a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestedMap {
    /// The map.
    pub map: String,
    /// Its entries; a key of which there is none is not among them.
    pub entries: Vec<MapEntry>,
}

impl TestWish {
    /// How many packets one test has at most.
    pub const MOST_STEPS: usize = 1000;
    /// How often programs run in one test at most.
    pub const MOST_RUNS: u64 = 100_000;
    /// How many entries are written before, and how many are read of one map, at most.
    pub const MOST_ENTRIES: usize = 10_000;
    /// How many maps are read in one test at most, and keys that are named.
    pub const MOST_READS: usize = 100_000;
    /// How many bytes of packets and of keys and values are told of one test at most.
    pub const MOST_TOLD_BYTES: usize = 16 * 1024 * 1024;
    /// The shortest packet that a kernel runs a program on: a header of Ethernet.
    pub const LEAST_BYTES: usize = 14;
    /// The longest: a page without what the kernel puts in front and behind (`bpf_prog_test_run_xdp` of `net/bpf/test_run.c`).
    pub const MOST_BYTES: usize = 3520;
}

impl TestStep {
    /// The bytes of the packet; none where it is no base64.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        base64::engine::general_purpose::STANDARD.decode(&self.packet).ok()
    }
}

impl TestedRun {
    /// The bytes of the packet; none where it is no base64.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        base64::engine::general_purpose::STANDARD.decode(&self.packet).ok()
    }
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references over")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
