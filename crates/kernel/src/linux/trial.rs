// SPDX-License-Identifier: Apache-2.0
//! Programs on trial: loaded on no interface, and run on packets that are made up.
//!
//! This is how a splice is shown to change nothing, and what it costs. Everything goes away with the value.

mod dispatched;
mod foreign;
mod memory;
mod stand;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libbpf_rs::{MapCore as _, MapHandle, Object as Loaded};
use package::{Enforcement, FlowFilter, HookPoint, Interface, PackageName, ProceedSet, ProgramName};
use plan::{Buffers, Constant};

use super::clsact::Filter;
use super::load::{self, Counting, Loading, Ready, Splicing};
use super::samples::{Samples, Sampling};
use super::state::Source;
use super::{Spelling, maps, root, sys};
use crate::splice::{Way, ways};
use crate::{Reading, Refused, Sample};
pub use foreign::Foreign;
pub use stand::{PacketContext, Stand, Stood, Terms};

/// An object and the program of it that is tried.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Which kind of program it is.
    pub point: HookPoint,
    /// The object.
    pub object: &'a [u8],
    /// The function in it.
    pub function: ProgramName,
}

/// How a candidate becomes a member.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The verdicts after which the chain goes on.
    pub proceed: ProceedSet,
    /// For which packets the verdict counts.
    pub enforcement: Enforcement,
    /// Whether packets are counted.
    pub counted: bool,
    /// Whether run time is measured.
    pub timed: bool,
    /// Which packets that leave at it tell of themselves; none where nobody asks.
    pub sampled: Option<FlowFilter>,
    /// Which packets it takes; the same for all members of a chain.
    pub buffers: Buffers,
    /// The way to splice it; the first that the verifier accepts when none is given.
    pub way: Option<Way>,
}

