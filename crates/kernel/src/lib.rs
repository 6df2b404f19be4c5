// SPDX-License-Identifier: Apache-2.0
//! The edge to a kernel: carries out plans and reports what is there. It makes no decisions.
//!
//! [`Kernel`] is the port. [`Linux`] is the real one, through libbpf; [`Fake`] keeps the rules of a kernel that tests
//! on a real one have shown, in memory. [`splice()`] is the rewriting that makes any program a member of a chain; for
//! what it cannot do there are generated dispatchers.
//!
//! Nothing is remembered here: pins in bpffs are the record, and every question goes to the kernel.

mod code;
mod dispatcher;
mod effects;
mod fake;
mod holdings;
mod insn;
mod ledger;
mod linux;
mod port;
mod probe_record;
mod record;
mod sample;
mod splice;

pub use effects::{Effect, Functions, effect};
pub use fake::Fake;
pub use holdings::Holdings;
pub use insn::Insn;
pub use ledger::{Cell, Cells, Ledger, Reading, Readings, Totals};
pub use linux::{
    Attached, Batch, Batches, Caller, Candidate, Change, Foreign, Heard, Linux, MapEvents, Membership,
    NotChanged, OpenMap, PacketContext, Ran, Samples, Stand, Stir, Stood, Terms, Trial, Unopened, Values,
    Watch, create_constants, extensions_are_permitted, open_map, whole_number,
};
pub use port::{Cause, Ended, Glance, Halted, Kernel, Refused, Runs, Start, Unseen, apply, apply_with};
pub use sample::Sample;
pub use splice::{Counters, Moved, Sampled, Splice, Spliced, Unspliceable, Way, pass, splice, ways};
