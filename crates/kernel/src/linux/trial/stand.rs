// SPDX-License-Identifier: Apache-2.0
//! A stand for the program of a package: it meets made-up packets, with its configuration and maps that can be read and written, by
//! itself or between two neighbours in a chain. Nothing is attached or pinned, and all goes with the value.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use libbpf_rs::{MapCore as _, MapHandle, Object as Loaded};
use package::{Enforcement, HookPoint, Interface, PackageName, ProceedSet};
use plan::{Buffers, Configured, Constant};

use super::{Candidate, NOT_PINNED, program, refused};
use crate::Refused;
use crate::insn::Insn;
use crate::linux::load::{Loading, Splicing};
use crate::linux::state::{OBJECT_NAME, Source};
use crate::linux::{OpenMap, Spelling, configured, device, maps, root, set_up_process, sys};

/// What the neighbour behind returns, so that whoever runs the chain sees that it was reached. It is no verdict of any hook.
const BEHIND: i32 = 0x6c33_6166;

/// How a program is tested.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    /// The package that it is of.
    pub package: &'a PackageName,
    /// Values for its parameters.
    pub constants: &'a BTreeMap<String, Constant>,
    /// What its maps hold that are configured.
    pub configured: &'a Configured,
    /// Which packets it takes.
    pub buffers: Buffers,
}

/// What the kernel says of a packet besides its bytes.
#[derive(Debug, Clone, Default)]
pub struct PacketContext {
    /// The interface that it came on; that of nobody where there is none.
    pub interface: Option<Interface>,
    /// The queue of that interface, for XDP.
    pub queue: u32,
    /// Its mark, for TC.
    pub mark: u32,
    /// Its priority, for TC.
    pub priority: u32,
}

/// How a packet left the program or the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stood {
    /// What the program returned; none where the packet went on to the neighbour behind.
    pub verdict: Option<i32>,
    /// The packet as it was then.
    pub packet: Vec<u8>,
    /// Its mark and its priority then, for TC.
    pub marked: Option<(u32, u32)>,
    /// How long it took in nanoseconds.
    pub nanoseconds: u32,
}

/// A program that is loaded to be tested.
#[derive(Debug)]
pub struct Stand {
    point: HookPoint,
    entry: OwnedFd,
    object: Loaded,
    /// What must stay for it.
    _slots: Vec<MapHandle>,
}

impl Stand {
    /// Loads a program as its author wrote it.
    ///
    /// # Errors
    /// When the kernel rejects it.
    pub fn alone(candidate: &Candidate<'_>, terms: &Terms<'_>) -> Result<Self, Refused> {
        let object = loading(candidate, terms)?.load_untouched()?.loaded;
        let entry = program(&object, &candidate.function);
        let entry = entry.map_err(|error| refused(&candidate.function, error))?;
        let stand = Self { point: candidate.point, entry, object, _slots: Vec::new() };
        stand.fill(terms.configured).map_err(|error| refused(&candidate.function, error))?;
        Ok(stand)
    }

    /// Loads it as a member of a chain, with one in front of it and one behind that let every packet go on.
    ///
    /// # Errors
    /// When the kernel rejects it.
    pub fn between(
        candidate: &Candidate<'_>,
        terms: &Terms<'_>,
        proceed: &ProceedSet,
    ) -> Result<Self, Refused> {
        let (point, buffers) = (candidate.point, terms.buffers);
        let failed = |error| refused(&candidate.function, error);
        let loading = loading(candidate, terms)?;
        let next = maps::create_slot("l3af_next").map_err(failed)?;
        let (counters, keys) = maps::create_counters(point)
            .and_then(|counters| Ok((counters, maps::create_keys(point)?)))
            .map_err(failed)?;
        let splicing = Splicing {
            proceed,
            enforcement: Enforcement::Enforce,
            timed: false,
            next: next.as_fd(),
            counters: Some(crate::linux::load::Counting { cells: counters.as_fd(), keys: keys.as_fd() }),
            sampled: None,
        };
        let object = loading.learn(&splicing)?.2.loaded;
        let build = || {
            let (front, to_front) = root::load(point, buffers)?;
            let (in_front, to_member) = root::load(point, buffers)?;
            maps::write_descriptor(&to_front, in_front.as_fd())?;
            maps::write_descriptor(&to_member, program(&object, &candidate.function)?.as_fd())?;
            maps::write_descriptor(&next, behind(point, buffers)?.as_fd())?;
            Ok((front, vec![to_front, to_member]))
        };
        let (entry, mut slots) = build().map_err(failed)?;
        slots.push(next);
        let stand = Self { point, entry, object, _slots: slots };
        stand.fill(terms.configured).map_err(failed)?;
        Ok(stand)
    }

    /// Fills the maps that are configured.
    fn fill(&self, configured: &Configured) -> io::Result<()> {
        for (name, contents) in configured.iter() {
            let map = self.object.maps().find(|map| map.name() == name);
            let map = map.ok_or_else(|| io::Error::other(format!("the object has no map `{name}`")))?;
            configured::fill(MapHandle::try_from(&map).map_err(maps::plain)?, contents)?;
        }
        Ok(())
    }

