// SPDX-License-Identifier: Apache-2.0
//! Records: flows, and what is told besides, as their templates have them.

use crate::element::{Element, Owner};
use crate::flow::{Amount, Fate, Key, Told};
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

/// Puts a record of a kind into a message, of values that are all of its elements at least.
fn put(template: Template, message: &mut Message, values: &[(Element, Value<'_>)]) -> Result<(), Full> {
    let mut record = Vec::new();
    for element in template.elements() {
        let value = values.iter().find(|(of, _)| *of == element);
        let (_, value) = value.expect("who puts a record has a value for each element of its template");
        value.write(element.bytes(), &mut record);
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
    let common = common(told, clock);
    for (number, (fate, amount)) in (first_record..).zip(told.fates()) {
        let mut values = common.clone();
        values.push((Element::RecordNumber, Value::Number(number)));
        values.push((Element::Bytes, Value::Number(amount.bytes)));
        values.push((Element::Packets, Value::Number(amount.packets)));
        values.extend(decided(&told.key, (fate, amount), settings));
        put(template(told), message, &values)?;
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

/// What all records of a flow have in common, for all templates of flows.
fn common(told: &Told, clock: Clock) -> Vec<(Element, Value<'static>)> {
    let (key, counts) = (&told.key, &told.counts);
    let sampling = Sampling::new(key.sampling_one_in, key.sampling_random != 0);
    let numbers = [
        (Element::SourcePort, key.source_port.into()),
        (Element::DestinationPort, key.destination_port.into()),
        (Element::IcmpIpv4, key.destination_port.into()),
        (Element::IcmpIpv6, key.destination_port.into()),
        (Element::TcpFlags, counts.tcp_flags.into()),
        (Element::Start, clock.milliseconds(counts.first_ns)),
        (Element::End, clock.milliseconds(counts.last_ns)),
        (Element::IngressInterface, key.ingress_interface.into()),
        (Element::EgressInterface, key.egress_interface.into()),
        (Element::Vlan, key.vlan.into()),
        (Element::IpVersion, key.ip_version.into()),
        (Element::Protocol, key.protocol.into()),
        (Element::TrafficClass, key.traffic_class.into()),
        (Element::Direction, key.direction.into()),
        (Element::EndReason, told.reason as u64),
        (Element::SamplingOneIn, key.sampling_one_in.into()),
        (Element::Selector, sampling.selector().into()),
    ];
    let addresses = [
        (Element::SourceIpv4, key.source),
        (Element::SourceIpv6, key.source),
        (Element::DestinationIpv4, key.destination),
        (Element::DestinationIpv6, key.destination),
    ];
    let addresses = addresses.map(|(element, address)| (element, Value::Address(address)));
    addresses.into_iter().chain(numbers_of(&numbers)).collect()
}

fn numbers_of(numbers: &[(Element, u64)]) -> impl Iterator<Item = (Element, Value<'static>)> {
    numbers.iter().map(|(element, number)| (*element, Value::Number(*number)))
}

/// What became of the packets of a record.
fn decided<'s>(
    key: &Key,
    (fate, amount): (Fate, Amount),
    settings: &'s Settings,
) -> Vec<(Element, Value<'s>)> {
    let (position, checkpoint) = match fate {
        // Of a chain of before nobody knows any more who stood where.
        Fate::Left(position) if !settings.knows(key) => (position, None),
        Fate::Left(position) => (position, settings.checkpoint(key.direction, position)),
        Fate::Passed | Fate::Unobserved => (0, None),
    };
    let outcome = match fate {
        Fate::Unobserved => Outcome::Unobserved,
        Fate::Passed => Outcome::Passed,
        Fate::Left(_) => checkpoint.map_or(Outcome::Left, |checkpoint| checkpoint.ended_as),
    };
    let dropped = if outcome == Outcome::Dropped { amount } else { Amount::default() };
    let status = match outcome {
        Outcome::Passed => FORWARDED,
        Outcome::Dropped => DROPPED,
        Outcome::Unobserved | Outcome::Left | Outcome::Redirected | Outcome::Stolen => 0,
    };
    let numbers = [
        (Element::ChainVerdict, outcome as u64),
        (Element::DecidingPosition, position.into()),
        (Element::DroppedPackets, dropped.packets),
        (Element::DroppedBytes, dropped.bytes),
        (Element::ForwardingStatus, status),
    ];
    let mut values: Vec<(Element, Value<'_>)> = numbers_of(&numbers).collect();
    let member = checkpoint.map_or("", |checkpoint| &checkpoint.behind);
    values.push((Element::DecidingMember, Value::Text(member)));
    values
}

/// Puts what was counted and lost into a message.
pub(crate) fn put_statistics(
    statistics: &Statistics,
    domain: u32,
    message: &mut Message,
) -> Result<(), Full> {
    let numbers = [
        (Element::Domain, domain.into()),
        (Element::ExportedMessages, statistics.exported_messages),
        (Element::ExportedRecords, statistics.exported_records),
        (Element::ExportedBytes, statistics.exported_bytes),
        (Element::NotSentRecords, statistics.not_sent_records),
        (Element::NotSentPackets, statistics.not_sent.packets),
        (Element::NotSentBytes, statistics.not_sent.bytes),
        (Element::IgnoredPackets, statistics.ignored.packets),
        (Element::IgnoredBytes, statistics.ignored.bytes),
        (Element::ObservedFrames, statistics.observed),
        (Element::UnsampledFrames, statistics.unsampled),
        (Element::OtherFrames, statistics.other),
        (Element::MalformedFrames, statistics.malformed),
        (Element::UnnotedFrames, statistics.unnoted),
    ];
    put(Template::Statistics, message, &numbers_of(&numbers).collect::<Vec<_>>())
}

/// Puts into a message how packets are chosen.
pub(crate) fn put_sampling(sampling: Sampling, message: &mut Message) -> Result<(), Full> {
    let (template, algorithm) = if sampling.by_chance {
        (Template::Probabilistic, PROBABILISTIC)
    } else {
        (Template::Systematic, SYSTEMATIC)
    };
    let numbers = [
        (Element::Selector, sampling.selector().into()),
        (Element::SelectorAlgorithm, algorithm),
        (Element::SamplingInterval, 1),
        (Element::SamplingSpace, u64::from(sampling.one_in).saturating_sub(1)),
    ];
    let probability = Value::Float(1.0 / f64::from(sampling.one_in.max(1)));
    let values = numbers_of(&numbers).chain([(Element::SamplingProbability, probability)]);
    put(template, message, &values.collect::<Vec<_>>())
}

/// Puts into a message what one of our own elements is.
pub(crate) fn put_type(own: Element, enterprise: u32, message: &mut Message) -> Result<(), Full> {
    let described = own.describe();
    let (template, (begin, end)) = match described.range {
        Some(range) => (Template::RangedTypes, range),
        None => (Template::Types, (0, 0)),
    };
    let numbers = [
        (Element::EnterpriseNumber, enterprise.into()),
        (Element::DescribedId, described.id.into()),
        (Element::DescribedKind, described.kind as u64),
        (Element::DescribedSemantics, described.semantics as u64),
        (Element::DescribedUnits, described.units as u64),
        (Element::DescribedRangeBegin, begin),
        (Element::DescribedRangeEnd, end),
    ];
    let texts = [
        (Element::DescribedName, Value::Text(described.name)),
        (Element::DescribedWords, Value::Text(described.words)),
    ];
    put(template, message, &numbers_of(&numbers).chain(texts).collect::<Vec<_>>())
}

/// The elements that are ours.
pub(crate) fn own_elements() -> impl Iterator<Item = Element> {
    Element::ALL.iter().copied().filter(|element| element.describe().owner == Owner::Enterprise)
}
