// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The user part of `load-balancer`: checks backends, and writes the tables by which the program in the kernel chooses among them.
//!
//! It forwards nothing. When it does not run, packets go on as the last tables say.

mod backend;
mod balancer;
mod check;
mod claim;
mod health;
mod maglev;
mod publish;
mod slots;
mod workers;

include!(concat!(env!("OUT_DIR"), "/maps.rs"));

use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::{env, io, thread};

use balancer::{Balancer, Maps, say};
use claim::Claim;
use maps::{Described, Map, Place, RodataConstants};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs all balancers until one of them fails; whoever started this program starts it again then.
fn run() -> io::Result<()> {
    let handed = handed()?;
    if handed.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no maps were handed over; `l3afd` runs this program",
        ));
    }
    let begin = |(maps, constants): (Maps, RodataConstants)| {
        thread::spawn(move || Ok((Balancer::new(maps, &constants)?, constants)))
    };
    let beginning: Vec<_> = handed.into_iter().map(begin).collect();
    let balancers: io::Result<Vec<_>> = beginning.into_iter().map(joined).collect();
    let (failed, failure) = std::sync::mpsc::channel();
    for (balancer, constants) in balancers? {
        let failed = failed.clone();
        thread::spawn(move || failed.send(serve(balancer, &constants)));
    }
    tell_ready()?;
    drop(failed);
    Err(failure.recv().unwrap_or_else(io::Error::other))
}

/// Balances, but while another process has the word. Returns why that is not possible any more.
fn serve(mut balancer: Balancer, constants: &RodataConstants) -> io::Error {
    loop {
        let next = balancer.run().and_then(|maps| {
            say("another process of this program began, and has the word: this one stands by");
            maps.claim.stand_by()?;
            say("the other process has ended: this one goes on");
            Balancer::new(maps, constants)
        });
        match next {
            Ok(next) => balancer = next,
            Err(error) => return error,
        }
    }
}

fn joined<T>(thread: thread::JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
}

/// The maps of each member of the package, or of several that share them.
fn handed() -> io::Result<Vec<(Maps, RodataConstants)>> {
    let (mut backends, mut constants) = (maps::Backends::handed()?, maps::Rodata::handed()?);
    let (mut tables, mut pools) = (maps::Tables::handed()?, maps::Pools::handed()?);
    let (mut health, mut claims) = (maps::Health::handed()?, maps::Claims::handed()?);
    let together = |targets: maps::Targets| {
        let places = targets.places().to_vec();
        let constants = take(&mut constants, &places)?.read()?;
        let maps = Maps {
            backends: take(&mut backends, &places)?,
            tables: take(&mut tables, &places)?,
            pools: take(&mut pools, &places)?,
            health: take(&mut health, &places)?,
            claim: Claim::none(take(&mut claims, &places)?),
            targets,
        };
        Ok((maps, constants))
    };
    maps::Targets::handed()?.into_iter().map(together).collect()
}

/// The map that is for one of these places.
fn take<M: Described, A>(from: &mut Vec<Map<M, A>>, places: &[Place]) -> io::Result<Map<M, A>> {
    let is_for = |map: &Map<M, A>| map.places().iter().any(|place| places.contains(place));
    let Some(at) = from.iter().position(is_for) else {
        let why = format!("no map `{}` was handed over for {places:?}", M::NAME);
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    };
    Ok(from.swap_remove(at))
}

/// Says that packets may come (`sd_notify(3)`), to who asked for that.
fn tell_ready() -> io::Result<()> {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    UnixDatagram::unbound()?.send_to(b"READY=1", path).map(drop)
}
