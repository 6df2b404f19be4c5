// SPDX-License-Identifier: Apache-2.0
//! Events that programs hand over: what they write to a ring buffer (Linux 5.8), or to the buffers of processors.
//!
//! A buffer has one reader. Who else reads it takes events away.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libbpf_rs::{MapType, PerfBuffer, PerfBufferBuilder, RingBuffer, RingBufferBuilder};

use super::OpenMap;
use crate::linux::maps::plain;

/// How many events are read at once.
const MOST: usize = 4096;
/// Pages of memory for each processor, of buffers that this side makes.
const PAGES: usize = 64;

/// Events of a map, for as long as this lives.
#[derive(Debug)]
pub struct MapEvents {
    buffer: Buffer,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug)]
enum Buffer {
    Ring(RingBuffer<'static>),
    Processors(PerfBuffer<'static>),
}

/// What came.
#[derive(Debug, Default)]
pub struct Heard {
    /// Events, as their bytes are.
    pub events: Vec<Vec<u8>>,
    /// How many were lost, as far as the kernel tells: a ring buffer that is full tells its program, and nobody else.
    pub lost: u64,
}

impl OpenMap {
    /// Begins to read events.
    ///
    /// # Errors
    /// When the map is no buffer of events, or the kernel refuses.
    pub fn events(&self) -> io::Result<MapEvents> {
        let heard = Arc::<Mutex<Heard>>::default();
        let take = |heard: &Mutex<Heard>, event: &[u8]| {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.events.push(event.to_vec());
            heard.events.len()
        };
        let buffer = if self.kind == MapType::RingBuf {
            let taking = Arc::clone(&heard);
            let mut builder = RingBufferBuilder::new();
            // What is negative ends the reading behind this event: a fast program would never let it end.
            let read = move |event: &[u8]| if take(&taking, event) < MOST { 0 } else { -libc::EAGAIN };
            builder.add(&self.map, read).map_err(plain)?;
            Buffer::Ring(builder.build().map_err(plain)?)
        } else {
            let (taking, losing) = (Arc::clone(&heard), Arc::clone(&heard));
            let builder = PerfBufferBuilder::new(&self.map).pages(PAGES);
            let builder = builder.sample_cb(move |_, event: &[u8]| {
                take(&taking, event);
            });
            let lose = move |_, lost| losing.lock().unwrap_or_else(PoisonError::into_inner).lost += lost;
            Buffer::Processors(builder.lost_cb(lose).build().map_err(plain)?)
        };
        Ok(MapEvents { buffer, heard })
    }
}

impl MapEvents {
    /// Waits for events; none where none comes in that time.
    ///
    /// # Errors
    /// When the buffer cannot be read.
    pub fn wait(&self, patience: Duration) -> io::Result<Heard> {
        match &self.buffer {
            Buffer::Ring(ring) => match -ring.poll_raw(patience) {
                libc::EAGAIN | libc::EINTR => {}
                error if error > 0 => return Err(io::Error::from_raw_os_error(error)),
                _ => {}
            },
            Buffer::Processors(buffers) => buffers.poll(patience).map_err(plain)?,
        }
        Ok(std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
