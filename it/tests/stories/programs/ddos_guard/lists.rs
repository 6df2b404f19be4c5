// SPDX-License-Identifier: Apache-2.0
//! Lists of senders, in the document and in the feed.

use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use it::{run_in, send_frames};

use super::{Guarded, LEFT, RIGHT, datagram};

#[test]
fn senders_are_blocked_and_allowed_by_the_longest_prefix() {
    let config = r#"
senders_ipv4 = { "10.213.7.8/29" = "block", "10.213.7.9" = "allow" }
senders_ipv6 = { "fd00:213:7::8/125" = "block", "fd00:213:7::9" = "allow" }
"#;
    let Some(guarded) = Guarded::new(config) else { return };
    let left = &guarded.pair.left.namespace;
    for last in [8, 9] {
        run_in(left, &format!("ip address add 10.213.7.{last}/24 dev left0")).unwrap();
        run_in(left, &format!("ip address add fd00:213:7::{last}/64 dev left0 nodad")).unwrap();
    }
    for (from, to, passes) in [
        (LEFT[0], RIGHT[0], true),
        ("10.213.7.8", RIGHT[0], false),
        ("10.213.7.9", RIGHT[0], true),
        (LEFT[1], RIGHT[1], true),
        ("fd00:213:7::8", RIGHT[1], false),
        ("fd00:213:7::9", RIGHT[1], true),
    ] {
        assert_eq!(guarded.pings(from, to), passes, "{from} to {to}");
    }
    // Under a tag as well.
    let (blocked, allowed) = (guarded.reason("blocked"), guarded.reason("allowed"));
    assert!(blocked >= 4, "{blocked}");
    let tagged = [
        ("10.213.7.8", RIGHT[0]),
        ("fd00:213:7::8", RIGHT[1]),
        ("10.213.7.9", RIGHT[0]),
        ("fd00:213:7::9", RIGHT[1]),
    ];
    let tagged = tagged.map(|(from, to)| datagram("eth / vlan(7)", from, to, r#""tagged""#));
    send_frames(&guarded.pair.left, tagged).unwrap();
    guarded.node.wait("two are blocked and two allowed", || {
        guarded.reason("blocked") - blocked >= 2 && guarded.reason("allowed") - allowed >= 2
    });
    // Another document is another list.
    guarded.apply(r#"senders_ipv4 = { "10.213.7.9" = "block" }"#);
    assert!(guarded.pings("10.213.7.8", RIGHT[0]) && !guarded.pings("10.213.7.9", RIGHT[0]));
    assert!(guarded.pings("fd00:213:7::8", RIGHT[1]));
}

/// A file with a list of sources, as feeds have it, and `=block` behind each.
fn list(guarded: &Guarded, name: &str, network: u8, more: &[&str]) -> String {
    let mut text = String::new();
    for number in 0..5000_u16 {
        let [high, low] = number.to_be_bytes();
        writeln!(text, "198.{network}.{high}.{low}=block").unwrap();
    }
    for source in more {
        writeln!(text, "{source}=block").unwrap();
    }
    let path = guarded.node.state().join(name);
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn a_list_is_exchanged_as_a_whole_under_traffic() {
    const SOURCES: [&str; 4] = ["203.0.113.1", "2001:db8:213::1", "203.0.113.2", "203.0.113.3"];
    let [both, both_ipv6, either, none] = SOURCES;
    let Some(guarded) = Guarded::new("") else { return };
    let a = list(&guarded, "a", 18, &[both]);
    let b = list(&guarded, "b", 19, &[both, either]);
    guarded.set(&["hosts_ipv4_a", "--replace", "--file", &a]);
    guarded.set(&["hosts_ipv6_a", &format!("{both_ipv6}=block")]);
    guarded.set(&["hosts_ipv6_b", &format!("{both_ipv6}=block")]);
    let inbox = guarded.inbox();
    // A list that is there and not in force does nothing.
    inbox.wait_for(both, || guarded.forge(both, RIGHT[0], r#""before""#));
    guarded.set(&["feed", "0=a"]);
    inbox.wait_for(none, || guarded.forge(none, RIGHT[0], r#""marker""#));
    let before = inbox.from(both);
    let done = AtomicBool::new(false);
    let forge = |source: &str| {
        let to = if source == both_ipv6 { RIGHT[1] } else { RIGHT[0] };
        guarded.forge(source, to, r#""packet""#);
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                SOURCES.into_iter().for_each(forge);
                thread::sleep(Duration::from_micros(200));
            }
        });
        guarded.set(&["hosts_ipv4_b", "--replace", "--file", &b]);
        for round in 0..10 {
            guarded.set(&["feed", if round % 2 == 0 { "0=b" } else { "0=a" }]);
        }
        // What is not in force can be exchanged meanwhile.
        guarded.set(&["hosts_ipv4_b", "--replace", "--file", &a]);
        guarded.set(&["feed", "0=b"]);
        done.store(true, Ordering::SeqCst);
    });
    inbox.wait_for(none, || guarded.forge(none, RIGHT[0], r#""marker""#));
    assert_eq!((inbox.from(both), inbox.from(both_ipv6)), (before, 0));
    assert!(inbox.from(either) > 0 && guarded.reason("feed") > 0);
    let held = guarded.node.l3af(&["get", "ddos-guard", "hosts_ipv4_b", "--json"]).unwrap();
    assert_eq!(held.lines().count(), 5001);
    assert!(!held.contains(either) && held.contains("198.18.0.1") && !held.contains("198.19.0.1"));
}

#[test]
fn a_list_with_a_fault_changes_nothing_and_an_empty_one_empties() {
    let Some(guarded) = Guarded::new("") else { return };
    guarded.set(&["hosts_ipv4_a", "203.0.113.1=block"]);
    let file = guarded.node.state().join("list");
    let path = file.to_string_lossy();
    let held = || guarded.node.l3af(&["get", "ddos-guard", "hosts_ipv4_a"]).unwrap();
    let before = held();
    for (map, text, why) in [
        ("hosts_ipv4_a", "203.0.113.2=block\n203.0.113.2=allow\n", "line 2"),
        ("hosts_ipv4_a", "203.0.113.2=block\n203.0.113.3=nobody\n", "line 2"),
        ("feed", "0=a\n", "array"),
    ] {
        fs::write(&file, text).unwrap();
        let ran = guarded.node.cli(&["set", "ddos-guard", map, "--replace", "--file", &path]).unwrap();
        assert!(!ran.ok && ran.stderr.contains(why), "{text}: {}", ran.stderr);
        assert_eq!(held(), before, "{text}");
    }
    fs::write(&file, "").unwrap();
    guarded.set(&["hosts_ipv4_a", "--replace", "--file", &path]);
    assert_eq!(held(), "");
}

#[test]
fn networks_of_a_feed_hold_beside_its_hosts() {
    let Some(guarded) = Guarded::new("") else { return };
    guarded.set(&["networks_ipv4_b", "10.213.7.0/24=block"]);
    guarded.set(&["networks_ipv6_b", "fd00:213::/32=block"]);
    run_in(&guarded.pair.left.namespace, "ip address add fd00:213:7::9/64 dev left0 nodad").unwrap();
    guarded.set(&["hosts_ipv6_b", "fd00:213:7::9=allow"]);
    assert!(guarded.pings(LEFT[0], RIGHT[0]) && guarded.pings(LEFT[1], RIGHT[1]));
    guarded.set(&["feed", "0=b"]);
    assert!(!guarded.pings(LEFT[0], RIGHT[0]) && !guarded.pings(LEFT[1], RIGHT[1]));
    assert!(guarded.pings("fd00:213:7::9", RIGHT[1]));
    guarded.set(&["feed", "0=none"]);
    assert!(guarded.pings(LEFT[0], RIGHT[0]) && guarded.pings(LEFT[1], RIGHT[1]));
}
