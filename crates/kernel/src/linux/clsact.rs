// SPDX-License-Identifier: Apache-2.0
//! TC programs as filters: one direct-action filter under the `clsact` queueing discipline, through netlink.
//!
//! This is how a chain is attached where the kernel has no links for TC programs (before Linux 6.6). A filter is replaced
//! atomically. An ingress discipline that is there, of whatever kind, is used and left.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use libbpf_rs::{ErrorKind, TC_EGRESS, TC_INGRESS, TcHook};
use package::HookPoint;

use super::maps::plain;
use super::qdisc;

/// One filter on one interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter {
    /// The index of the interface.
    pub(super) index: u32,
    /// Which way packets go.
    pub(super) point: HookPoint,
    /// Filters run in the order of their priorities, from 1.
    pub(super) priority: u32,
}

/// Every filter of ours has this handle.
const HANDLE: u32 = 1;
/// The priority of the filter that is a chain: one that nobody takes by accident.
const PRIORITY: u32 = 5039;

impl Filter {
    /// The filter of a chain.
    pub(super) fn of_chain(index: u32, point: HookPoint) -> Self {
        Self { index, point, priority: PRIORITY }
    }

    fn hook(self, program: BorrowedFd<'_>) -> io::Result<TcHook> {
        let mut hook = TcHook::new(program);
        let index = i32::try_from(self.index).map_err(io::Error::other)?;
        let point = if self.point == HookPoint::TcEgress { TC_EGRESS } else { TC_INGRESS };
        hook.ifindex(index).attach_point(point).handle(HANDLE).priority(self.priority).replace(true);
        Ok(hook)
    }

    /// Attaches a program, in place of the one that the filter has. Makes the queueing discipline where there is none.
    pub(super) fn attach(self, program: BorrowedFd<'_>) -> io::Result<()> {
        let mut hook = self.hook(program)?;
        if !qdisc::has_ingress(self.index)? {
            hook.create().map_err(plain)?;
        }
        hook.attach().map_err(plain).map(drop)
    }

    /// The hook where no program is given. A descriptor is asked for all the same and not looked at.
    fn bare_hook(self) -> io::Result<TcHook> {
        self.hook(io::stderr().as_fd())
    }

    /// The id of the program that the filter has; none where there is no such filter.
    pub(super) fn program(self) -> io::Result<Option<u32>> {
        match self.bare_hook()?.query() {
            Ok(id) => Ok(Some(id)),
            // Without a discipline the kernel says that the argument is invalid.
            Err(error) if [ErrorKind::NotFound, ErrorKind::InvalidInput].contains(&error.kind()) => Ok(None),
            Err(error) => Err(plain(error)),
        }
    }

    /// Takes the filter away, and the discipline as well where it is ours and nobody has a filter in it any more.
    pub(super) fn detach(self, discipline_is_ours: bool) -> io::Result<()> {
        let mut hook = self.bare_hook()?;
        if self.program()?.is_some() {
            hook.detach().map_err(plain)?;
        }
        if discipline_is_ours && qdisc::has_ingress(self.index)? && !qdisc::has_filters(self.index)? {
            hook.attach_point(TC_INGRESS | TC_EGRESS).destroy().map_err(plain)?;
        }
        Ok(())
    }
}
