// SPDX-License-Identifier: Apache-2.0
//! Tells IPFIX collectors (RFC 7011) of the flows that the programs of this package count. All that must last is in the maps: it may
//! be killed at any time and goes on where it was. It never stops packets, and configures nothing: the document does.

mod compose;
mod element;
mod exporter;
mod flow;
mod ledger;
mod message;
mod pause;
mod record;
mod settings;
mod tables;
mod tcp;
mod template;
#[cfg(test)]
mod tests;
mod udp;
mod unacknowledged;

include!(concat!(env!("OUT_DIR"), "/maps.rs"));

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use exporter::Exporter;
use settings::Settings;

/// Between two looks at what is to be done.
const STEP: Duration = Duration::from_millis(100);
/// Whoever is asked to end has ten seconds (docs/node.md).
const LAST_WORDS: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    let end = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&end))
        .context("SIGTERM cannot be heard")?;
    let mut exporters = Vec::new();
    for (tables, constants) in tables::handed().context("the maps of the package cannot be opened")? {
        let settings = Settings::read(&constants).context(
            "no constants were handed over with the maps: this takes an l3afd that hands over `.rodata`",
        )?;
        for warning in &settings.warnings {
            tell(warning);
        }
        match settings.collector {
            Some(collector) => tell(&format!("flows are told to {collector}, domain {}", settings.domain)),
            None => tell("no collector is configured: flows are counted and nobody is told. Set `collector`"),
        }
        exporters.push(Exporter::open(tables, settings).context("the maps cannot be read")?);
    }
    ensure!(!exporters.is_empty(), "no maps were handed over: start it with l3afd, as part of its package");
    while !end.load(Ordering::Relaxed) {
        for exporter in &mut exporters {
            exporter.step().context("the maps cannot be read or written")?;
        }
        let is_waiting = exporters.iter().any(Exporter::is_waiting);
        thread::sleep(if is_waiting { STEP / 10 } else { STEP });
    }
    finish(&mut exporters)
}

/// Tells of all flows: nobody knows whether there will be a next process, and maps.
fn finish(exporters: &mut [Exporter]) -> Result<()> {
    let begin = Instant::now();
    for exporter in exporters.iter_mut() {
        exporter.close().context("the maps cannot be read or written")?;
    }
    for exporter in exporters {
        while !exporter.finish().context("the maps cannot be read or written")? {
            if begin.elapsed() > LAST_WORDS {
                tell("not all flows could be told of before the end");
                return Ok(());
            }
            thread::sleep(STEP / 10);
        }
    }
    Ok(())
}

/// Writes a line into the log of the package.
fn tell(line: &str) {
    // Where nobody takes what is told, there is nobody to tell that.
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}
