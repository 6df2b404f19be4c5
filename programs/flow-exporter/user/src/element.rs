// SPDX-License-Identifier: Apache-2.0
//! Information elements (RFC 7012): those of IANA that records have, and our own, which `docs/ipfix-elements.md` describes.

/// The abstract data type (RFC 5610, section 3.1; the registry "IPFIX Information Element Data Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Unsigned8 = 1,
    Unsigned16 = 2,
    Unsigned32 = 3,
    Unsigned64 = 4,
    Float64 = 10,
    Text = 13,
    Milliseconds = 15,
    Ipv4 = 18,
    Ipv6 = 19,
}

/// What the number means (the registry "IPFIX Information Element Semantics").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Semantics {
    Default = 0,
    Quantity = 1,
    TotalCounter = 2,
    DeltaCounter = 3,
    Identifier = 4,
    Flags = 5,
}

/// What is counted (the registry "IPFIX Information Element Units").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Units {
    None = 0,
    Octets = 2,
    Packets = 3,
    Flows = 4,
    Milliseconds = 6,
    Messages = 10,
    Frames = 13,
}

/// Whose registry has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Iana,
    /// Whoever has the Private Enterprise Number that is configured.
    Enterprise,
}

/// What an element is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Description {
    pub(crate) owner: Owner,
    pub(crate) id: u16,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) semantics: Semantics,
    pub(crate) units: Units,
    /// In words; of our own elements only.
    pub(crate) words: &'static str,
    /// The least and the greatest number, where not all of the type are used.
    pub(crate) range: Option<(u64, u64)>,
}

/// In a template: the length is in front of each value (RFC 7011, section 7).
pub(crate) const VARIABLE: u16 = 65535;

macro_rules! elements {
    ($($variant:ident: $owner:ident $id:literal $name:literal $kind:ident $semantics:ident $units:ident
       $($words:literal $range:expr)?;)*) => {
        /// An information element.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Element { $($variant),* }

        impl Element {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// What it is.
            #[expect(unused_mut, unused_assignments, reason = "elements of IANA have no words of ours")]
            pub(crate) fn describe(self) -> Description {
                match self {
                    $(Self::$variant => {
                        let (mut words, mut range) = ("", None);
                        $((words, range) = ($words, $range);)?
                        Description {
                            owner: Owner::$owner, id: $id, name: $name, kind: Kind::$kind,
                            semantics: Semantics::$semantics, units: Units::$units, words, range,
                        }
                    })*
                }
            }
        }
    };
}

