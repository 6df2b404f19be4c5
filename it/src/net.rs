// SPDX-License-Identifier: Apache-2.0
//! Two network namespaces with a cable between them.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::{run, run_in};

/// A name that nothing else on this machine has.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Two namespaces, `left` and `right`, joined by a veth pair.
#[derive(Debug)]
pub struct Pair {
    /// Where traffic comes from.
    pub left: Side,
    /// Where programs run.
    pub right: Side,
}

/// One end of a [`Pair`].
#[derive(Debug, Clone)]
pub struct Side {
    /// The name of the namespace.
    pub namespace: String,
    /// The name of the interface in it.
    pub interface: String,
    /// The address of the interface.
    pub address: String,
}

impl Pair {
    /// Makes two namespaces, joins them, and waits until packets go through.
    ///
    /// # Errors
    /// When `ip` is not there or refuses; it needs root.
    pub fn new() -> Result<Self> {
        let side = |name: &str, last: u8| Side {
            namespace: unique(&format!("l3af-{name}")),
            interface: format!("{name}0"),
            address: format!("10.213.7.{last}"),
        };
        Self::joined(side("left", 1), side("right", 2))
    }

    /// The same where both sides speak IPv6 as well: `fd00:213:7::1` and `fd00:213:7::2`.
    ///
    /// # Errors
    /// As those of [`Pair::new`].
    pub fn of_both_families() -> Result<Self> {
        let pair = Self::new()?;
        for (side, last) in [(&pair.left, 1), (&pair.right, 2)] {
            let (name, interface) = (&side.namespace, &side.interface);
            let enable = "sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0";
            run_in(name, &format!("{enable} net.ipv6.conf.{interface}.disable_ipv6=0"))?;
            run_in(name, &format!("ip address add fd00:213:7::{last}/64 dev {interface} nodad"))?;
        }
        Ok(pair)
    }

    /// Makes the namespaces of two sides, joins them, and waits until packets go through.
    pub(crate) fn joined(left: Side, right: Side) -> Result<Self> {
        let pair = Self { left, right };
        let Self { left, right } = &pair;
        for side in [left, right] {
            run(&format!("ip netns add {}", side.namespace))
                .context("stories need root and `ip` (iproute2)")?;
        }
        // Who has which address at the cable is what the text of a packet takes for granted.
        run(&format!(
            "ip link add {} address 02:00:00:00:00:01 netns {} type veth peer name {} address 02:00:00:00:00:02 netns {}",
            left.interface, left.namespace, right.interface, right.namespace
        ))?;
        for side in [left, right] {
            // Packets of our own making only: nothing announces itself over IPv6.
            let quiet = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
            run_in(&side.namespace, quiet)?;
            run_in(&side.namespace, &format!("ip address add {}/24 dev {}", side.address, side.interface))?;
            run_in(&side.namespace, "ip link set lo up")?;
            run_in(&side.namespace, &format!("ip link set {} up", side.interface))?;
        }
        run_in(&left.namespace, &format!("ping -c 1 -W 5 -q {}", right.address))?;
        Ok(pair)
    }
}

impl Side {
    /// Calls a function in the namespace, on a thread of its own.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn inside<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        Self::enter(&self.namespace, call)
    }

    /// Calls a function in a namespace of that name.
    pub(crate) fn enter<T: Send + 'static>(
        namespace: &str,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let path = format!("/run/netns/{namespace}");
        let thread = std::thread::spawn(move || -> Result<T> {
            let namespace = std::fs::File::open(path)?;
            let kind = rustix::thread::LinkNameSpaceType::Network;
            rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(kind))?;
            Ok(call())
        });
        thread.join().ok().context("the thread in the namespace panicked")?
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for side in [&self.left, &self.right] {
            // A namespace that was never made cannot be removed.
            drop(run(&format!("ip netns del {}", side.namespace)));
        }
    }
}
