// SPDX-License-Identifier: Apache-2.0
//! Chains on trial whose members take the place of functions of a dispatcher.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::MapHandle;
use package::{Enforcement, HookPoint};
use plan::Buffers;

use super::{Candidate, Keeps, Membership, Trial, package_name};
use crate::Refused;
use crate::dispatcher::Seat;
use crate::linux::dispatcher::Purpose;
use crate::linux::load::Ready;
use crate::linux::{dispatcher, maps, sys};

impl Trial {
    /// Builds a chain in a dispatcher.
    ///
    /// # Errors
    /// When the kernel rejects a member, or extension programs altogether.
    pub fn dispatched(point: HookPoint, members: &[(Candidate<'_>, Membership)]) -> Result<Self, Refused> {
        let failed = |error| Refused::action("build a dispatcher", error);
        let (buffers, counted) =
            members.first().map_or((Buffers::One, false), |(_, how)| (how.buffers, how.counted));
        let ready = members.iter().map(|(candidate, how)| candidate.extension(how.enforcement, buffers));
        let ready = ready.collect::<Result<Vec<_>, _>>()?;
        let counters = members.iter().map(|_| maps::create_counters(point));
        let counters = counters.collect::<io::Result<Vec<MapHandle>>>().map_err(failed)?;
        let array = maps::create_array_of(&counters).map_err(failed)?;
        let seats = members.iter().map(|(_, how)| Seat {
            proceed: &how.proceed,
            shadow: how.enforcement != Enforcement::Enforce,
            timed: how.timed,
        });
        let counting = counted.then_some(array.as_fd());
        let purpose = Purpose { point, buffers, device: None };
        let loaded = dispatcher::load(purpose, seats.collect(), counting).map_err(failed)?;
        let links = ready.iter().zip(&loaded.functions).map(|(extension, function)| {
            sys::replace_function(extension.program.as_fd(), loaded.program.as_fd(), *function)
        });
        let links = links.collect::<io::Result<Vec<OwnedFd>>>().map_err(failed)?;
        let keeps = Keeps { maps: vec![array], ready, _links: links, ..Keeps::default() };
        Ok(Self { point, entry: loaded.program, counters, keeps })
    }
}

impl Candidate<'_> {
    fn extension(&self, enforcement: Enforcement, buffers: Buffers) -> Result<Ready, Refused> {
        let (package, config) = (package_name(), BTreeMap::new());
        self.loading(&package, &config, buffers)?.load_extension(enforcement)
    }
}
