// SPDX-License-Identifier: Apache-2.0
//! Records: flows, and what is told besides, as their templates have them.

use crate::element::{Element, Owner};
use crate::flow::{Amount, Fate, Told};
use crate::message::{Full, Message, Value};
use crate::settings::{Outcome, Settings};
use crate::template::Template;

/// "Uniform probabilistic sampling" and "systematic count-based sampling" (the registry "PSAMP Parameters").
const SYSTEMATIC: u64 = 1;
const PROBABILISTIC: u64 = 4;
/// `forwardingStatus`: the two high bits say what became of a packet, the others why, which is not known here.
const FORWARDED: u64 = 64;
const DROPPED: u64 = 128;
/// In the number of a selector: it chooses by chance.
const BY_CHANCE: u32 = 1 << 31;

/// How to make a time since 1970 of one of `CLOCK_MONOTONIC`: what is to be added, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) ahead_ns: i128,
}

impl Clock {
    fn milliseconds(self, monotonic_ns: u64) -> u64 {
        let ns = i128::from(monotonic_ns) + self.ahead_ns;
        u64::try_from(ns / 1_000_000).unwrap_or(0)
    }
}

/// How packets are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sampling {
    pub(crate) one_in: u32,
    pub(crate) by_chance: bool,
}

impl Sampling {
    /// One packet of so many, where it matters how by chance.
    pub(crate) fn new(one_in: u32, is_random: bool) -> Self {
        Self { one_in, by_chance: is_random && one_in > 1 }
    }

    /// `selectorId`.
    pub(crate) fn selector(self) -> u32 {
        self.one_in | if self.by_chance { BY_CHANCE } else { 0 }
    }
}

/// What was counted besides flows, since the maps were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) exported_messages: u64,
    pub(crate) exported_records: u64,
    pub(crate) exported_bytes: u64,
    pub(crate) not_sent_records: u64,
    pub(crate) not_sent: Amount,
    pub(crate) ignored: Amount,
    pub(crate) observed: u64,
    pub(crate) unsampled: u64,
    pub(crate) other: u64,
    pub(crate) malformed: u64,
    pub(crate) unnoted: u64,
}

/// Puts a record of a kind into a message; what its elements are says a function.
fn put<'a>(
    template: Template,
    message: &mut Message,
    value: impl Fn(Element) -> Value<'a>,
) -> Result<(), Full> {
    let mut record = Vec::new();
    for element in template.elements() {
        value(element).write(element.bytes(), &mut record);
    }
    message.add(template.id(), &record)
}

/// Puts the records of a flow into a message, the first of which has this number.
pub(crate) fn put_flow(
    told: &Told,
    first_record: u64,
    (settings, clock): (&Settings, Clock),
    message: &mut Message,
) -> Result<(), Full> {
    let template = template(told);
    for (number, (fate, amount)) in (first_record..).zip(told.fates()) {
        put(template, message, |element| match element {
            Element::RecordNumber => Value::Number(number),
            Element::Bytes => Value::Number(amount.bytes),
            Element::Packets => Value::Number(amount.packets),
            other => {
                common(other, told, clock).unwrap_or_else(|| decided(other, told, (fate, amount), settings))
            }
        })?;
    }
    Ok(())
}

fn template(told: &Told) -> Template {
    match (told.key.ip_version, told.key.protocol) {
        (4, 1) => Template::IcmpIpv4,
        (4, _) => Template::Ipv4,
        (_, 58) => Template::IcmpIpv6,
        _ => Template::Ipv6,
    }
}

/// What all records of a flow have in common.
fn common(element: Element, told: &Told, clock: Clock) -> Option<Value<'static>> {
    let (key, counts) = (&told.key, &told.counts);
    Some(match element {
        Element::SourceIpv4 | Element::SourceIpv6 => Value::Address(key.source),
        Element::DestinationIpv4 | Element::DestinationIpv6 => Value::Address(key.destination),
        Element::SourcePort => Value::Number(key.source_port.into()),
        Element::DestinationPort | Element::IcmpIpv4 | Element::IcmpIpv6 => {
            Value::Number(key.destination_port.into())
        }
        Element::TcpFlags => Value::Number(counts.tcp_flags.into()),
        Element::Start => Value::Number(clock.milliseconds(counts.first_ns)),
        Element::End => Value::Number(clock.milliseconds(counts.last_ns)),
        Element::IngressInterface => Value::Number(key.ingress_interface.into()),
        Element::EgressInterface => Value::Number(key.egress_interface.into()),
        Element::Vlan => Value::Number(key.vlan.into()),
        Element::IpVersion => Value::Number(key.ip_version.into()),
        Element::Protocol => Value::Number(key.protocol.into()),
        Element::TrafficClass => Value::Number(key.traffic_class.into()),
        Element::Direction => Value::Number(key.direction.into()),
        Element::EndReason => Value::Number(told.reason as u64),
        Element::SamplingOneIn => Value::Number(key.sampling_one_in.into()),
        Element::Selector => {
            Value::Number(Sampling::new(key.sampling_one_in, key.sampling_random != 0).selector().into())
        }
        _ => return None,
    })
}

