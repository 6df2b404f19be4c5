// SPDX-License-Identifier: Apache-2.0
//! Transport sessions over UDP: which one a process goes on with.

use std::net::{IpAddr, UdpSocket};

use super::decode::Collector;
use super::encoding::constants;
use super::killed::Maps;
use crate::ledger::Accounts;
use crate::maps::RodataConstants;
use crate::pause::Now;
use crate::record::Statistics;
use crate::settings::Settings;
use crate::udp::Udp;

/// A process with these constants sends its announcements. Returns the port that they come from, the first sequence number, and the
/// one behind the last.
fn announce(maps: &Maps, collector: &UdpSocket, constants: RodataConstants) -> (u16, u32, u32) {
    let address = collector.local_addr().unwrap();
    let settings = Settings::read(&[(Vec::new(), constants)]).unwrap();
    let mut accounts = Accounts::open(maps.clone()).unwrap();
    let before = accounts.progress.sequence;
    Udp::new(address).pump(&mut accounts, (&settings, &Statistics::default()), &Now::read()).unwrap();
    let (mut read, mut port, mut first) = (Collector::default(), 0, None);
    while first.unwrap_or(before).wrapping_add(read.sequence) != accounts.progress.sequence {
        let mut message = [0; 2048];
        let (length, from) = collector.recv_from(&mut message).unwrap();
        port = from.port();
        let sequence = read.read(&message[..length]);
        first.get_or_insert(sequence);
    }
    (port, first.unwrap(), accounts.progress.sequence)
}

#[test]
fn a_process_goes_on_with_the_session_of_before_unless_its_templates_are_others() {
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address: IpAddr = collector.local_addr().unwrap().ip();
    let constants = RodataConstants { collector: address, ..constants() };
    let maps = Maps::empty();
    let (port, first, next) = announce(&maps, &collector, constants);
    assert_eq!(first, 0);
    let (same, goes_on, next_of_same) = announce(&maps, &collector, constants);
    assert_eq!((same, goes_on), (port, next));
    assert!(next_of_same > next);
    let other = RodataConstants { enterprise_number: 1, ..constants };
    let (another, begins, _) = announce(&maps, &collector, other);
    assert_eq!(begins, 0);
    assert_ne!(another, port);
}
