// SPDX-License-Identifier: Apache-2.0
//! Loading a member that is not spliced: as its author wrote it, to take the place of a function of dispatchers.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use libbpf_rs::{OpenObject, ProgramAttachType, ProgramType};
use package::Enforcement;

use super::{Loading, Ready, Rejected, plain};
use crate::linux::dispatcher::Purpose;
use crate::linux::{dispatcher, exclusive, log, root, sys};
use crate::{Cause, Refused};

/// A function whose place a program can take.
pub(in crate::linux) struct Place<'a> {
    /// The program that has the function.
    pub(in crate::linux) program: BorrowedFd<'a>,
    /// The name of the function.
    pub(in crate::linux) function: String,
}

impl Loading<'_> {
    /// Loads the program so that it can take the place of a function of any dispatcher of ours. `enforcement` is what the
    /// dispatcher makes of its verdicts.
    pub(in crate::linux) fn load_extension(&self, enforcement: Enforcement) -> Result<Ready, Refused> {
        if enforcement != Enforcement::Enforce {
            self.check_effects(&self.load_untouched()?.insns, enforcement)?;
        }
        let Self { point, buffers, device, .. } = *self;
        let purpose = Purpose { point, buffers, device };
        // It is for the device that the program is for whose function it replaces.
        let pattern =
            dispatcher::pattern(purpose).map_err(|error| self.action("make a dispatcher for", error))?;
        let function = dispatcher::function_name(0);
        self.load_in_place_of(&Place { program: pattern.as_fd(), function })
    }

    /// Loads the program to take the place of a function. When that is refused, loading it untouched tells whether it is the
    /// place or the program.
    pub(in crate::linux) fn load_in_place_of(&self, place: &Place<'_>) -> Result<Ready, Refused> {
        let (result, log) = log::with(|log| {
            let open = self.open_extension(log, place);
            open.map(OpenObject::load).map_err(|error| self.action("open", error))
        })?;
        let warning = sys::take_warning();
        match result {
            Ok(loaded) => {
                self.source.pin_state(&loaded).map_err(|error| self.action("pin the maps of", error))?;
                self.check(&loaded, None)
            }
            Err(error) => {
                let source = warning.map_or_else(|| error.into(), Cause::from);
                self.load_untouched()?;
                Err(self.refuse(Rejected { log, source }))
            }
        }
    }

    /// Loads the program to run by itself.
    pub(in crate::linux) fn load_alone(&self) -> Result<Ready, Refused> {
        self.check(&self.load_untouched()?.loaded, None)
    }

    fn open_extension(&self, log: &mut [u8], place: &Place<'_>) -> io::Result<OpenObject> {
        let (mut open, _) = self.open(0, log)?;
        for mut program in open.progs_mut().filter(|program| program.name() == self.source.function.as_ref())
        {
            program.set_prog_type(ProgramType::Ext);
            // Its kind of attaching is that of the program whose function it replaces.
            program.set_attach_type(ProgramAttachType::from(0));
            program.set_flags(root::flags(self.buffers));
            program.set_ifindex(0);
            let function = Some(place.function.clone());
            program.set_attach_target(place.program.as_raw_fd(), function).map_err(plain)?;
        }
        exclusive::claim(&open)?;
        Ok(open)
    }
}
