// SPDX-License-Identifier: Apache-2.0
//! Chains on trial in a dispatcher of somebody else, to compare with.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use libbpf_rs::{ObjectBuilder, OpenObject};
use package::{HookPoint, ProgramName};
use plan::Buffers;

use super::{Candidate, Keeps, Trial, package_name, program};
use crate::Refused;
use crate::linux::load::{Place, Ready};
use crate::linux::maps::plain;
use crate::linux::{Spelling, sys};

/// A dispatcher of somebody else.
#[derive(Debug, Clone)]
pub struct Foreign<'a> {
    /// Its object.
    pub object: &'a [u8],
    /// Its main function.
    pub main: ProgramName,
    /// The constants that tell it what to do.
    pub constants: &'a [u8],
    /// The names of the functions that members take the place of, in order.
    pub functions: Vec<String>,
}

impl Trial {
    /// Builds a chain in a dispatcher of somebody else.
    ///
    /// # Errors
    /// When the kernel rejects it or a member, or it has too few functions.
    pub fn dispatched_by(
        foreign: &Foreign<'_>,
        point: HookPoint,
        members: &[Candidate<'_>],
    ) -> Result<Self, Refused> {
        let failed = |error| Refused::action("load a dispatcher of somebody else", error);
        let dispatcher = foreign.open(point).map_err(failed)?.load();
        let dispatcher = dispatcher.map_err(|error| failed(plain(error)))?;
        let entry = program(&dispatcher, &foreign.main).map_err(failed)?;
        let (mut ready, mut links) = (Vec::new(), Vec::new());
        for (member, function) in members.iter().zip(&foreign.functions) {
            let place = Place { program: entry.as_fd(), function: function.clone() };
            let member = member.in_place(&place)?;
            links.push(link(&member).map_err(failed)?);
            ready.push(member);
        }
        if ready.len() < members.len() {
            return Err(failed(io::Error::other("it has too few functions")));
        }
        let keeps = Keeps { _objects: vec![dispatcher], ready, _links: links, ..Keeps::default() };
        Ok(Self { point, entry, counters: Vec::new(), keeps })
    }
}

impl Candidate<'_> {
    fn in_place(&self, place: &Place<'_>) -> Result<Ready, Refused> {
        let (package, config) = (package_name(), BTreeMap::new());
        self.loading(&package, &config, Buffers::One)?.load_in_place_of(place)
    }
}

impl Foreign<'_> {
    fn open(&self, point: HookPoint) -> io::Result<OpenObject> {
        let mut object = ObjectBuilder::default().open_memory(self.object).map_err(plain)?;
        for mut program in object.progs_mut() {
            program.set_autoload(program.name() == self.main.as_ref());
            program.set_attach_type(Spelling::of(point).attach.into());
        }
        for mut map in object.maps_mut().filter(|map| map.name().to_string_lossy().ends_with(".rodata")) {
            let room = map.initial_value_mut().filter(|room| room.len() == self.constants.len());
            let room = room.ok_or_else(|| io::Error::other("its constants are others"))?;
            room.copy_from_slice(self.constants);
        }
        Ok(object)
    }
}

/// Lets a program take the place that it was loaded for.
fn link(member: &Ready) -> io::Result<OwnedFd> {
    sys::create_link(member.program.as_fd(), 0, 0, sys::Linking::default())
}
