// SPDX-License-Identifier: Apache-2.0
//! What the node's API answers. `docs/node.md` lists the calls.

use std::collections::BTreeMap;
use std::fmt;

use package::{Config, HookPoint, Interface, Mechanism, MemberName, XdpMode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Alarm, Document, Event, Fault, Ruling, TrustMode, UserProgramView};

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The version of the daemon.
    pub version: String,
    /// Whether packages are verified. It comes from the daemon's own policy file, and from nowhere else.
    pub mode: TrustMode,
    /// The number of the desired state in force; 0 when there never was one.
    pub generation: u64,
    /// That it is on trial, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<Unconfirmed>,
    /// The file that says what is desired, where one does; then nobody else may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Whether that state is reached.
    pub state: State,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// The hooks whose interface does not exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
    /// What about trust somebody should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// When somebody last looked for what is revoked (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<String>,
    /// The programs that packages run in user space.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_programs: Vec<UserProgramView>,
    /// The hooks that somebody else changed and that are left so, as their chains say, until the next document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// How often hooks were repaired that somebody else had changed, since the daemon started.
    #[serde(default)]
    pub drifts: u64,
    /// The last time that something was repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_drift: Option<Event>,
    /// What about access to the API somebody should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// The running kernel.
    pub kernel: String,
    /// The folder of pins.
    pub pins: String,
}

/// Whether the desired state is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// What is desired runs.
    Converged,
    /// What is desired runs, but for interfaces that do not exist.
    Waiting,
    /// What is desired cannot be reached.
    Refused,
    /// Somebody took all programs off by hand; nothing is applied until the next document.
    Detached,
    /// The daemon was started to apply nothing and repair nothing.
    Safe,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Converged => "converged",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Detached => "detached",
            Self::Safe => "safe",
        })
    }
}

/// A desired state with its number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Generation {
    /// Counts up from 1; 0 when there never was one.
    pub number: u64,
    /// What is desired.
    pub document: Document,
    /// The digest that each package reference of it stood for when it was accepted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, String>,
}

/// A desired state that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenerationSummary {
    /// Its number.
    pub number: u64,
    /// The one that was in force before; 0 when there was none.
    pub previous: u64,
    /// When it was accepted (RFC 3339).
    pub accepted: String,
    /// Who asked for it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether it is in force.
    pub in_force: bool,
    /// The generation that it brought back, where it was a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u64>,
    /// Why the one before returned, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<String>,
    /// How many chains it has.
    pub chains: usize,
    /// How many members they have.
    pub members: usize,
    /// How many probes it has.
    pub probes: usize,
}

/// A desired state that somebody must confirm in time, or the one before returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unconfirmed {
    /// Its number.
    pub generation: u64,
    /// How long there is to confirm it.
    pub seconds_left: u64,
    /// The generation that returns without that.
    pub back_to: u64,
}

/// What to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The number of a generation that is kept [default: the one before].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// A desired state was accepted and reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// Its number.
    pub generation: u64,
    /// What was done, in order.
    pub steps: Vec<String>,
    /// What should be known although nothing is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Planned {
    /// The steps, in order; none when there is nothing to do.
    pub steps: Vec<PlannedStep>,
    /// How each chain would be made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<PlannedChain>,
    /// What would wait for something that does not exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
}

/// A step, and why it is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedStep {
    /// What would be done.
    pub step: String,
    /// Why.
    pub reason: String,
}

/// How a chain would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedChain {
    /// Its hook, `<interface>/<hook>`.
    pub hook: String,
    /// How its programs come after each other.
    #[schema(value_type = String)]
    pub mechanism: Mechanism,
    /// Why that way.
    pub reason: String,
}

impl fmt::Display for PlannedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.step, self.reason)
    }
}

impl fmt::Display for PlannedChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.hook, self.mechanism, self.reason)
    }
}

/// A chain as it is in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChainView {
    /// The network interface, with its network namespace where that is not the daemon's.
    #[schema(value_type = String)]
    pub interface: Interface,
    /// Where on it.
    #[schema(value_type = String)]
    pub hook: HookPoint,
    /// Whether packets enter the chain.
    pub attached: bool,
    /// By what mechanism its members follow each other: `splice`, `dispatcher`, or `alone` for one program as it is.
    #[serde(default)]
    #[schema(value_type = String)]
    pub mechanism: Mechanism,
    /// Why it is that one, as the end of a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In which mode an XDP chain runs: `native`, `generic` or `offloaded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mode: Option<XdpMode>,
    /// The programs of others that packets meet at a TC hook before the chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Those that they meet behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<String>,
    /// What goes on to the XDP program of somebody else in which the chain ends; none where there is no such program, or it
    /// is put aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incumbent: Option<Count>,
    /// The members in the order in which packets meet them.
    pub members: Vec<MemberView>,
}

/// A member of a chain as it is in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: MemberName,
    /// The incarnation that runs.
    pub instance: String,
    /// The number by which the kernel knows it (`bpftool prog show id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_id: Option<u32>,
    /// The publisher and the name of its package.
    pub package: String,
    /// The version of its package.
    pub version: String,
    /// The function that runs.
    pub program: String,
    /// The digest of the object that was loaded.
    pub object_digest: String,
    /// The digest of the instructions that run, as the kernel computes it: `sha1:` before Linux 6.18, else `sha256:`. The
    /// tag that tools show is its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_digest: Option<String>,
    /// The same of what its author wrote, where the splice changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untouched_digest: Option<String>,
    /// Who can use its read-only data; none where it has no such data, or that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_data: Option<ReadOnlyDataView>,
    /// The verdicts after which the chain goes on.
    pub proceed: Vec<String>,
    /// For which packets its verdict counts: `enforce`, `shadow`, or `canary` and a share of flows.
    pub enforcement: String,
    /// The parameters that were set.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub config: Config,
    /// The maps that hold what the document says: the digest of that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configured_maps: BTreeMap<String, String>,
    /// Packets that reached it, since it joined the chain.
    pub seen: Count,
    /// Packets that left the chain at it, by verdict; `other` counts numbers that are no verdict.
    pub left: BTreeMap<String, Count>,
    /// Packets that went on to the next member.
    pub passed: Count,
    /// Verdicts that were counted and not followed, in shadow and canary.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shadowed: BTreeMap<String, Count>,
    /// Its runs while it was profiled.
    #[serde(default)]
    pub run: RunTime,
}

/// Who can use the read-only data of a program that is loaded: its constants, and what it knows of the kernel's configuration.
/// Nobody can change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadOnlyDataView {
    /// Whether the kernel lets no other program use it.
    pub exclusive: bool,
    /// Why it lets others, as the end of a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How long a member ran while it was profiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct RunTime {
    /// How often it ran.
    pub runs: u64,
    /// All runs together, in nanoseconds.
    pub nanoseconds: u64,
}

/// A wish to measure the run time of all members for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// For how many seconds, from 1 to 3600. Then the members run untimed again, whoever asked.
    pub seconds: u32,
}

/// Packets and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Count {
    /// How many packets.
    pub packets: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Why a request was not carried out (problem details, RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which kind of problem, as a URN.
    #[serde(rename = "type")]
    pub kind: String,
    /// What was refused.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// All that is wrong with the document that was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// The rules of trust that do not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Ruling>,
    /// The file with the whole log of the kernel's verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}
