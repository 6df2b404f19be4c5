// SPDX-License-Identifier: Apache-2.0
//! What is encoded is what is decoded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::decode::{Collector, Record};
use super::killed::key;
use crate::compose;
use crate::flow::{Amount, CHECKPOINTS, Counts, EndReason, Fate, Key, Told};
use crate::ledger::{Batch, MESSAGE_FLOWS};
use crate::maps::{Place, RodataConstants, RodataConstantsCollectorTransport, RodataConstantsEndedAs, Text};
use crate::message::{Full, HEADER_BYTES, Message};
use crate::record::{Clock, Statistics};
use crate::settings::Settings;

/// For documentation.
const OURS: u32 = 32473;
const CLOCK: Clock = Clock { ahead_ns: 1_700_000_000_000_000_000 };

/// What the manifest has for constants that no document sets.
pub(super) fn constants() -> RodataConstants {
    RodataConstants {
        collector: "192.0.2.9".parse().unwrap(),
        collector_port: 4739,
        collector_transport: RodataConstantsCollectorTransport::UDP,
        observation_domain: 7,
        enterprise_number: OURS,
        active_timeout: 60,
        idle_timeout: 15,
        template_refresh: 60,
        template_refresh_messages: 1000,
        path_mtu: 1280,
        sampling_one_in: 1,
        sampling_random: false,
        checkpoints: 0,
        position: 0,
        behind: Text::default(),
        ended_as: RodataConstantsEndedAs::LEFT,
    }
}

fn place(hook: &str) -> Vec<Place> {
    vec![Place { member: "flows".to_owned(), hook: Some(format!("eth0/{hook}")) }]
}

/// Of received packets, four members with names as long as they can be are behind checkpoints, and drop.
pub(super) fn settings() -> Settings {
    let chains = (0..=4).flat_map(|checkpoints| {
        ["tc-ingress", "tc-egress"].map(|hook| (place(hook), RodataConstants { checkpoints, ..constants() }))
    });
    let mut instances: Vec<_> = chains.collect();
    for position in 1..=4_u8 {
        let behind = Text::new(&format!("{position}{}", "m".repeat(62))).unwrap();
        let ended_as = RodataConstantsEndedAs::DROPPED;
        instances.push((place("tc-ingress"), RodataConstants { position, behind, ended_as, ..constants() }));
    }
    Settings::read(&instances).unwrap()
}

prop_compose! {
    fn amounts()(mut packets in prop::array::uniform5(1_u64..1 << 40), size in 20_u64..1500) -> [Amount; 5] {
        packets.sort_unstable_by(|one, other| other.cmp(one));
        packets.map(|packets| Amount { packets, bytes: packets * size })
    }
}

prop_compose! {
    fn told()(
        addresses in any::<([u8; 16], [u8; 16], bool)>(),
        (interfaces, ports) in any::<((u32, u32), (u16, u16))>(),
        protocol in prop_oneof![Just(1_u8), Just(6), Just(17), Just(58), any::<u8>()],
        (vlan, traffic_class, direction, checkpoints) in (0_u16..4096, any::<u8>(), 0_u8..2, 0_u8..5),
        (sampling_one_in, sampling_random) in (1_u32..1 << 20, 0_u8..2),
        (first_ns, last_ns, tcp_flags) in any::<(u64, u64, u16)>(),
        [all, first, second, third, fourth] in amounts(),
        reason in 1_u32..6,
    ) -> Told {
        let (source, destination, is_short) = addresses;
        let address = |bytes: [u8; 16]| if is_short {
            IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
        } else {
            IpAddr::V6(Ipv6Addr::from(bytes))
        };
        Told {
            key: Key {
                source: address(source),
                destination: address(destination),
                ingress_interface: interfaces.0,
                egress_interface: interfaces.1,
                source_port: ports.0,
                destination_port: ports.1,
                vlan, protocol, traffic_class, direction, checkpoints, sampling_random, sampling_one_in,
                ip_version: if is_short { 4 } else { 6 },
            },
            counts: Counts { first_ns, last_ns, all, reached: [first, second, third, fourth], tcp_flags },
            reason: EndReason::from_number(reason),
        }
    }
}

/// A collector that knows the templates.
fn informed(settings: &Settings) -> Collector {
    let mut collector = Collector::default();
    for message in compose::announcements(settings, &Statistics::default()) {
        let before = collector.sequence;
        let bytes = message.finish(1, before, settings.domain);
        assert!(bytes.len() <= settings.most_bytes(), "{} bytes", bytes.len());
        assert_eq!(collector.read(&bytes), before);
    }
    collector
}

