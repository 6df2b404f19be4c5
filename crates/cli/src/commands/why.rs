// SPDX-License-Identifier: Apache-2.0
//! `l3af why`: packets where they leave chains, with the members that they passed and the one that decided.

mod pcapng;

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use package::Interfaces;
use wire::{PacketView, SampleWish, Sampled};

use self::pcapng::Pcapng;
use super::daemon::{call, follow};
use crate::arguments::{Daemon, Why};
use crate::failure::{Failure, Outcome};
use crate::output;

/// What was told so far.
struct Told<'a> {
    arguments: &'a Why,
    capture: Option<Pcapng<BufWriter<File>>>,
    packets: u64,
    missed: u64,
    /// Why the file could not be written.
    broken: Option<std::io::Error>,
}

pub(crate) fn run(daemon: &Daemon, arguments: &Why) -> Outcome {
    let (interface, hook) = Interfaces::parse_place(&arguments.place)?;
    let wish = SampleWish {
        interface,
        hook,
        filter: arguments.filter.join(" ").parse()?,
        share: arguments.share,
        seconds: arguments.seconds,
    };
    let capture = arguments.pcap.as_deref().map(create).transpose()?;
    let told = RefCell::new(Told { arguments, capture, packets: 0, missed: 0, broken: None });
    call(daemon, async |node| {
        follow(node.sample(&wish).await?, "the daemon ended", |sampled| told.borrow_mut().tell(sampled)).await
    })?;
    told.into_inner().end()
}

fn create(path: &Path) -> Result<Pcapng<BufWriter<File>>, Failure> {
    let begun = File::create(path).and_then(|file| Pcapng::begin(BufWriter::new(file)));
    begun.map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))
}

impl Told<'_> {
    /// Tells of one thing. Returns whether to go on.
    fn tell(&mut self, sampled: &Sampled) -> bool {
        match sampled {
            Sampled::Begun { hooks } => {
                output::note(&format!("listening on {}", hooks.join(", ")));
                true
            }
            Sampled::Packet(packet) => self.packet(packet, sampled),
            Sampled::Missed { packets } => {
                self.missed += packets;
                !self.arguments.json || output::json_line(sampled)
            }
            Sampled::Ended { reason } => {
                output::note(reason);
                false
            }
        }
    }

    fn packet(&mut self, packet: &PacketView, sampled: &Sampled) -> bool {
        self.packets += 1;
        if let Some(capture) = &mut self.capture
            && let Err(error) = capture.packet(packet)
        {
            self.broken = Some(error);
            return false;
        }
        let is_read = if self.arguments.json {
            output::json_line(sampled)
        } else {
            output::foreign(&packet.to_string())
        };
        is_read && self.arguments.count.is_none_or(|count| self.packets < count)
    }

    fn end(self) -> Outcome {
        let written = self.capture.map_or(Ok(()), |capture| capture.end().flush());
        if let Some(error) = self.broken.or(written.err()) {
            return Err(Failure::new(format!("the capture cannot be written: {error}")));
        }
        let missed = match self.missed {
            0 => String::new(),
            missed => format!("; {missed} more were asked for and are not shown, as they came too fast"),
        };
        output::note(&format!("{} packets{missed}", self.packets));
        Ok(())
    }
}
