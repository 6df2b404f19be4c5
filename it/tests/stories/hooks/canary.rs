// SPDX-License-Identifier: Apache-2.0
//! Members whose verdicts are counted and not followed, for all flows or for some.

use it::specimen;
use kernel::{Membership, Trial};
use package::{Enforcement, HookPoint};

use crate::hooks::corpus::{frames, last_verdict, programs, run_all};

/// A chain of one program that says the same to every packet, enforced as given: `XDP_DROP`, or what ends a chain at TC.
fn always(point: HookPoint, enforcement: &str) -> Trial {
    let enforcement = enforcement.parse::<Enforcement>().unwrap();
    let how = Membership { enforcement, ..Membership::default_for(point) };
    let specimen = specimen(if point == HookPoint::Xdp { "drops" } else { "ends_tc" }).unwrap();
    Trial::chain(point, &[(programs(&specimen).remove(0), how)]).unwrap()
}

/// What is in front of the ports of a flow.
#[derive(Debug, Clone, Copy)]
enum Headers {
    Ipv4,
    /// Behind one VLAN tag.
    Tagged,
    /// Behind two.
    Stacked,
    Ipv6,
}

/// A UDP frame of a flow between two ends, each an address and a port.
fn datagram(headers: Headers, ends: [(u32, u16); 2], payload: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    match headers {
        Headers::Ipv4 | Headers::Ipv6 => {}
        Headers::Tagged => frame.extend([0x81, 0x00, 0, 7]),
        Headers::Stacked => frame.extend([0x88, 0xa8, 0, 9, 0x81, 0x00, 0, 7]),
    }
    if matches!(headers, Headers::Ipv6) {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 9, 17, 64]);
    } else {
        frame.extend([0x08, 0x00, 0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0]);
    }
    for (address, _) in ends {
        if matches!(headers, Headers::Ipv6) {
            frame.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        frame.extend(address.to_be_bytes());
    }
    for (_, port) in ends {
        frame.extend(port.to_be_bytes());
    }
    frame.extend([0, 9, 0, 0, payload]);
    frame
}

/// In how many of ten thousand flows the member is obeyed. Packets of a flow, and their answers, must be treated alike.
fn obeyed(point: HookPoint, headers: Headers, enforcement: &str, flows: u32) -> u32 {
    let verdict = if point == HookPoint::Xdp { 1 } else { last_verdict(point) };
    let trial = always(point, enforcement);
    let mut obeyed = 0;
    for flow in 0..flows {
        let from = (0x0a00_0000 + flow / 64, 1024 + u16::try_from(flow % 64).unwrap());
        let to = (0x0a80_0000 + flow % 7, 443);
        let is_obeyed =
            |ends, payload| trial.run(&datagram(headers, ends, payload), 1).unwrap().verdict == verdict;
        let first = is_obeyed([from, to], 0);
        obeyed += u32::from(first);
        if flow % 16 == 0 {
            assert_eq!(is_obeyed([from, to], 9), first, "{headers:?} at {point}: the same flow");
            assert_eq!(is_obeyed([to, from], 1), first, "{headers:?} at {point}: its answers");
        }
    }
    10_000 * obeyed / flows
}

#[test]
fn a_canary_takes_its_share_of_flows_and_a_flow_is_always_on_one_side() {
    let (flows, allowed) = (crate::rounds(20_000, 2_000), crate::rounds(100, 350));
    let (flows, allowed) = (u32::try_from(flows).unwrap(), u32::try_from(allowed).unwrap());
    for point in [HookPoint::Xdp, HookPoint::TcIngress] {
        for headers in [Headers::Ipv4, Headers::Tagged, Headers::Stacked, Headers::Ipv6] {
            for percent in [1, 10, 50, 90] {
                let share = obeyed(point, headers, &format!("canary {percent}%"), flows);
                let is_near = share.abs_diff(percent * 100) < allowed;
                assert!(is_near, "{headers:?} at {point}: {percent}% of flows were {share} of 10000");
            }
        }
    }
}

#[test]
fn a_member_in_shadow_is_counted_and_not_followed() {
    let trial = always(HookPoint::Xdp, "shadow");
    let frames = frames(50);
    assert!(run_all(&trial, &frames).iter().all(|ran| ran.verdict == 2));
    let reading = trial.readings().unwrap().remove(0);
    assert_eq!(reading.shadowed.0[1].packets, 50, "would have dropped");
    assert_eq!(reading.left.0[2].packets, 50, "left, passing");
    let bytes: usize = frames.iter().map(Vec::len).sum();
    assert_eq!((reading.shadowed.0[1].bytes, reading.left.0[2].bytes), (bytes as u64, bytes as u64));
}
