// SPDX-License-Identifier: Apache-2.0
//! Hearing of changes: that somebody may have changed what is attached, so that it is compared at once.
//!
//! | heard through | what |
//! | --- | --- |
//! | rtnetlink, groups of links and of traffic control, in each network namespace with a chain | interfaces that come, go and change; XDP programs without a link; queueing disciplines and filters |
//! | the tracepoints of bpf(2) (Linux 5.15) | links that are made, updated and detached, programs that are attached and detached, and by whom |
//!
//! It says that there may be a difference, and never what it is: that is asked of the kernel. What is not heard is found by the
//! next regular comparison: a link that goes with its last descriptor, a pin that is removed, calls from inside the kernel.

mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use package::NetworkNamespace;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;

use self::calls::Calls;
use super::device::within;
use super::netlink;

/// `RTMGRP_LINK` and `RTMGRP_TC`.
const GROUPS: u32 = 1 | 1 << 3;

/// Somebody may have changed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stir {
    /// In the networking of the kernel.
    Network,
    /// By a call of bpf(2).
    Call(Caller),
}

/// Who made a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The process.
    pub pid: u32,
    /// The name of the thread, up to 15 bytes (`comm`).
    pub name: String,
    /// The command of bpf(2), such as `BPF_LINK_DETACH`.
    pub command: &'static str,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A process names itself.
        write!(f, "`{}` (process {}) by {}", self.name.escape_debug(), self.pid, self.command)
    }
}

/// All that is listened to.
#[derive(Debug)]
pub struct Watch {
    /// Is readable while something was heard.
    epoll: OwnedFd,
    ears: Mutex<Ears>,
}

#[derive(Debug)]
struct Ears {
    networks: BTreeMap<Option<NetworkNamespace>, Network>,
    calls: Option<Calls>,
}

/// What hears of one network namespace.
#[derive(Debug)]
struct Network {
    socket: OwnedFd,
    /// Which one it was: another may have its name since.
    identity: (u64, u64),
}

impl Watch {
    /// Listens from now on. Where the calls cannot be heard it says why, and hears the rest.
    ///
    /// # Errors
    /// When nothing can be heard.
    pub fn open() -> io::Result<(Self, Option<io::Error>)> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (calls, deaf) = match Calls::listen() {
            Ok(calls) => (Some(calls), None),
            Err(error) => (None, Some(error)),
        };
        if let Some(calls) = &calls {
            add(&epoll, calls.descriptor())?;
        }
        let ears = Mutex::new(Ears { networks: BTreeMap::new(), calls });
        let watch = Self { epoll, ears };
        watch.follow(&BTreeSet::new());
        Ok((watch, deaf))
    }

    /// Listens in these network namespaces, and in the daemon's own. One that does not exist is passed over.
    pub fn follow(&self, namespaces: &BTreeSet<NetworkNamespace>) {
        let wanted: BTreeSet<Option<NetworkNamespace>> =
            namespaces.iter().cloned().map(Some).chain([None]).collect();
        let networks = &mut self.ears().networks;
        let is_same = |namespace: &Option<NetworkNamespace>, network: &mut Network| {
            identity(namespace.as_ref()).is_ok_and(|found| found == network.identity)
        };
        // A socket that is closed leaves the epoll set.
        networks.retain(|namespace, network| wanted.contains(namespace) && is_same(namespace, network));
        for namespace in wanted {
            if !networks.contains_key(&namespace)
                && let Ok(network) = Network::listen(namespace.as_ref())
                && add(&self.epoll, network.socket.as_fd()).is_ok()
            {
                networks.insert(namespace, network);
            }
        }
    }

    /// Waits until something is heard that nobody took so far.
    ///
    /// # Errors
    /// When nothing can be heard any more.
    pub fn wait(&self) -> io::Result<()> {
        let mut ready = Vec::with_capacity(1);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut ready), None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What was heard since.
    ///
    /// # Errors
    /// When nothing can be heard any more.
    pub fn take(&self) -> io::Result<Vec<Stir>> {
        self.ears().take()
    }

    /// What was heard since, and who is in the middle of a call: all who can have made a change that was seen before this.
    ///
    /// # Errors
    /// When nothing can be heard any more.
    pub fn take_with_callers(&self) -> io::Result<Vec<Stir>> {
        let mut ears = self.ears();
        // In this order: a call that ends is told before it is forgotten.
        let calling = ears.calls.as_ref().map(Calls::calling).unwrap_or_default();
        let mut stirs = ears.take()?;
        stirs.extend(calling.into_iter().map(Stir::Call));
        Ok(stirs)
    }

    fn ears(&self) -> MutexGuard<'_, Ears> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ears {
    /// What was heard since.
    fn take(&mut self) -> io::Result<Vec<Stir>> {
        let mut stirs = Vec::new();
        for network in self.networks.values() {
            if netlink::hear(&network.socket)? {
                stirs.push(Stir::Network);
            }
        }
        if let Some(calls) = &self.calls {
            stirs.extend(calls.take()?.into_iter().map(Stir::Call));
        }
        Ok(stirs)
    }
}

fn add(epoll: &OwnedFd, source: BorrowedFd<'_>) -> io::Result<()> {
    Ok(epoll::add(epoll, source, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?)
}

impl Network {
    fn listen(namespace: Option<&NetworkNamespace>) -> io::Result<Self> {
        let identity = identity(namespace)?;
        Ok(Self { socket: within(namespace, || netlink::listen(GROUPS))?, identity })
    }
}

fn identity(namespace: Option<&NetworkNamespace>) -> io::Result<(u64, u64)> {
    let of = |found: Metadata| (found.dev(), found.ino());
    match namespace {
        Some(namespace) => fs::metadata(namespace.path()).map(of),
        // Nobody leaves the own one.
        None => Ok((0, 0)),
    }
}
