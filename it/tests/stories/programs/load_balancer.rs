// SPDX-License-Identifier: Apache-2.0
//! `load-balancer`: HTTP servers in namespaces, which answer clients by themselves; one of them dies.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;

use it::{run, run_in};

use crate::kernel;
use crate::user::only;

mod change;
mod farm;

use farm::{Conversation, Farm, VIPS, document, http, service, udp};

/// How many connections are enough for shares.
const TRIES: u16 = 400;
/// From where the client asks before and after a server dies.
const PORTS: Range<u16> = 20_000..20_600;

/// Whether the kernel is older than the package asks for.
fn is_too_old() -> bool {
    kernel() < "6.1".parse().unwrap()
}

/// How many connections each server took.
fn shares(names: &[String]) -> BTreeMap<&str, f64> {
    let mut shares = BTreeMap::new();
    for name in names {
        *shares.entry(name.as_str()).or_default() += 1.0;
    }
    shares
}

#[test]
fn flows_are_spread_over_servers_which_answer_by_themselves() {
    if is_too_old() {
        return;
    }
    let mut farm = Farm::new(4).unwrap();
    let wraps = [
        "encapsulation = \"ipip\"",
        "encapsulation = \"gue\"",
        "encapsulation = \"ipip\", address = \"fd14:3::2\"",
        "encapsulation = \"gue\", address = \"fd14:4::2\"",
    ];
    let backends: Vec<String> =
        farm.servers.iter().zip(wraps).map(|(server, wrap)| server.backend(wrap)).collect();
    farm.apply(&document(&http(), &backends, "").unwrap()).unwrap();
    // Both families through each kind of tunnel.
    for vip in VIPS {
        let names = farm.ask_all(vip, 20_000..20_000 + TRIES).unwrap();
        let shares = shares(&names);
        assert_eq!(shares.len(), 4, "{shares:?}");
        // Five times the standard deviation of a fair die of four sides.
        let (mean, deviation) = (f64::from(TRIES) / 4.0, (f64::from(TRIES) * 0.25 * 0.75).sqrt());
        for (name, share) in &shares {
            assert!((share - mean).abs() <= 5.0 * deviation, "{name}: {share} of {TRIES}: {shares:?}");
        }
    }
    // With a tag the same flows go to the same servers.
    let untagged = farm.ask_all(VIPS[0], 20_000..20_040).unwrap();
    farm.tag().unwrap();
    for vip in VIPS {
        let tagged = farm.ask_all(vip, 20_000..20_040).unwrap();
        assert!(vip != VIPS[0] || tagged == untagged, "{tagged:?}");
    }
    for (outcome, is_good) in
        [("forwarded", true), ("no_backend", false), ("no_route", false), ("no_neighbour", false)]
    {
        assert_eq!(farm.outcome(outcome).unwrap() > 0, is_good, "{outcome}");
    }
    let metrics =
        run(&format!("curl -sS --unix-socket {} http://localhost/metrics", farm.node.socket().display()))
            .unwrap();
    let connections: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("l3af_map_load_balancer_traffic_connections"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    // A SYN that was lost comes again; none is forgotten.
    assert!(connections >= f64::from(2 * TRIES + 40 + 80), "{metrics}");
    assert!(metrics.contains("l3af_map_load_balancer_health_up"), "{metrics}");
}

#[test]
fn of_ten_servers_one_dies_and_the_flows_of_the_others_stay() {
    if is_too_old() {
        return;
    }
    let mut farm = Farm::new(10).unwrap();
    farm.balance().unwrap();
    let before = farm.ask_all(VIPS[0], PORTS).unwrap();
    // Connections that last, to all servers.
    let mut lasting: Vec<(String, Conversation)> = (30_000..30_060)
        .map(|port| {
            let mut conversation = Conversation::begin(&farm.pair.left, VIPS[0], port).unwrap();
            (conversation.ask().unwrap(), conversation)
        })
        .collect();
    let dead = "server 4";
    farm.servers[3].kill().unwrap();
    farm.wait(4, 0);
    let after = farm.ask_all(VIPS[0], PORTS).unwrap();
    assert!(!after.iter().any(|name| name == dead), "{:?}", shares(&after));
    let others: Vec<_> = before.iter().zip(&after).filter(|(before, _)| *before != dead).collect();
    let moved = others.iter().filter(|(before, after)| before != after).count();
    assert!(others.len() > 400 && moved * 50 <= others.len(), "{moved} of {} moved", others.len());
    // Not one of those that last.
    for (name, conversation) in lasting.iter_mut().filter(|(name, _)| name != dead) {
        assert_eq!(conversation.ask().unwrap(), *name);
    }
    // It comes back, and takes its share again, but for flows that have begun meanwhile.
    let mut begun: Vec<(String, Conversation)> = (31_000..31_060)
        .map(|port| {
            let mut conversation = Conversation::begin(&farm.pair.left, VIPS[0], port).unwrap();
            (conversation.ask().unwrap(), conversation)
        })
        .collect();
    farm.servers[3].serve().unwrap();
    farm.wait(4, 1);
    for (name, conversation) in begun.iter_mut().chain(lasting.iter_mut().filter(|(name, _)| name != dead)) {
        assert_eq!(conversation.ask().unwrap(), *name);
    }
    let again = farm.ask_all(VIPS[0], 40_000..40_300).unwrap();
    assert!(again.iter().any(|name| name == dead), "{:?}", shares(&again));
}

#[test]
fn without_its_user_part_packets_go_on_and_it_goes_on_where_it_was() {
    if is_too_old() {
        return;
    }
    let farm = Farm::new(3).unwrap();
    farm.balance().unwrap();
    let before = farm.ask_all(VIPS[1], 20_000..20_050).unwrap();
    let pools = farm.node.l3af(&["get", "lb", "pools", "0"]).unwrap();
    let pid = only(&farm.node).pid.unwrap();
    run(&format!("kill -KILL {pid}")).unwrap();
    assert_eq!(farm.ask_all(VIPS[1], 20_000..20_050).unwrap(), before);
    let runs_again = || only(&farm.node).pid.is_some_and(|other| other != pid);
    farm.node.wait("it runs again", runs_again);
    let checks = |number| farm.health(number).unwrap()["successes"].as_u64().unwrap();
    let seen = checks(1);
    farm.node.wait("it checks again", || checks(1) > seen + 1);
    assert_eq!(farm.node.l3af(&["get", "lb", "pools", "0"]).unwrap(), pools, "nothing changed");
    assert_eq!(farm.ask_all(VIPS[1], 20_000..20_050).unwrap(), before);
    // What the daemon is not needed for, it is not needed for.
    let mut farm = farm;
    farm.node.kill().unwrap();
    assert_eq!(farm.ask_all(VIPS[1], 20_000..20_050).unwrap(), before);
    farm.node.restart().unwrap();
}

#[test]
fn a_backend_that_drains_keeps_its_flows_and_gets_no_new_ones() {
    if is_too_old() {
        return;
    }
    let farm = Farm::new(2).unwrap();
    farm.balance().unwrap();
    let mut conversations: Vec<(String, Conversation)> = (30_000..30_020)
        .map(|port| {
            let mut conversation = Conversation::begin(&farm.pair.left, VIPS[1], port).unwrap();
            (conversation.ask().unwrap(), conversation)
        })
        .collect();
    assert!(conversations.iter().any(|(name, _)| name == "server 1"));
    let backends = [farm.servers[0].backend("weight = 0"), farm.servers[1].backend("weight = 3")];
    farm.apply(&document(&http(), &backends, "").unwrap()).unwrap();
    farm.node.wait("it drains", || farm.health(1).is_ok_and(|health| health["slots"] == 0));
    for (name, conversation) in &mut conversations {
        assert_eq!(conversation.ask().unwrap(), *name);
    }
    let new = farm.ask_all(VIPS[1], 20_000..20_050).unwrap();
    assert!(new.iter().all(|name| name == "server 2"), "{:?}", shares(&new));
    // What is out of bounds is refused before it reaches a map, and changes nothing.
    let wrong = |services: &[String], backend: &str, rest: &str| {
        let wrong = document(services, &[farm.servers[0].backend(backend)], rest).unwrap();
        let ran = farm.node.apply(&wrong).unwrap();
        assert!(!ran.ok, "{wrong}");
        ran.stderr
    };
    for (services, backend, rest, place) in [
        (http(), "weight = 101", "", "config/backends/0/value/weight"),
        (http(), "pool = 16", "", "config/backends/0/value/pool"),
        (http(), "encapsulation = \"vxlan\"", "", "config/backends/0/value/encapsulation"),
        (http(), "check_port = 0", "", "config/backends/0/value/check_port"),
        (vec![service("203.0.113.10", 0, "tcp")], "", "", "config/services/0/key/port"),
        (vec![service("203.0.113.10", 80, "sctp")], "", "", "config/services/0/key/protocol"),
        (http(), "", "check_timeout_ms = 5", "config/check_timeout_ms"),
        (http(), "", "connection_affinity = \"25h\"", "config/connection_affinity"),
    ] {
        let refusal = wrong(&services, backend, rest);
        assert!(refusal.contains(place), "{place}: {refusal}");
    }
    assert_eq!(farm.health(1).unwrap()["weight"], 0);
    for (name, conversation) in &mut conversations {
        assert_eq!(conversation.ask().unwrap(), *name);
    }
}

#[test]
fn datagrams_find_their_server_and_errors_about_answers_do_too() {
    if is_too_old() {
        return;
    }
    let farm = Farm::new(2).unwrap();
    let services: Vec<String> = VIPS.map(|vip| service(vip, 53, "udp")).to_vec();
    let backends: Vec<String> = farm.servers.iter().map(|server| server.backend("")).collect();
    farm.apply(&document(&services, &backends, "").unwrap()).unwrap();
    for (vip, any) in VIPS.iter().zip(["0.0.0.0:5000", "[::]:5000"]) {
        let at = SocketAddr::new(vip.parse().unwrap(), 53);
        let servers: Vec<UdpSocket> =
            farm.servers.iter().map(|server| udp(&server.side, at).unwrap()).collect();
        let client = udp(&farm.pair.left, any.parse().unwrap()).unwrap();
        client.connect(at).unwrap();
        let ask = || assert_eq!(client.send(b"question").unwrap(), 8);
        let receives = |server: &&UdpSocket| server.peek_from(&mut [0; 8]).is_ok();
        farm.node.wait("a question arrives", || {
            ask();
            servers.iter().any(|server| receives(&server))
        });
        (0..5).for_each(|_| ask());
        // All of them come to one server.
        let (asked, others): (Vec<&UdpSocket>, Vec<&UdpSocket>) = servers.iter().partition(receives);
        let [server] = asked[..] else { panic!("{asked:?} were asked") };
        server.set_nonblocking(false).unwrap();
        let mut from = None;
        for _ in 0..6 {
            from = Some(server.recv_from(&mut [0; 8]).unwrap().1);
        }
        assert!(!others.iter().any(receives), "{others:?}");
        server.connect(from.unwrap()).unwrap();
        server.send(b"answer").unwrap();
        assert_eq!(client.recv(&mut [0; 8]).unwrap(), 6);
        // Nobody takes the next answers: the error about one finds the server that gave it. The kernel may keep some errors
        // to itself, as all of the machine share a limit of how many there are in a second.
        drop(client);
        server.set_nonblocking(true).unwrap();
        let before = farm.outcome("error_forwarded").unwrap();
        farm.node.wait("the server learns that nobody takes its answers", || {
            let refused = server.send(b"answer").and_then(|_| server.recv(&mut [0; 8])).err();
            refused.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        });
        assert!(farm.outcome("error_forwarded").unwrap() > before);
    }
}

#[test]
fn a_client_learns_how_much_fits_into_a_tunnel() {
    if is_too_old() {
        return;
    }
    let mut farm = Farm::new(2).unwrap();
    farm.hear().unwrap();
    let backends =
        [farm.servers[0].backend("encapsulation = \"gue\""), farm.servers[1].backend("weight = 0")];
    farm.apply(&document(&http(), &backends, "").unwrap()).unwrap();
    for vip in VIPS {
        let mut conversation = Conversation::begin(&farm.pair.left, vip, 20_000).unwrap();
        assert_eq!(conversation.ask_at_length().unwrap(), "server 1");
        // A cable takes 1500 bytes: 20 of IPv4 and 8 of UDP are gone.
        let route = run_in(&farm.pair.left.namespace, &format!("ip route get {vip}")).unwrap();
        assert!(route.contains("mtu 1472"), "{route}");
    }
    assert!(farm.outcome("too_big").unwrap() >= 2);
}