    /// A map of its object, or a section of global variables; none where it is not there.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn map(&self, name: &str) -> io::Result<Option<OpenMap>> {
        let with_object = format!("{OBJECT_NAME}{name}");
        let wanted = |map: &libbpf_rs::Map<'_>| {
            let found = map.name().to_string_lossy();
            found == name || (name.starts_with('.') && found == with_object.as_str())
        };
        let found = self.object.maps().find(wanted);
        found.map(|map| OpenMap::new(MapHandle::try_from(&map).map_err(maps::plain)?)).transpose()
    }

    /// Has it meet a packet.
    ///
    /// # Errors
    /// When the kernel does not take the packet, or there is no such interface.
    pub fn run(&self, packet: &[u8], context: &PacketContext) -> io::Result<Stood> {
        /// What programs may put in front of a packet or behind it.
        const ROOM: usize = 512;
        let mut out = vec![0; packet.len() + ROOM];
        let mut said = context.bytes(self.point, packet.len())?;
        let (verdict, length, nanoseconds) =
            sys::test_run(self.entry.as_fd(), packet, &mut out, &mut said, 1)?;
        out.truncate(length);
        let marked = match self.point {
            HookPoint::Xdp => None,
            HookPoint::TcIngress | HookPoint::TcEgress => {
                Some((word(&said, skb::MARK), word(&said, skb::PRIORITY)))
            }
        };
        let verdict = Some(verdict.cast_signed()).filter(|verdict| *verdict != BEHIND);
        Ok(Stood { verdict, packet: out, marked, nanoseconds })
    }

    /// Has it meet a packet so many times in one call; each run gets the packet as the run before left it. Returns what the last
    /// returned, and the average time of one in nanoseconds.
    ///
    /// # Errors
    /// When the kernel does not take the packet.
    pub fn measure(&self, packet: &[u8], runs: u32) -> io::Result<(i32, u32)> {
        let (verdict, _, nanoseconds) = sys::test_run(self.entry.as_fd(), packet, &mut [], &mut [], runs)?;
        Ok((verdict.cast_signed(), nanoseconds))
    }
}

/// Places in `struct __sk_buff` of `linux/bpf.h`.
mod skb {
    pub(super) const MARK: usize = 8;
    pub(super) const PRIORITY: usize = 32;
    pub(super) const IFINDEX: usize = 40;
    pub(super) const BYTES: usize = 192;
}

/// Places in `struct xdp_md` of `linux/bpf.h`.
mod xdp {
    pub(super) const DATA_END: usize = 4;
    pub(super) const INGRESS_IFINDEX: usize = 12;
    pub(super) const RX_QUEUE_INDEX: usize = 16;
    pub(super) const BYTES: usize = 24;
}

impl PacketContext {
    /// The bytes of the context that the kernel takes; none where it has nothing to say.
    fn bytes(&self, point: HookPoint, packet_bytes: usize) -> io::Result<Vec<u8>> {
        let index = self.interface.as_ref().map(device::interface_index).transpose()?;
        let numbers = match point {
            // Since Linux 5.15.
            HookPoint::Xdp if index.is_none() => return Ok(Vec::new()),
            HookPoint::Xdp => {
                let end = u32::try_from(packet_bytes).map_err(io::Error::other)?;
                let index = index.unwrap_or_default();
                vec![(xdp::DATA_END, end), (xdp::INGRESS_IFINDEX, index), (xdp::RX_QUEUE_INDEX, self.queue)]
            }
            HookPoint::TcIngress | HookPoint::TcEgress => {
                let index = index.unwrap_or_default();
                vec![(skb::MARK, self.mark), (skb::PRIORITY, self.priority), (skb::IFINDEX, index)]
            }
        };
        let mut bytes = vec![0; if point == HookPoint::Xdp { xdp::BYTES } else { skb::BYTES }];
        for (at, number) in numbers {
            bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
        }
        Ok(bytes)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map(u32::from_ne_bytes).unwrap_or_default()
}

fn loading<'a>(candidate: &'a Candidate<'a>, terms: &Terms<'a>) -> Result<Loading<'a>, Refused> {
    set_up_process().map_err(|error| refused(&candidate.function, error))?;
    let Terms { package, constants, buffers, .. } = *terms;
    let source = Source {
        package,
        function: &candidate.function,
        object: candidate.object,
        constants,
        configured: &NOT_PINNED,
        state: None,
        shared: &NOT_PINNED,
    };
    Ok(Loading { point: candidate.point, buffers, device: None, source })
}

/// The neighbour behind.
fn behind(point: HookPoint, buffers: Buffers) -> io::Result<OwnedFd> {
    let spelling = Spelling::of(point);
    let insns = [Insn::put_32(0, BEHIND), Insn::exit()];
    sys::load_program(c"l3af_behind", (spelling.kind, spelling.load), root::flags(buffers), &insns)
}
