// SPDX-License-Identifier: Apache-2.0
//! Other kernels: a Debian kernel in QEMU, over the files of this machine.
//!
//! The guest sees this machine's root read-only (9p), with its own changes on top in memory (overlayfs), so that every
//! program is there. `/tmp` and `/run` are its own. It is emulated (TCG), so that it runs on any machine. Kernels come from Debian, by the sources that this machine's apt has.

mod apt;
mod command;
mod kernel;
mod machine;
mod root;
mod unbootable;

pub use kernel::{Image, RELEASES, fetch};
pub use machine::{Guest, quoted};
pub use unbootable::Unbootable;
