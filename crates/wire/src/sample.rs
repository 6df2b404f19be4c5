// SPDX-License-Identifier: Apache-2.0
//! Packets where they leave chains: what is asked for, and what is told of each.

use std::fmt;

use base64::Engine as _;
use package::{Flow, FlowFilter, HookPoint, Interfaces, MemberName, Share};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A wish to see packets where they leave the chains of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleWish {
    /// The interface, or those that match.
    #[schema(value_type = String)]
    pub interface: Interfaces,
    /// One hook of it; all that have a chain when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub hook: Option<HookPoint>,
    /// Which flows, as in `tcp 10.0.0.0/8 > *:443`; all packets when it is left out.
    #[serde(default)]
    #[schema(value_type = String)]
    pub filter: FlowFilter,
    /// Which share of those packets, as in `5%`; all when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub share: Option<Share>,
    /// For how many seconds, from 1 to 3600. Then members run as before, whoever asked.
    pub seconds: u32,
}

/// What is told while packets are sampled, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sampled {
    /// From now on packets tell of themselves on these hooks.
    Begun {
        /// The hooks, `<interface>/<hook>`.
        hooks: Vec<String>,
    },
    /// A packet left a chain.
    Packet(Box<PacketView>),
    /// Packets were asked for and are not told: too many came in a short time.
    Missed {
        /// How many, since they were told of the last time.
        packets: u64,
    },
    /// Nothing more comes.
    Ended {
        /// Why.
        reason: String,
    },
}

/// A packet that left a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PacketView {
    /// When (RFC 3339).
    pub at: String,
    /// The hook, `<interface>/<hook>`.
    pub hook: String,
    /// The members that it passed, in order, with what they said of it.
    pub passed: Vec<Said>,
    /// The member that decided, with its verdict; none where it passed the whole chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Said>,
    /// Who sent what to whom, read from the packet as it left; none where it is no IP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub flow: Option<Flow>,
    /// How many bytes it had.
    pub length: u32,
    /// Its first bytes, in base64 (RFC 4648, section 4).
    pub bytes: String,
}

/// What a member said of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Said {
    /// The member.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// Its verdict; a number that is none is told as one.
    pub verdict: String,
    /// Whether that did not count, as the member is in shadow, or in canary and the flow is not in its share.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overruled: bool,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let overruled = if self.overruled { ", not enforced" } else { "" };
        write!(f, "{} ({}{overruled})", self.member, self.verdict)
    }
}

impl PacketView {
    /// Its first bytes; none where they are not what they should be.
    pub fn packet(&self) -> Option<Vec<u8>> {
        base64::engine::general_purpose::STANDARD.decode(&self.bytes).ok()
    }

    /// Who passed it and who decided, in words.
    pub fn explanation(&self) -> String {
        let passed = self.passed.iter();
        let passed =
            passed.map(|said| if said.overruled { said.to_string() } else { said.member.to_string() });
        let passed: Vec<String> = passed.collect();
        let passed = (!passed.is_empty()).then(|| format!("passed: {}", passed.join(", ")));
        let decided = self.decided.as_ref().map(|said| format!("decided: {said}"));
        passed.into_iter().chain(decided).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for PacketView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = self.flow.map_or_else(|| "no IP".to_owned(), |flow| flow.to_string());
        write!(f, "{}  {}  {flow}  {} bytes  {}", self.at, self.hook, self.length, self.explanation())
    }
}

/// Bytes as [`PacketView::bytes`] has them.
pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_who_passed_it_and_who_decided() {
        let said = |member: &str, verdict: &str, overruled| Said {
            member: member.parse().unwrap(),
            verdict: verdict.to_owned(),
            overruled,
        };
        let mut packet = PacketView {
            at: "2030-01-01T00:00:00Z".to_owned(),
            hook: "eth0/xdp".to_owned(),
            passed: vec![said("sanity", "pass", false), said("trial", "drop", true)],
            decided: Some(said("ratelimit", "drop", false)),
            flow: None,
            length: 60,
            bytes: String::new(),
        };
        insta::assert_snapshot!(packet, @"2030-01-01T00:00:00Z  eth0/xdp  no IP  60 bytes  passed: sanity, trial (drop, not enforced); decided: ratelimit (drop)");
        packet.decided = None;
        packet.passed.truncate(1);
        assert_eq!(packet.explanation(), "passed: sanity");
    }
}
