// SPDX-License-Identifier: Apache-2.0
//! The map interface: one typed way between user space and any eBPF program.

mod btf;
mod endian;
mod number;

pub use btf::{Btf, BtfError, Kind, Member, Resolved, SectionVariable};
pub use endian::Endian;
pub use number::{BadNumber, MAX_EXACT, Number};