/// What became of the packets of a record.
fn decided<'a>(
    element: Element,
    told: &Told,
    (fate, amount): (Fate, Amount),
    settings: &'a Settings,
) -> Value<'a> {
    let (position, checkpoint) = match fate {
        Fate::Left(position) => (position, settings.checkpoint(told.key.direction, position)),
        Fate::Passed | Fate::Unobserved => (0, None),
    };
    let outcome = match fate {
        Fate::Unobserved => Outcome::Unobserved,
        Fate::Passed => Outcome::Passed,
        Fate::Left(_) => checkpoint.map_or(Outcome::Left, |checkpoint| checkpoint.ended_as),
    };
    let dropped = if outcome == Outcome::Dropped { amount } else { Amount::default() };
    match element {
        Element::ChainVerdict => Value::Number(outcome as u64),
        Element::DecidingPosition => Value::Number(position.into()),
        Element::DecidingMember => Value::Text(checkpoint.map_or("", |checkpoint| &checkpoint.behind)),
        Element::DroppedPackets => Value::Number(dropped.packets),
        Element::DroppedBytes => Value::Number(dropped.bytes),
        Element::ForwardingStatus => Value::Number(match outcome {
            Outcome::Passed => FORWARDED,
            Outcome::Dropped => DROPPED,
            Outcome::Unobserved | Outcome::Left | Outcome::Redirected | Outcome::Stolen => 0,
        }),
        _ => Value::Number(0),
    }
}

/// Puts what was counted and lost into a message.
pub(crate) fn put_statistics(
    statistics: &Statistics,
    domain: u32,
    message: &mut Message,
) -> Result<(), Full> {
    put(Template::Statistics, message, |element| {
        Value::Number(match element {
            Element::Domain => domain.into(),
            Element::ExportedMessages => statistics.exported_messages,
            Element::ExportedRecords => statistics.exported_records,
            Element::ExportedBytes => statistics.exported_bytes,
            Element::NotSentRecords => statistics.not_sent_records,
            Element::NotSentPackets => statistics.not_sent.packets,
            Element::NotSentBytes => statistics.not_sent.bytes,
            Element::IgnoredPackets => statistics.ignored.packets,
            Element::IgnoredBytes => statistics.ignored.bytes,
            Element::ObservedFrames => statistics.observed,
            Element::UnsampledFrames => statistics.unsampled,
            Element::OtherFrames => statistics.other,
            Element::MalformedFrames => statistics.malformed,
            Element::UnnotedFrames => statistics.unnoted,
            _ => 0,
        })
    })
}

/// Puts into a message how packets are chosen.
pub(crate) fn put_sampling(sampling: Sampling, message: &mut Message) -> Result<(), Full> {
    let (template, algorithm) = if sampling.by_chance {
        (Template::Probabilistic, PROBABILISTIC)
    } else {
        (Template::Systematic, SYSTEMATIC)
    };
    put(template, message, |element| match element {
        Element::Selector => Value::Number(sampling.selector().into()),
        Element::SelectorAlgorithm => Value::Number(algorithm),
        Element::SamplingInterval => Value::Number(1),
        Element::SamplingSpace => Value::Number(u64::from(sampling.one_in).saturating_sub(1)),
        Element::SamplingProbability => Value::Float(1.0 / f64::from(sampling.one_in.max(1))),
        _ => Value::Number(0),
    })
}

/// Puts into a message what one of our own elements is.
pub(crate) fn put_type(own: Element, enterprise: u32, message: &mut Message) -> Result<(), Full> {
    let described = own.describe();
    let (template, (begin, end)) = match described.range {
        Some(range) => (Template::RangedTypes, range),
        None => (Template::Types, (0, 0)),
    };
    put(template, message, |element| match element {
        Element::EnterpriseNumber => Value::Number(enterprise.into()),
        Element::ElementId => Value::Number(described.id.into()),
        Element::ElementKind => Value::Number(described.kind as u64),
        Element::ElementSemantics => Value::Number(described.semantics as u64),
        Element::ElementUnits => Value::Number(described.units as u64),
        Element::ElementRangeBegin => Value::Number(begin),
        Element::ElementRangeEnd => Value::Number(end),
        Element::ElementName => Value::Text(described.name),
        Element::ElementDescription => Value::Text(described.words),
        _ => Value::Number(0),
    })
}

/// The elements that are ours.
pub(crate) fn own_elements() -> impl Iterator<Item = Element> {
    Element::ALL.iter().copied().filter(|element| element.describe().owner == Owner::Enterprise)
}
