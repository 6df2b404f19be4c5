// SPDX-License-Identifier: Apache-2.0
//! The node daemon: takes a desired state, verifies its packages, plans, applies, and tells what runs.
//!
//! The [`Engine`] is the one owner of the kernel; the API and the clock only call it. It never decides what the plan
//! decides, and never touches a kernel but through the port.

mod access;
mod api;
mod check;
mod config;
mod detach;
mod document_file;
mod durable;
mod engine;
mod events;
mod evidence;
mod faults;
mod fetch;
mod generation;
mod l3afd;
mod listen;
mod lock;
mod log;
mod map_metrics;
mod memory;
mod metrics;
mod otlp;
mod own_metrics;
mod policy;
mod rejected;
mod repairs;
mod resolve;
mod server;
mod service;
mod standing;
mod store;
mod testing;
mod trial;
mod user;
mod view;
mod waiting;
mod watchdog;

pub use access::{
    Access, Asker, BadAccess, BadExpression, BadHandle, BadIssuer, BadRules, BadTls, Denied, Handle,
    NameRule, NoAudit,
};
pub use api::router;
pub use config::{
    AccessConfig, Arguments, BadConfig, BadRemote, Config, LimitsConfig, OidcConfig, RemoteConfig, TlsVersion,
};
pub use detach::detach_all;
pub use engine::{BadMapCall, Conditions, Engine, Parts, Unsampled};
pub use evidence::Found;
pub use faults::Faults;
pub use fetch::{Fetched, Fetcher};
pub use l3afd::{
    BadL3afdConfig, L3afdConfig, NoPidFile, NotEnded, Unfit as UnfitForL3afd, as_spelled_today,
    end_for_l3afd_v1, end_l3afd_v1, lock, write_pid_file,
};
pub use lock::{Lock, Locked};
pub use log::{LogForm, begin_log};
pub use rejected::Rejected;
pub use server::{Unserved, serve};
pub use user::{USER_PROGRAM, become_user_program};
pub use watchdog::watch;