/// What one record of a flow must be.
fn compare(record: &Record, told: &Told, (fate, amount): (Fate, Amount)) {
    let Told { key, counts, reason } = told;
    let is = |id: u16| record.number(0, id);
    assert_eq!((is(1), is(2)), (amount.bytes, amount.packets));
    let milliseconds = |ns: u64| u64::try_from((i128::from(ns) + CLOCK.ahead_ns) / 1_000_000).unwrap();
    assert_eq!((is(152), is(153)), (milliseconds(counts.first_ns), milliseconds(counts.last_ns)));
    assert_eq!((is(10), is(14)), (key.ingress_interface.into(), key.egress_interface.into()));
    assert_eq!((is(4), is(5), is(58)), (key.protocol.into(), key.traffic_class.into(), key.vlan.into()));
    assert_eq!((is(60), is(61), is(136)), (key.ip_version.into(), key.direction.into(), *reason as u64));
    let (source, destination) = if key.ip_version == 4 { (8, 12) } else { (27, 28) };
    for (id, address) in [(source, key.source), (destination, key.destination)] {
        let bytes = match address {
            IpAddr::V4(short) if key.ip_version == 4 => short.octets().to_vec(),
            IpAddr::V4(short) => short.to_ipv6_mapped().octets().to_vec(),
            IpAddr::V6(long) => long.octets().to_vec(),
        };
        assert_eq!(record.values[&(0, id)], bytes);
    }
    match (key.ip_version, key.protocol) {
        (4, 1) => assert_eq!(is(32), key.destination_port.into()),
        (6, 58) => assert_eq!(is(139), key.destination_port.into()),
        _ => {
            assert_eq!((is(7), is(11)), (key.source_port.into(), key.destination_port.into()));
            assert_eq!(is(6), counts.tcp_flags.into());
        }
    }
    let by_chance = key.sampling_random != 0 && key.sampling_one_in > 1;
    let selector = u64::from(key.sampling_one_in) | if by_chance { 1 << 31 } else { 0 };
    assert_eq!((is(302), record.number(OURS, 4)), (selector, key.sampling_one_in.into()));
    let (verdict, position, member, status, dropped) = match (fate, key.direction) {
        (Fate::Unobserved, _) => (0, 0, String::new(), 0, Amount::default()),
        (Fate::Passed, _) => (1, 0, String::new(), 64, Amount::default()),
        (Fate::Left(at), 0) => (3, at.into(), format!("{at}{}", "m".repeat(62)), 128, amount),
        (Fate::Left(at), _) => (2, at.into(), String::new(), 0, Amount::default()),
    };
    assert_eq!((record.number(OURS, 1), record.number(OURS, 3)), (verdict, position));
    assert_eq!((record.text(OURS, 2), is(89)), (member, status));
    assert_eq!((is(132), is(133)), (dropped.bytes, dropped.packets));
}

proptest! {
    #[test]
    fn what_a_collector_reads_of_flows_is_what_was_counted(
        flows in prop::collection::vec(told(), 1..100),
        first_record in any::<u32>(),
    ) {
        let settings = settings();
        let mut collector = informed(&settings);
        let (mut rest, mut next) = (&flows[..], u64::from(first_record));
        while !rest.is_empty() {
            let (packed, records) = compose::pack(rest.iter().copied(), &settings, CLOCK);
            prop_assert!(!packed.is_empty() && packed.len() <= MESSAGE_FLOWS);
            rest = &rest[packed.len()..];
            let batch = Batch { first_record: next, records, flows: packed };
            let before = collector.sequence;
            let bytes = compose::flows(&batch, &settings, CLOCK).finish(1, before, settings.domain);
            prop_assert!(bytes.len() <= settings.most_bytes());
            collector.records.clear();
            prop_assert_eq!(collector.read(&bytes), before);
            prop_assert_eq!(collector.sequence, before + records);
            prop_assert_eq!(collector.records.len(), records as usize);
            let fates = batch.flows.iter().flat_map(|told| told.fates().into_iter().map(move |fate| (told, fate)));
            for (record, (told, fate)) in collector.records.iter().zip(fates) {
                compare(record, told, fate);
                prop_assert_eq!(record.number(OURS, 5), next);
                next += 1;
            }
        }
        prop_assert_eq!(collector.domain, 7);
    }

    #[test]
    fn the_fates_of_a_flow_are_all_of_its_packets(told in told()) {
        let all = told.fates().iter().fold(Amount::default(), |sum, (_, amount)| Amount {
            packets: sum.packets + amount.packets,
            bytes: sum.bytes + amount.bytes,
        });
        prop_assert_eq!(all, told.counts.all);
        prop_assert!(told.fates().len() <= CHECKPOINTS + 1);
    }

    #[test]
    fn a_message_takes_what_fits_and_nothing_more(
        most in HEADER_BYTES..70_000,
        records in prop::collection::vec((256_u16..260, 1_usize..3000), 0..100),
    ) {
        let mut message = Message::new(most);
        let mut taken = 0;
        for (set, bytes) in records {
            let before = message.len();
            match message.add(set, &vec![0; bytes]) {
                Ok(()) => taken += 1,
                Err(Full) => prop_assert!(before == message.len() && before + bytes + 4 > most.min(65535)),
            }
        }
        prop_assert_eq!(message.records(), taken);
        let bytes = message.finish(0, 0, 0);
        prop_assert!(bytes.len() <= most.min(65535));
        prop_assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), bytes.len());
    }
}

