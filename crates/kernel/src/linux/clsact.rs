// SPDX-License-Identifier: Apache-2.0
//! TC programs as filters: one direct-action filter under the `clsact` queueing discipline, through netlink.
//!
//! This is how a chain is attached where the kernel has no links for TC programs (before Linux 6.6). A filter is replaced
//! atomically. An ingress discipline that is there, of whatever kind, is used and left.

use std::io;
use std::os::fd::BorrowedFd;

use libbpf_rs::{TC_EGRESS, TC_INGRESS, TcHook};
use package::HookPoint;

use super::maps::plain;

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

impl Filter {
    fn hook(self, program: BorrowedFd<'_>) -> io::Result<TcHook> {
        let mut hook = TcHook::new(program);
        let index = i32::try_from(self.index).map_err(io::Error::other)?;
        let point = if self.point == HookPoint::TcEgress { TC_EGRESS } else { TC_INGRESS };
        hook.ifindex(index).attach_point(point).handle(HANDLE).priority(self.priority).replace(true);
        Ok(hook)
    }

    /// Attaches a program, in place of the one that the filter has.
    pub(super) fn attach(self, program: BorrowedFd<'_>) -> io::Result<()> {
        let mut hook = self.hook(program)?;
        hook.create().map_err(plain)?;
        hook.attach().map_err(plain).map(drop)
    }
}
