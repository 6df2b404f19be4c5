// SPDX-License-Identifier: Apache-2.0
//! Loading a member that is not spliced: as its author wrote it, to take the place of a function of dispatchers.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use libbpf_rs::{OpenObject, ProgramAttachType, ProgramType};
use package::Enforcement;

use super::{Loading, Ready, Rejected, plain};
use crate::linux::{dispatcher, log, sys};
use crate::{Cause, Refused};

impl Loading<'_> {
    /// Loads the program so that it can take the place of functions. `enforcement` is what the dispatcher makes of it.
    pub(in crate::linux) fn load_extension(&self, enforcement: Enforcement) -> Result<Ready, Refused> {
        let untouched = self.load_untouched()?;
        self.check_effects(&untouched.insns, enforcement)?;
        drop(untouched);
        let pattern = dispatcher::pattern(self.point, self.buffers)
            .map_err(|error| self.action("make a dispatcher for", error))?;
        let (result, log) = log::with(|log| {
            let open = self.open_extension(log, pattern.as_fd());
            open.map(OpenObject::load).map_err(|error| self.action("open", error))
        })?;
        let warning = sys::take_warning();
        let loaded = result.map_err(|error| {
            let source = warning.map_or_else(|| error.into(), Cause::from);
            self.refuse(Rejected { log, source })
        })?;
        Ready::of(&loaded, self.source.function).map_err(|error| self.action("find", error))
    }

    /// Loads the program to run by itself.
    pub(in crate::linux) fn load_alone(&self) -> Result<Ready, Refused> {
        let untouched = self.load_untouched()?;
        Ready::of(&untouched.loaded, self.source.function).map_err(|error| self.action("find", error))
    }

    fn open_extension(&self, log: &mut [u8], pattern: BorrowedFd<'_>) -> io::Result<OpenObject> {
        let (mut open, _) = self.open(0, log)?;
        for mut program in open.progs_mut().filter(|program| program.name() == self.source.function.as_ref())
        {
            program.set_prog_type(ProgramType::Ext);
            // Its kind of attaching is that of the program whose function it replaces.
            program.set_attach_type(ProgramAttachType::from(0));
            let function = dispatcher::function_name(0);
            program.set_attach_target(pattern.as_raw_fd(), Some(function)).map_err(plain)?;
        }
        Ok(open)
    }
}