elements! {
    Bytes: Iana 1 "octetDeltaCount" Unsigned64 DeltaCounter Octets;
    Packets: Iana 2 "packetDeltaCount" Unsigned64 DeltaCounter Packets;
    Protocol: Iana 4 "protocolIdentifier" Unsigned8 Identifier None;
    TrafficClass: Iana 5 "ipClassOfService" Unsigned8 Identifier None;
    TcpFlags: Iana 6 "tcpControlBits" Unsigned16 Flags None;
    SourcePort: Iana 7 "sourceTransportPort" Unsigned16 Identifier None;
    SourceIpv4: Iana 8 "sourceIPv4Address" Ipv4 Default None;
    IngressInterface: Iana 10 "ingressInterface" Unsigned32 Identifier None;
    DestinationPort: Iana 11 "destinationTransportPort" Unsigned16 Identifier None;
    DestinationIpv4: Iana 12 "destinationIPv4Address" Ipv4 Default None;
    EgressInterface: Iana 14 "egressInterface" Unsigned32 Identifier None;
    SourceIpv6: Iana 27 "sourceIPv6Address" Ipv6 Default None;
    DestinationIpv6: Iana 28 "destinationIPv6Address" Ipv6 Default None;
    IcmpIpv4: Iana 32 "icmpTypeCodeIPv4" Unsigned16 Identifier None;
    ExportedBytes: Iana 40 "exportedOctetTotalCount" Unsigned64 TotalCounter Octets;
    ExportedMessages: Iana 41 "exportedMessageTotalCount" Unsigned64 TotalCounter Messages;
    ExportedRecords: Iana 42 "exportedFlowRecordTotalCount" Unsigned64 TotalCounter Flows;
    Vlan: Iana 58 "vlanId" Unsigned16 Identifier None;
    IpVersion: Iana 60 "ipVersion" Unsigned8 Identifier None;
    Direction: Iana 61 "flowDirection" Unsigned8 Identifier None;
    ForwardingStatus: Iana 89 "forwardingStatus" Unsigned32 Identifier None;
    DroppedBytes: Iana 132 "droppedOctetDeltaCount" Unsigned64 DeltaCounter Octets;
    DroppedPackets: Iana 133 "droppedPacketDeltaCount" Unsigned64 DeltaCounter Packets;
    EndReason: Iana 136 "flowEndReason" Unsigned8 Identifier None;
    IcmpIpv6: Iana 139 "icmpTypeCodeIPv6" Unsigned16 Identifier None;
    Domain: Iana 149 "observationDomainId" Unsigned32 Identifier None;
    Start: Iana 152 "flowStartMilliseconds" Milliseconds Default Milliseconds;
    End: Iana 153 "flowEndMilliseconds" Milliseconds Default Milliseconds;
    IgnoredPackets: Iana 164 "ignoredPacketTotalCount" Unsigned64 TotalCounter Packets;
    IgnoredBytes: Iana 165 "ignoredOctetTotalCount" Unsigned64 TotalCounter Octets;
    NotSentRecords: Iana 166 "notSentFlowTotalCount" Unsigned64 TotalCounter Flows;
    NotSentPackets: Iana 167 "notSentPacketTotalCount" Unsigned64 TotalCounter Packets;
    NotSentBytes: Iana 168 "notSentOctetTotalCount" Unsigned64 TotalCounter Octets;
    Selector: Iana 302 "selectorId" Unsigned64 Identifier None;
    DescribedId: Iana 303 "informationElementId" Unsigned16 Identifier None;
    SelectorAlgorithm: Iana 304 "selectorAlgorithm" Unsigned16 Identifier None;
    SamplingInterval: Iana 305 "samplingPacketInterval" Unsigned32 Quantity Packets;
    SamplingSpace: Iana 306 "samplingPacketSpace" Unsigned32 Quantity Packets;
    SamplingProbability: Iana 311 "samplingProbability" Float64 Quantity None;
    DescribedKind: Iana 339 "informationElementDataType" Unsigned8 Default None;
    DescribedWords: Iana 340 "informationElementDescription" Text Default None;
    DescribedName: Iana 341 "informationElementName" Text Default None;
    DescribedRangeBegin: Iana 342 "informationElementRangeBegin" Unsigned64 Quantity None;
    DescribedRangeEnd: Iana 343 "informationElementRangeEnd" Unsigned64 Quantity None;
    DescribedSemantics: Iana 344 "informationElementSemantics" Unsigned8 Default None;
    DescribedUnits: Iana 345 "informationElementUnits" Unsigned16 Default None;
    EnterpriseNumber: Iana 346 "privateEnterpriseNumber" Unsigned32 Identifier None;
    ChainVerdict: Enterprise 1 "chainVerdict" Unsigned8 Identifier None
        "What became of the packets of this record in the chain: 0 not observed, 1 passed, 2 left, 3 dropped, 4 redirected, 5 stolen"
        Some((0, 5));
    DecidingMember: Enterprise 2 "decidingMember" Text Default None
        "The member of the chain that did not let the packets of this record go on" None;
    DecidingPosition: Enterprise 3 "decidingPosition" Unsigned8 Identifier None
        "The checkpoint that the packets of this record did not reach, from 1; 0 where they reached all" Some((0, 4));
    SamplingOneIn: Enterprise 4 "samplingOneIn" Unsigned32 Quantity Packets
        "The packets of this record are one in so many" Some((1, 1_048_576));
    RecordNumber: Enterprise 5 "recordNumber" Unsigned64 Identifier None
        "Records with the same number and observation domain are one record that was sent again" None;
    ObservedFrames: Enterprise 6 "observedFrameTotalCount" Unsigned64 TotalCounter Frames
        "Frames that came to where packets are counted" None;
    UnsampledFrames: Enterprise 7 "unsampledFrameTotalCount" Unsigned64 TotalCounter Frames
        "Frames of these that sampling passed over" None;
    OtherFrames: Enterprise 8 "otherFrameTotalCount" Unsigned64 TotalCounter Frames
        "Frames of these that are neither IPv4 nor IPv6" None;
    MalformedFrames: Enterprise 9 "malformedFrameTotalCount" Unsigned64 TotalCounter Frames
        "Frames of these whose IP headers contradict themselves or the frame" None;
    UnnotedFrames: Enterprise 10 "unnotedFrameTotalCount" Unsigned64 TotalCounter Frames
        "Frames at a checkpoint of which nothing is known, and which therefore seem to have left before it" None;
}

impl Element {
    /// How many bytes a value has in records.
    pub(crate) fn bytes(self) -> u16 {
        match (self, self.describe().kind) {
            // Reduced-size encoding (RFC 7011, section 6.2): our selectors have 32 bits, and of the status one byte has a meaning.
            (Self::Selector, _) => 4,
            (Self::ForwardingStatus, _) | (_, Kind::Unsigned8) => 1,
            (_, Kind::Unsigned16) => 2,
            (_, Kind::Unsigned32 | Kind::Ipv4) => 4,
            (_, Kind::Unsigned64 | Kind::Float64 | Kind::Milliseconds) => 8,
            (_, Kind::Ipv6) => 16,
            (_, Kind::Text) => VARIABLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/ipfix-elements.md`, from what is here.
    fn table() -> String {
        let own = Element::ALL.iter().map(|element| element.describe());
        let own = own.filter(|described| described.owner == Owner::Enterprise);
        let rows = own.map(|described| {
            let Description { id, name, kind, semantics, units, .. } = described;
            let range = described.range.map_or(String::from("all"), |(from, to)| format!("{from} to {to}"));
            let kind = if kind == Kind::Text { String::from("string") } else { camel(&format!("{kind:?}")) };
            let (semantics, units) = (camel(&format!("{semantics:?}")), camel(&format!("{units:?}")));
            format!("| {id} | `{name}` | {kind} | {semantics} | {units} | {range} | {} |\n", described.words)
        });
        rows.collect::<Vec<String>>().concat()
    }

    fn camel(name: &str) -> String {
        name[..1].to_lowercase() + &name[1..]
    }

    #[test]
    fn the_document_describes_every_element_as_it_is_sent() {
        let document = include_str!("../../../../docs/ipfix-elements.md");
        assert!(document.contains(&table()), "docs/ipfix-elements.md must have:\n{}", table());
    }

    #[test]
    fn no_two_elements_have_the_same_number_or_name() {
        for (index, one) in Element::ALL.iter().enumerate() {
            for other in &Element::ALL[..index] {
                let (one, other) = (one.describe(), other.describe());
                assert!(
                    one.name != other.name && (one.owner != other.owner || one.id != other.id),
                    "{one:?}"
                );
            }
        }
    }
}
