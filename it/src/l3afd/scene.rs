// SPDX-License-Identifier: Apache-2.0
//! The network of the end-to-end suite of l3afd: tunnels for mirrored packets, and servers of HTTP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use super::Tunnel;
use crate::{Pair, Side, run_in};

/// Makes the tunnels `gue1`, whose packets are on the loopback interface at UDP port 6081, and `gue2`.
///
/// Kernels may be built without GUE. VXLAN wraps in UDP as well; but it takes a short cut to itself when the other end is
/// an address of this machine, unless that is a broadcast address (`encap_bypass_if_local` of
/// `drivers/net/vxlan/vxlan_core.c`); and what comes back must not teach it another.
pub(super) fn tunnel(side: &Side) -> Result<Tunnel> {
    let ip = |line: &str| run_in(&side.namespace, &format!("ip {line}"));
    let kind = if ip("fou add port 6080 gue").is_ok() { Tunnel::Gue } else { Tunnel::Vxlan };
    let own = &side.address;
    match kind {
        Tunnel::Gue => {
            ip("fou add port 6081 gue")?;
            let ipip = |name: &str, ends: &str, ports: &str| {
                ip(&format!("link add name {name} type ipip {ends} ttl 255 encap gue {ports}"))
            };
            ipip("gue1", &format!("local {own} remote 127.0.0.1"), "encap-sport 6080 encap-dport 6081")?;
            ipip("gue2", &format!("local 127.0.0.1 remote {own}"), "encap-sport 6081 encap-dport 6080")?;
        }
        Tunnel::Vxlan => {
            for (name, port) in [("gue1", 6081), ("gue2", 6080)] {
                let ends = format!("local {own} remote 127.255.255.255 dstport {port}");
                ip(&format!("link add {name} type vxlan id 1 {ends} nolearning"))
                    .context("the kernel has neither GUE nor VXLAN")?;
            }
        }
    }
    ip("link set gue1 up")?;
    ip("link set gue2 up")?;
    Ok(kind)
}

/// Servers on ports 8080 and 8081 of both sides, which say "here" to everybody.
#[derive(Debug)]
pub(super) struct HttpServers {
    done: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl HttpServers {
    pub(super) fn start(pair: &Pair) -> Result<Self> {
        let mut servers = Self { done: Arc::default(), threads: Vec::new() };
        for (side, port) in [(&pair.left, 8080), (&pair.left, 8081), (&pair.right, 8080), (&pair.right, 8081)]
        {
            let listener = side.inside(move || TcpListener::bind(("0.0.0.0", port)))??;
            listener.set_nonblocking(true)?;
            let done = Arc::clone(&servers.done);
            servers.threads.push(thread::spawn(move || serve(&listener, &done)));
        }
        Ok(servers)
    }
}

impl Drop for HttpServers {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn serve(listener: &TcpListener, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        match listener.accept() {
            // Whoever hangs up is not answered.
            Ok((stream, _)) => drop(answer(stream)),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let read = stream.read(&mut [0; 1024])?;
    if read > 0 {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhere")?;
    }
    Ok(())
}
