// SPDX-License-Identifier: Apache-2.0
//! The map interface: one typed way between user space and any eBPF program.
//!
//! [`Btf`] reads the types of an object, a [`Type`] says what a key or a value is, [`Type::view`] writes a value as JSON and
//! [`Type::encode`] makes bytes of JSON. `docs/map-interface.md` is the specification. This crate does no I/O: whoever holds
//! a map reads and writes it.

mod address;
mod btf;
mod compare;
mod endian;
mod fault;
mod float;
mod format;
mod interface;
mod number;
mod per_cpu;
mod time;
mod types;
mod unit;
mod view;
mod word;
mod write;

pub use btf::{Btf, BtfError, Kind, Member, Resolved, SectionVariable};
pub use compare::{Comparison, Difference};
pub use endian::Endian;
pub use fault::{Fault, FaultKind, Faults};
pub use interface::{
    Clock, Contents, Entry, EntryView, FieldNotes, Format, Held, InnerMap, Interface, Map, MapKind, MapNotes,
    Misfit, Misfits, NamesFrom, NoType, Problem, Role, Section, SectionSymbol, Variables,
};
pub use number::{BadNumber, MAX_EXACT, Number};
pub use per_cpu::Sum;
pub use types::{
    Array, BadGrammar, BadType, BucketRule, Buckets, Family, Field, Fields, Integer, Meaning, Names, Order,
    Place, Prefix, Shape, Type, Unclear, Words,
};
pub use unit::{TimeUnit, Unit};
pub use view::{View, WrongSize};
pub use word::NotJson;
