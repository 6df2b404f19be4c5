// SPDX-License-Identifier: Apache-2.0
//! The edge to a kernel: carries out plans and reports what is there. It makes no decisions.
//!
//! [`Kernel`] is the port. [`Linux`] is the real one, through libbpf; [`Fake`] keeps the rules of a kernel that tests
//! on a real one have shown, in memory. [`splice()`] is the rewriting that makes any program a member of a chain.
//!
//! Nothing is remembered here: pins in bpffs are the record, and every question goes to the kernel.

mod fake;
mod insn;
mod ledger;
mod linux;
mod port;
mod record;
mod splice;

pub use fake::Fake;
pub use insn::Insn;
pub use ledger::{Cell, Cells, Ledger, Readings, Totals};
pub use linux::{Linux, Unopened};
pub use port::{Cause, Halted, Kernel, Refused, Unseen, apply};
pub use splice::{Keep, Moved, Splice, Spliced, Unspliceable, splice, ways_to_keep};
