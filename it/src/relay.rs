// SPDX-License-Identifier: Apache-2.0
//! Leads an address of a namespace to the same address outside of it.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;

use crate::Side;

/// How often it looks for somebody who connects.
const PAUSE: Duration = Duration::from_millis(5);

/// What connects to an address on a side is connected to that address here, until this goes out of scope.
#[derive(Debug)]
pub struct Relay {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Begins.
    ///
    /// # Errors
    /// When somebody listens there already.
    pub fn start(side: &Side, address: SocketAddr) -> Result<Self> {
        let listener = side.inside(move || TcpListener::bind(address))??;
        listener.set_nonblocking(true)?;
        let ends = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let ends = Arc::clone(&ends);
            move || accept(&listener, address, &ends)
        });
        Ok(Self { ends, thread: Some(thread) })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // What it says is of no more use.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn accept(listener: &TcpListener, address: SocketAddr, ends: &AtomicBool) {
    while !ends.load(Ordering::SeqCst) {
        match listener.accept() {
            // A client that goes is no matter.
            Ok((stream, _)) => drop(connect(stream, address)),
            Err(_nobody) => thread::sleep(PAUSE),
        }
    }
}

/// Connects a client, and carries bytes in both directions.
fn connect(client: TcpStream, address: SocketAddr) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let server = TcpStream::connect(address)?;
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        thread::spawn(move || carry(&from, &to));
    }
    Ok(())
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    // An end that breaks off ends as any other.
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Write));
}