impl Membership {
    /// A member with the defaults of its hook.
    pub fn default_for(point: HookPoint) -> Self {
        let proceed = ProceedSet::default_for(point);
        let (enforcement, buffers) = (Enforcement::Enforce, Buffers::One);
        Self { proceed, enforcement, counted: true, timed: false, sampled: None, buffers, way: None }
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The number that the program returned.
    pub verdict: i32,
    /// The packet as the program left it.
    pub packet: Vec<u8>,
    /// The average time of one run in nanoseconds, as the kernel measured it.
    pub nanoseconds: u32,
}

/// A program that can be run.
#[derive(Debug)]
pub struct Trial {
    point: HookPoint,
    entry: OwnedFd,
    /// The counters of its members.
    counters: Vec<MapHandle>,
    /// What must stay for it.
    keeps: Keeps,
}

#[derive(Debug, Default)]
struct Keeps {
    maps: Vec<MapHandle>,
    _objects: Vec<Loaded>,
    ready: Vec<Ready>,
    samples: Vec<Samples>,
    _links: Vec<OwnedFd>,
}

/// A trial that gets packets of an interface, until it goes out of scope.
#[derive(Debug)]
pub struct Attached {
    _link: OwnedFd,
}

#[derive(Debug)]
struct Member {
    next: MapHandle,
    counters: MapHandle,
    ready: Ready,
    samples: Option<Samples>,
}

impl Candidate<'_> {
    fn loading<'b>(
        &'b self,
        package: &'b PackageName,
        constants: &'b BTreeMap<String, Constant>,
        buffers: Buffers,
    ) -> Result<Loading<'b>, Refused> {
        super::set_up_process().map_err(|error| refused(&self.function, error))?;
        let Self { point, object, function } = self;
        let source = Source {
            package,
            function,
            object,
            constants,
            configured: &NOT_PINNED,
            state: None,
            shared: &NOT_PINNED,
        };
        Ok(Loading { point: *point, buffers, device: None, source })
    }

    /// Loads the program as its author wrote it.
    ///
    /// # Errors
    /// When the kernel rejects it.
    pub fn alone(&self) -> Result<Trial, Refused> {
        let (package, constants) = (package_name(), BTreeMap::new());
        let object = self.loading(&package, &constants, Buffers::One)?.load_untouched()?.loaded;
        let entry = program(&object, &self.function).map_err(|error| refused(&self.function, error))?;
        let keeps = Keeps { _objects: vec![object], ..Keeps::default() };
        Ok(Trial { point: self.point, entry, counters: Vec::new(), keeps })
    }

    /// The ways in which it might be spliced, best first.
    ///
    /// # Errors
    /// When the kernel rejects it as it is.
    pub fn ways(&self) -> Result<Vec<Way>, Refused> {
        let (package, constants) = (package_name(), BTreeMap::new());
        let untouched = self.loading(&package, &constants, Buffers::One)?.load_untouched()?;
        Ok(ways(&untouched.insns, untouched.stack_bytes, false))
    }

    fn member(&self, how: &Membership) -> Result<Member, Refused> {
        let (package, constants) = (package_name(), BTreeMap::new());
        let failed = |error| refused(&self.function, error);
        let next = maps::create_slot("l3af_next").map_err(failed)?;
        let counters = maps::create_counters(self.point).map_err(failed)?;
        let keys = maps::create_keys(self.point).map_err(failed)?;
        let counting = Counting { cells: counters.as_fd(), keys: keys.as_fd() };
        let told = how.sampled.map(|filter| {
            let sampling = Arc::new(Sampling::new(self.point, filter, None)?);
            let slot = sampling.slot(how.buffers)?;
            Ok((sampling, slot))
        });
        let told = told.transpose().map_err(failed)?;
        let splicing = Splicing {
            proceed: &how.proceed,
            enforcement: how.enforcement,
            timed: how.timed,
            next: next.as_fd(),
            counters: how.counted.then_some(counting),
            sampled: told.as_ref().map(|(sampling, slot)| load::Sampling {
                notes: sampling.notes(),
                sampler: slot.as_fd(),
                number: 0,
            }),
        };
        let loading = self.loading(&package, &constants, how.buffers)?;
        let ready = match how.way {
            None => loading.load(&splicing)?,
            Some(way) => {
                let done = loading.load_spliced(way, &splicing)?;
                loading.ready(&done.map_err(|rejected| loading.refuse(rejected))?, None)?
            }
        };
        let samples = told.map(|(sampling, _)| Samples::listen(sampling)).transpose().map_err(failed)?;
        Ok(Member { next, counters, ready, samples })
    }
}