#[test]
fn collectors_are_told_what_our_elements_are() {
    let collector = informed(&settings());
    let types: Vec<&Record> =
        collector.records.iter().filter(|record| [263, 264].contains(&record.template)).collect();
    assert_eq!(types.len(), 10);
    let one = types.iter().find(|record| record.number(0, 303) == 4).unwrap();
    assert_eq!((one.number(0, 346), one.text(0, 341)), (OURS.into(), "samplingOneIn".to_owned()));
    // An unsigned number of 32 bits, a quantity, of packets, from 1 to 2^20.
    assert_eq!((one.number(0, 339), one.number(0, 344), one.number(0, 345)), (3, 1, 3));
    assert_eq!((one.number(0, 342), one.number(0, 343)), (1, 1 << 20));
    assert_eq!(collector.templates[&263].0, 2, "number and enterprise are the scope");
}

#[test]
fn collectors_are_told_how_packets_are_chosen_at_each_hook() {
    let by_chance = RodataConstants { sampling_one_in: 8, sampling_random: true, ..constants() };
    let instances = [(place("tc-ingress"), constants()), (place("tc-egress"), by_chance)];
    let collector = informed(&Settings::read(&instances).unwrap());
    let find = |template: u16| collector.records.iter().find(|record| record.template == template).unwrap();
    let (all, some) = (find(261), find(262));
    assert_eq!([302, 304, 305, 306].map(|id| all.number(0, id)), [1, 1, 1, 0]);
    assert_eq!([302, 304].map(|id| some.number(0, id)), [1 << 31 | 8, 4]);
    assert_eq!(some.number(0, 311), 0.125_f64.to_bits());
}

#[test]
fn flows_that_were_counted_in_a_chain_of_before_are_not_known() {
    let counts = |checkpoints| RodataConstants { checkpoints, ..constants() };
    let checkpoint = RodataConstants { position: 1, ..counts(3) };
    let settings = Settings::read(&[
        (place("tc-ingress"), counts(2)),
        (place("tc-ingress"), checkpoint),
        (place("tc-egress"), counts(0)),
    ]);
    let settings = settings.unwrap();
    let knows = |direction, checkpoints| settings.knows(&Key { direction, checkpoints, ..key(1) });
    assert_eq!([0, 1, 2, 3].map(|checkpoints| knows(0, checkpoints)), [false, false, true, false]);
    assert_eq!([0, 1, 2, 3].map(|checkpoints| knows(1, checkpoints)), [true, false, false, false]);
    assert!(!knows(2, 0), "there is no such direction");
}

#[test]
fn settings_that_do_not_fit_together_are_told_of() {
    let other = RodataConstants { observation_domain: 8, ..constants() };
    let position =
        |behind: &str| RodataConstants { position: 1, behind: Text::new(behind).unwrap(), ..constants() };
    let instances = [
        (place("tc-ingress"), constants()),
        (place("tc-egress"), other),
        (place("tc-ingress"), position("one")),
        (place("tc-ingress"), position("two")),
        (place("tc-egress"), position("three")),
    ];
    let settings = Settings::read(&instances).unwrap();
    let told = settings.warnings.join("\n");
    for words in
        ["other settings of collector", "behind `one` and `two`", "32473, which is for documentation"]
    {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(settings.domain, 7);
    assert_eq!(settings.checkpoint(0, 1).unwrap().behind, "");
    assert_eq!(settings.checkpoint(1, 1).unwrap().behind, "three");
    assert_eq!(settings.checkpoint(1, 2), None);
    assert_eq!(settings.checkpoint(1, 0), None);
}
