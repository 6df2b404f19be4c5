// SPDX-License-Identifier: Apache-2.0
//! Network interfaces as the kernel lists them, in any network namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::thread;

use package::{Interface, InterfaceName, MacAddress, NetworkNamespace, XdpMode};
use rustix::net::netdevice::name_to_index;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::netlink::{GENERIC_BYTES, Message, attributes, dump, dump_generic, word};

/// What the kernel tells of an interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Device {
    /// Its index, which is unique in its namespace.
    pub(super) index: u32,
    /// Its hardware address, if that has 48 bits.
    pub(super) address: Option<MacAddress>,
    /// The XDP program that it runs.
    pub(super) xdp: Option<Xdp>,
    /// Whether its driver runs XDP programs, as far as the kernel tells (Linux 6.3).
    pub(super) runs_xdp: bool,
}

/// An XDP program that has the packets of an interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Xdp {
    /// The id of the program.
    pub(super) program: u32,
    /// In which mode it runs.
    pub(super) mode: XdpMode,
}

/// Calls a function in a network namespace, on a thread of its own, so that this one never leaves its namespace.
pub(super) fn within<T: Send>(
    namespace: Option<&NetworkNamespace>,
    call: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let Some(namespace) = namespace else { return call() };
    let enter = || {
        let file = File::open(namespace.path())?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        call()
    };
    thread::scope(|scope| {
        let entered = scope.spawn(enter).join();
        entered.unwrap_or_else(|_| Err(io::Error::other(format!("the thread in `{namespace}` panicked"))))
    })
}

/// The index of an interface.
pub(super) fn interface_index(interface: &Interface) -> io::Result<u32> {
    within(interface.namespace.as_ref(), || {
        let kind = rustix::net::SocketType::DGRAM;
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, kind, None)?;
        Ok(name_to_index(socket.as_fd(), interface.name.as_ref())?)
    })
}

/// The interfaces of a namespace; none where there is no such namespace.
pub(super) fn devices(namespace: Option<&NetworkNamespace>) -> io::Result<BTreeMap<InterfaceName, Device>> {
    match within(namespace, list) {
        Err(error) if namespace.is_some() && error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        listed => listed,
    }
}

fn list() -> io::Result<BTreeMap<InterfaceName, Device>> {
    const NEW_LINK: u16 = 16;
    const GET_LINK: u16 = 18;
    /// `struct ifinfomsg`: the index is at 4.
    const INFO_BYTES: usize = 16;
    const INDEX_AT: usize = 4;
    const ADDRESS: u16 = 1;
    const NAME: u16 = 3;
    const XDP: u16 = 43;
    let mut devices = BTreeMap::new();
    let drivers = drivers_that_run_xdp()?;
    for message in dump(GET_LINK, &[0; INFO_BYTES / 4])? {
        let found = message.attributes(INFO_BYTES);
        let value = |wanted| found.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
        let name = value(NAME).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.and_then(|name| name.trim_end_matches('\0').parse().ok());
        if let (NEW_LINK, Some(name), Some(index)) = (message.kind, name, message.word(INDEX_AT)) {
            let xdp = value(XDP).and_then(xdp);
            let address = value(ADDRESS).and_then(|bytes| bytes.try_into().ok()).map(MacAddress);
            devices.insert(name, Device { index, address, xdp, runs_xdp: drivers.contains(&index) });
        }
    }
    Ok(devices)
}

/// The indexes of the interfaces whose driver runs XDP programs (`linux/netdev.h`).
fn drivers_that_run_xdp() -> io::Result<BTreeSet<u32>> {
    const GET_DEVICE: u8 = 1;
    const INDEX: u16 = 1;
    const FEATURES: u16 = 3;
    /// `NETDEV_XDP_ACT_BASIC`: the verdicts that every driver knows.
    const BASIC: u64 = 1;
    let read = |message: &Message| {
        let found = message.attributes(GENERIC_BYTES);
        let value = |wanted| found.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
        let features = value(FEATURES)?.first_chunk::<8>().map(|bytes| u64::from_ne_bytes(*bytes))?;
        word(value(INDEX)?, 0).filter(|_| features & BASIC != 0)
    };
    Ok(dump_generic("netdev", GET_DEVICE)?.iter().filter_map(read).collect())
}

/// Reads `IFLA_XDP_ATTACHED` and `IFLA_XDP_PROG_ID` (`linux/if_link.h`).
fn xdp(nested: &[u8]) -> Option<Xdp> {
    const ATTACHED: u16 = 2;
    const PROGRAM: u16 = 4;
    let found = attributes(nested);
    let value = |wanted| found.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let mode = match value(ATTACHED)?.first()? {
        1 => XdpMode::Native,
        2 => XdpMode::Generic,
        3 => XdpMode::Offloaded,
        _ => return None,
    };
    Some(Xdp { program: word(value(PROGRAM)?, 0)?, mode })
}

#[cfg(test)]
mod tests {
    use super::devices;

    #[test]
    fn the_loopback_interface_is_the_first() {
        let devices = devices(None).unwrap();
        let loopback = devices[&"lo".parse().unwrap()];
        assert_eq!(loopback.index, 1);
        assert!(loopback.xdp.is_none());
    }

    #[test]
    fn a_namespace_that_is_not_there_has_no_interfaces() {
        let namespace = "there-is-no-such-namespace".parse().unwrap();
        assert!(devices(Some(&namespace)).unwrap().is_empty());
    }
}
