// SPDX-License-Identifier: Apache-2.0
//! Packets without end: a program that sends copies of what it is run on, run again and again on a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use it::{Side, run_in};
use kernel::Candidate;
use package::HookPoint;

use super::programs::{compile, datagram};

/// Where the frame says which interface it leaves by, behind the list that it carries.
const INTERFACE_AT: usize = 78;

/// Packets that are sent in a namespace until somebody has seen enough.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Result<()>>>,
}

#[derive(Default)]
struct Shared {
    done: AtomicBool,
    sent: AtomicU64,
}

impl Traffic {
    /// Begins to send out of the interface of a side.
    pub(crate) fn start(from: &Side) -> Result<Self> {
        let link = run_in(&from.namespace, &format!("ip -o link show {}", from.interface))?;
        let index: u32 = link.split(':').next().context("`ip` says nothing")?.trim().parse()?;
        let object = compile("tc", &[&format!("-DPAYLOAD={INTERFACE_AT}")])?;
        let (namespace, interface) = (from.namespace.clone(), from.interface.clone());
        let side = Side { namespace, interface, address: from.address.clone() };
        let shared = Arc::new(Shared::default());
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || side.inside(move || send(&object, index, &other)));
        Ok(Self { shared, thread })
    }

    /// Ends, and says how many were sent.
    pub(crate) fn end(self) -> Result<u64> {
        self.shared.done.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the sender panicked")???;
        Ok(self.shared.sent.load(Ordering::Relaxed))
    }
}

fn send(object: &[u8], interface: u32, shared: &Shared) -> Result<()> {
    const RUNS: u32 = 5_000;
    let source = Candidate { point: HookPoint::TcEgress, object, function: "source".parse()? }.alone()?;
    let mut frame = datagram();
    frame.resize(INTERFACE_AT + 4, 0);
    frame[INTERFACE_AT..].copy_from_slice(&interface.to_ne_bytes());
    while !shared.done.load(Ordering::Relaxed) {
        source.run(&frame, RUNS)?;
        shared.sent.fetch_add(u64::from(RUNS), Ordering::Relaxed);
    }
    Ok(())
}
