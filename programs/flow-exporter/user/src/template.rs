// SPDX-License-Identifier: Apache-2.0
//! Templates (RFC 7011, section 3.4): which elements the records of each kind have, in which order.

use crate::element::{Element, Owner};
use crate::message::{Full, Message, OPTIONS_TEMPLATES, TEMPLATES};

/// In the number of an element: an enterprise number follows (RFC 7011, section 3.2).
const ENTERPRISE_BIT: u16 = 0x8000;

/// What the records of a kind have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Template {
    Ipv4 = 256,
    Ipv6 = 257,
    IcmpIpv4 = 258,
    IcmpIpv6 = 259,
    /// What was counted, and what was lost (RFC 7011, sections 4.1 to 4.3).
    Statistics = 260,
    /// Every so many packets one is chosen (RFC 5477).
    Systematic = 261,
    /// Packets are chosen by chance.
    Probabilistic = 262,
    /// The types of our own elements (RFC 5610).
    Types = 263,
    /// The same of those that do not use all numbers of their type.
    RangedTypes = 264,
}

const COMMON: &[Element] = &[
    Element::Start,
    Element::End,
    Element::Bytes,
    Element::Packets,
    Element::IngressInterface,
    Element::EgressInterface,
    Element::Vlan,
    Element::IpVersion,
    Element::Protocol,
    Element::TrafficClass,
    Element::Direction,
    Element::EndReason,
    Element::ForwardingStatus,
    Element::DroppedBytes,
    Element::DroppedPackets,
    Element::Selector,
    Element::SamplingOneIn,
    Element::RecordNumber,
    Element::ChainVerdict,
    Element::DecidingPosition,
    Element::DecidingMember,
];

const PORTS: &[Element] = &[Element::SourcePort, Element::DestinationPort, Element::TcpFlags];

const TYPES: &[Element] = &[
    Element::EnterpriseNumber,
    Element::DescribedId,
    Element::DescribedKind,
    Element::DescribedSemantics,
    Element::DescribedUnits,
    Element::DescribedName,
    Element::DescribedWords,
];

impl Template {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Ipv4,
        Self::Ipv6,
        Self::IcmpIpv4,
        Self::IcmpIpv6,
        Self::Statistics,
        Self::Systematic,
        Self::Probabilistic,
        Self::Types,
        Self::RangedTypes,
    ];

    /// Its number.
    pub(crate) fn id(self) -> u16 {
        self as u16
    }

    /// Its elements, in their order.
    pub(crate) fn elements(self) -> Vec<Element> {
        let ipv4 = [Element::SourceIpv4, Element::DestinationIpv4];
        let ipv6 = [Element::SourceIpv6, Element::DestinationIpv6];
        match self {
            Self::Ipv4 => [&ipv4[..], PORTS, COMMON].concat(),
            Self::Ipv6 => [&ipv6[..], PORTS, COMMON].concat(),
            Self::IcmpIpv4 => [&ipv4[..], &[Element::IcmpIpv4], COMMON].concat(),
            Self::IcmpIpv6 => [&ipv6[..], &[Element::IcmpIpv6], COMMON].concat(),
            Self::Statistics => vec![
                Element::Domain,
                Element::ExportedMessages,
                Element::ExportedRecords,
                Element::ExportedBytes,
                Element::IgnoredPackets,
                Element::IgnoredBytes,
                Element::NotSentRecords,
                Element::NotSentPackets,
                Element::NotSentBytes,
                Element::ObservedFrames,
                Element::UnsampledFrames,
                Element::OtherFrames,
                Element::MalformedFrames,
                Element::UnnotedFrames,
            ],
            Self::Systematic => vec![
                Element::Selector,
                Element::SelectorAlgorithm,
                Element::SamplingInterval,
                Element::SamplingSpace,
            ],
            Self::Probabilistic => {
                vec![Element::Selector, Element::SelectorAlgorithm, Element::SamplingProbability]
            }
            Self::Types => TYPES.to_vec(),
            Self::RangedTypes => {
                [TYPES, &[Element::DescribedRangeBegin, Element::DescribedRangeEnd]].concat()
            }
        }
    }

    /// How many of its elements, from the first, say what the others are about; 0 where it is about flows.
    pub(crate) fn scopes(self) -> u16 {
        match self {
            Self::Ipv4 | Self::Ipv6 | Self::IcmpIpv4 | Self::IcmpIpv6 => 0,
            Self::Statistics | Self::Systematic | Self::Probabilistic => 1,
            Self::Types | Self::RangedTypes => 2,
        }
    }

    /// Puts the template itself into a message.
    pub(crate) fn announce(self, enterprise: u32, message: &mut Message) -> Result<(), Full> {
        let elements = self.elements();
        let count = u16::try_from(elements.len()).expect("no template has so many");
        let mut record = Vec::new();
        record.extend(self.id().to_be_bytes());
        record.extend(count.to_be_bytes());
        if self.scopes() > 0 {
            record.extend(self.scopes().to_be_bytes());
        }
        for element in elements {
            let described = element.describe();
            let is_ours = described.owner == Owner::Enterprise;
            let id = described.id | if is_ours { ENTERPRISE_BIT } else { 0 };
            record.extend(id.to_be_bytes());
            record.extend(element.bytes().to_be_bytes());
            if is_ours {
                record.extend(enterprise.to_be_bytes());
            }
        }
        message.add(if self.scopes() > 0 { OPTIONS_TEMPLATES } else { TEMPLATES }, &record)
    }
}
