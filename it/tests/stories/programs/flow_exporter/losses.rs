// SPDX-License-Identifier: Apache-2.0
//! What is passed over and what is lost is counted, and the collector is told how much.

use std::net::TcpListener;

use it::run;

use super::{Got, INGRESS, OURS, accept, apply, datagrams, document, metering, process, scene, send};

/// Takes messages until the statistics of the exporter say something.
#[track_caller]
fn statistics(got: &mut Got, socket: &std::net::UdpSocket, element: (u32, u16), at_least: u64) -> u64 {
    got.receive(socket, "it is told what was counted", |got| {
        got.counted(element).is_some_and(|count| count >= at_least)
    });
    got.counted(element).unwrap()
}

impl Got {
    /// What the last statistics say.
    fn counted(&self, (enterprise, id): (u32, u16)) -> Option<u64> {
        Some(self.statistics.as_ref()?.number(enterprise, id))
    }
}

#[test]
fn sampled_packets_and_those_passed_over_are_all_that_were_sent() {
    for (config, records) in
        [("sampling_one_in = 10", 261), ("sampling_one_in = 10, sampling_random = true", 262)]
    {
        let Some((pair, node)) = scene() else { return };
        let (socket, port) = datagrams(&pair, "127.0.0.1");
        let collector = format!(
            "collector = \"127.0.0.1\", collector_port = {port}, idle_timeout = 1, template_refresh = 1, {config}"
        );
        apply(&node, &document(&collector, INGRESS));
        let mut got = Got::default();
        for round in 0..4 {
            send(&pair, &format!("0.0.0.0:{}", 24_000 + round), "10.213.7.2:9", 500, 10);
        }
        let (observed, unsampled) = (metering(&node, "observed"), metering(&node, "unsampled"));
        assert!(observed >= 2000, "{observed}");
        let chosen = observed - unsampled;
        let others = metering(&node, "other");
        got.receive(&socket, "all that was chosen is told of", |got| got.packets >= chosen - others);
        // One of ten on each processor; by chance some 200, give or take six standard deviations.
        assert!((100..300).contains(&chosen), "{chosen}");
        let record = got.records.values().next().unwrap();
        let selector = if records == 261 { 10 } else { 0x8000_000a };
        assert_eq!((record.number(OURS, 4), record.number(0, 302)), (10, selector));
        let sampling = got.options.iter().find(|options| options.template == records).unwrap();
        assert_eq!(sampling.number(0, 302), selector);
        if records == 261 {
            assert_eq!((sampling.number(0, 305), sampling.number(0, 306)), (1, 9));
        } else {
            assert_eq!(f64::from_bits(sampling.number(0, 311)).to_bits(), 0.1_f64.to_bits());
        }
        assert!(statistics(&mut got, &socket, (OURS, 7), unsampled) >= unsampled);
    }
}

#[test]
fn packets_of_flows_that_find_no_room_are_counted_and_nothing_else_is_lost() {
    const FLOWS: u64 = 70_000;
    // Hosts send some packets by themselves, which may find no room either.
    const OTHERS: u64 = 16;
    let Some((pair, node)) = scene() else { return };
    // Over a connection, so that the collector gets all that is told.
    let listener = pair.right.inside(|| TcpListener::bind("127.0.0.1:0")).unwrap().unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = format!(
        "collector = \"127.0.0.1\", collector_port = {port}, collector_transport = \"tcp\", idle_timeout = 1, template_refresh = 1"
    );
    apply(&node, &document(&config, INGRESS));
    let mut stream = accept(&listener);
    let pid = process(&node).unwrap();
    run(&format!("kill -STOP {pid}")).unwrap();
    // Two addresses, and more ports than the table has entries.
    let sent = pair.left.inside(|| {
        let sockets = [25_000, 25_001].map(|port| std::net::UdpSocket::bind(("0.0.0.0", port)).unwrap());
        for number in 0..FLOWS {
            let port = u16::try_from(1000 + number / 2).unwrap();
            sockets[usize::try_from(number % 2).unwrap()].send_to(&[0; 10], ("10.213.7.2", port))?;
            if number % 32 == 31 {
                std::thread::yield_now();
            }
        }
        std::io::Result::Ok(())
    });
    sent.unwrap().unwrap();
    let ignored = metering(&node, "ignored_packets");
    run(&format!("kill -CONT {pid}")).unwrap();
    assert!(ignored >= FLOWS - 65_536, "{ignored}");
    let mut got = Got::default();
    // Each frame that came is in exactly one place.
    let is_all = |got: &Got| {
        let Some(statistics) = &got.statistics else { return false };
        let told = got.packets;
        let (lost, others) =
            (statistics.number(0, 164), statistics.number(OURS, 8) + statistics.number(OURS, 9));
        told + lost + others >= statistics.number(OURS, 6) && told + lost >= FLOWS
    };
    got.stream(&mut stream, "the others are told of", is_all);
    let ours = got.totals().into_iter().filter(|((_, from, _), _)| (25_000..=25_001).contains(from));
    let (lost, lost_bytes) = (got.counted((0, 164)).unwrap(), got.counted((0, 165)).unwrap());
    let told = ours.map(|(_, (packets, _))| packets).sum::<u64>();
    assert!(lost >= ignored && (FLOWS..=FLOWS + OTHERS).contains(&(told + lost)), "{told} {lost} {ignored}");
    assert!(
        (FLOWS - told) * 38 <= lost_bytes && lost_bytes <= lost * 38 + OTHERS * 100,
        "{lost_bytes} {lost}"
    );
}