impl Trial {
    /// Builds a chain, with a root in front of it.
    ///
    /// # Errors
    /// When the kernel rejects a member.
    pub fn chain(point: HookPoint, members: &[(Candidate<'_>, Membership)]) -> Result<Self, Refused> {
        let buffers = members.first().map_or(Buffers::One, |(_, how)| how.buffers);
        let members = members.iter().map(|(candidate, how)| candidate.member(how));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let failed = |error| Refused::action("build a chain", error);
        let (entry, slot) = root::load(point, buffers).map_err(failed)?;
        let slots = std::iter::once(&slot).chain(members.iter().map(|member| &member.next));
        for (slot, member) in slots.zip(&members) {
            maps::write_descriptor(slot, member.ready.program.as_fd()).map_err(failed)?;
        }
        let (mut counters, mut keeps) = (Vec::new(), Keeps { maps: vec![slot], ..Keeps::default() });
        for member in members {
            counters.push(member.counters);
            keeps.maps.push(member.next);
            keeps.ready.push(member.ready);
            keeps.samples.extend(member.samples);
        }
        Ok(Self { point, entry, counters, keeps })
    }

    /// Builds a chain of programs that cooperate: each tail-calls the first entry of its own program array, which is named beside it.
    ///
    /// # Errors
    /// When the kernel rejects a program, or one has no such array.
    pub fn cooperating(members: &[(Candidate<'_>, &str)]) -> Result<Self, Refused> {
        let failed = |error| Refused::action("build a chain", error);
        let (point, buffers) =
            (members.first().map_or(HookPoint::Xdp, |(member, _)| member.point), Buffers::One);
        let (package, constants) = (package_name(), BTreeMap::new());
        let objects = members.iter().map(|(member, _)| {
            Ok(member.loading(&package, &constants, Buffers::One)?.load_untouched()?.loaded)
        });
        let objects = objects.collect::<Result<Vec<Loaded>, Refused>>()?;
        let (entry, slot) = root::load(point, buffers).map_err(failed)?;
        let mut from = MapHandle::try_from(&slot).map_err(|error| failed(maps::plain(error)))?;
        for (object, (member, array)) in objects.iter().zip(members) {
            let program = program(object, &member.function).map_err(failed)?;
            maps::write_descriptor(&from, program.as_fd()).map_err(failed)?;
            let own = object.maps().find(|map| map.name() == *array);
            let own = own.ok_or_else(|| failed(io::Error::other(format!("there is no array `{array}`"))))?;
            from = MapHandle::try_from(&own).map_err(|error| failed(maps::plain(error)))?;
        }
        let keeps = Keeps { maps: vec![slot], _objects: objects, ..Keeps::default() };
        Ok(Self { point, entry, counters: Vec::new(), keeps })
    }

    /// Lets it have the packets of an interface, by link, behind what is there.
    ///
    /// # Errors
    /// When the kernel refuses. Links for TC programs came with Linux 6.6.
    pub fn attach(&self, interface: &Interface) -> io::Result<Attached> {
        let index = super::device::interface_index(interface)?;
        sys::create_link(self.entry.as_fd(), index, Spelling::of(self.point).attach, sys::Linking::default())
            .map(|link| Attached { _link: link })
    }

    /// Lets it have the packets of an interface as a filter. It stays until the interface goes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn attach_filter(&self, interface: &Interface, priority: u32) -> io::Result<()> {
        let index = super::device::interface_index(interface)?;
        Filter { index, point: self.point, priority }.attach(self.entry.as_fd())
    }

    /// Runs it on a packet, `repeat` times in one call.
    ///
    /// # Errors
    /// When the kernel does not take the packet: one is at least 14 bytes long.
    pub fn run(&self, packet: &[u8], repeat: u32) -> io::Result<Ran> {
        /// What programs may put in front of a packet or behind it.
        const ROOM: usize = 512;
        let mut out = vec![0; packet.len() + ROOM];
        let (verdict, length, nanoseconds) =
            sys::test_run(self.entry.as_fd(), packet, &mut out, &mut [], repeat)?;
        out.truncate(length);
        Ok(Ran { verdict: verdict.cast_signed(), packet: out, nanoseconds })
    }

    /// The packets that left since, of the members that are sampled. Each knows of itself only.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn samples(&mut self) -> io::Result<Vec<Sample>> {
        let all = self.keeps.samples.iter_mut().map(|samples| samples.wait(Duration::ZERO));
        Ok(all.collect::<io::Result<Vec<_>>>()?.concat())
    }

    /// The counters of its members, in order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn readings(&self) -> io::Result<Vec<Reading>> {
        self.counters.iter().map(|counters| maps::read_cells(counters, self.point)).collect()
    }

    /// The program that packets enter.
    pub fn entry(&self) -> BorrowedFd<'_> {
        self.entry.as_fd()
    }
}

/// What is on trial shares nothing.
static NOT_PINNED: BTreeMap<String, PathBuf> = BTreeMap::new();

fn package_name() -> PackageName {
    "trial".parse().expect("it is a name")
}

fn refused(function: &ProgramName, error: io::Error) -> Refused {
    Refused::action(format!("try `{function}`"), error)
}

fn program(object: &Loaded, function: &ProgramName) -> io::Result<OwnedFd> {
    let found = object.progs().find(|program| program.name() == function.as_ref());
    let program = found.ok_or_else(|| io::Error::other("the object lost its program while loading"))?;
    program.as_fd().try_clone_to_owned()
}
