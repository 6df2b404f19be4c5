// SPDX-License-Identifier: Apache-2.0
//! Loading a member that is not spliced: as its author wrote it, to take the place of a function of dispatchers.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use libbpf_rs::{Object as Loaded, OpenObject, ProgramAttachType, ProgramType};
use package::Enforcement;

use super::{LOG, Loading, Rejected, plain, take_log};
use crate::linux::{dispatcher, sys};
use crate::{Cause, Refused};

impl Loading<'_> {
    /// Loads the program so that it can take the place of functions. `enforcement` is what the dispatcher makes of it.
    pub(in crate::linux) fn load_extension(&self, enforcement: Enforcement) -> Result<Loaded, Refused> {
        let untouched = self.load_untouched()?;
        self.check_effects(&untouched.insns, enforcement)?;
        drop(untouched);
        let pattern = dispatcher::pattern(self.point, self.buffers)
            .map_err(|error| self.action("make a dispatcher for", error))?;
        let mut log = take_log();
        let open =
            self.open_extension(&mut log, pattern.as_fd()).map_err(|error| self.action("open", error))?;
        let result = open.load();
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        let text = String::from_utf8_lossy(&log[..end]).into_owned();
        LOG.set(log);
        let warning = sys::take_warning();
        result.map_err(|error| {
            let source = warning.map_or_else(|| error.into(), Cause::from);
            self.refuse(Rejected { log: text, source })
        })
    }

    fn open_extension(&self, log: &mut [u8], pattern: BorrowedFd<'_>) -> io::Result<OpenObject> {
        let mut open = self.open(0, log)?;
        for mut program in open.progs_mut().filter(|program| program.name() == self.function.as_ref()) {
            program.set_prog_type(ProgramType::Ext);
            // Its kind of attaching is that of the program whose function it replaces.
            program.set_attach_type(ProgramAttachType::from(0));
            let function = dispatcher::function_name(0);
            program.set_attach_target(pattern.as_raw_fd(), Some(function)).map_err(plain)?;
        }
        Ok(open)
    }
}
