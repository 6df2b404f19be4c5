// SPDX-License-Identifier: Apache-2.0
//! Sampling on the real kernel: the maps of one hook, and the buffers that are read.
//!
//! Nothing of it is pinned: it ends with whoever reads. The kernel empties a program array when its last descriptor goes, so the
//! sampler is out of the way of packets from then on, before members without sampling are swapped in.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType, PerfBuffer, PerfBufferBuilder};
use package::{FlowFilter, HookPoint, Share};
use plan::Buffers;

use super::{Spelling, maps, root, sys};
use crate::sample::{Sample, Sampler, note, sampler};

/// Pages of memory of a buffer, for each processor: twice what it may send in a window.
const BUFFER_PAGES: usize = 64;

/// What members of one hook need to have packets sampled.
#[derive(Debug)]
pub(super) struct Sampling {
    point: HookPoint,
    filter: FlowFilter,
    share: Option<Share>,
    notes: MapHandle,
    buffers: MapHandle,
    /// The program array of the sampler, for members that take such packets.
    slots: Mutex<BTreeMap<Buffers, MapHandle>>,
}

/// Packets of one hook that tell of themselves, for as long as this lives.
#[derive(Debug)]
pub struct Samples {
    sampling: Arc<Sampling>,
    buffer: PerfBuffer<'static>,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug, Default)]
struct Heard {
    samples: Vec<Sample>,
    lost: u64,
}

impl Sampling {
    pub(super) fn new(point: HookPoint, filter: FlowFilter, share: Option<Share>) -> io::Result<Self> {
        let processors = libbpf_rs::num_possible_cpus().map_err(maps::plain)?;
        let processors = u32::try_from(processors).map_err(io::Error::other)?;
        Ok(Self {
            point,
            filter,
            share,
            notes: maps::create(MapType::PercpuArray, "l3af_notes", (4, note::BYTES), 1)?,
            buffers: maps::create(MapType::PerfEventArray, "l3af_samples", (4, 4), processors)?,
            slots: Mutex::default(),
        })
    }

    /// The notes.
    pub(super) fn notes(&self) -> BorrowedFd<'_> {
        self.notes.as_fd()
    }

    /// The array with the sampler, for members that take such packets.
    pub(super) fn slot(&self, buffers: Buffers) -> io::Result<OwnedFd> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&buffers) {
            return slot.as_fd().try_clone_to_owned();
        }
        let slot = maps::create_slot("l3af_sampler")?;
        let insns = sampler(&Sampler {
            point: self.point,
            fragments: buffers == Buffers::Many,
            filter: &self.filter,
            share: self.share,
            notes: self.notes.as_fd().as_raw_fd(),
            buffers: self.buffers.as_fd().as_raw_fd(),
        });
        let spelling = Spelling::of(self.point);
        let kind = (spelling.kind, spelling.load);
        let program = sys::load_program(c"l3af_sampler", kind, root::flags(buffers), &insns)?;
        maps::write_descriptor(&slot, program.as_fd())?;
        let found = slot.as_fd().try_clone_to_owned()?;
        slots.insert(buffers, slot);
        Ok(found)
    }
}

impl Samples {
    /// Listens from now on.
    pub(super) fn listen(sampling: Arc<Sampling>) -> io::Result<Self> {
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let (samples, lost) = (Arc::clone(&heard), Arc::clone(&heard));
        let buffer = PerfBufferBuilder::new(&sampling.buffers)
            .pages(BUFFER_PAGES)
            .sample_cb(move |_, bytes: &[u8]| {
                samples.lock().unwrap_or_else(PoisonError::into_inner).samples.extend(Sample::parse(bytes));
            })
            .lost_cb(move |_, count| lost.lock().unwrap_or_else(PoisonError::into_inner).lost += count)
            .build()
            .map_err(maps::plain)?;
        Ok(Self { sampling, buffer, heard })
    }

    /// Waits for packets, and takes those that came.
    ///
    /// # Errors
    /// When the buffers cannot be read.
    pub fn wait(&mut self, patience: Duration) -> io::Result<Vec<Sample>> {
        match self.buffer.poll(patience).map_err(maps::plain) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut heard.samples))
    }

    /// How many packets were asked for and did not come: there were too many in a short time, or nobody read them in time.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn missed(&self) -> io::Result<u64> {
        let notes = self.sampling.notes.lookup_percpu(&maps::FIRST, MapFlags::ANY).map_err(maps::plain)?;
        let at = usize::from(note::WITHHELD.unsigned_abs());
        let withheld = |note: &Vec<u8>| Some(u64::from_ne_bytes(*note.get(at..)?.first_chunk()?));
        let withheld: u64 = notes.iter().flatten().filter_map(withheld).sum();
        Ok(withheld + self.heard.lock().unwrap_or_else(PoisonError::into_inner).lost)
    }
}
