// SPDX-License-Identifier: Apache-2.0
//! All that crosses a socket or is handed over as a folder: the node's API, its client, OCI layouts, and registries.
//!
//! These types say how things are spelled. What they mean is decided behind the API.

mod check;
mod client;
mod deployment;
mod described;
mod difference;
mod document;
mod event;
mod fault;
pub mod hub;
mod issuer;
pub mod l3afd;
mod layout;
mod listing;
mod maps;
mod named;
mod node;
mod otlp;
mod probe;
mod rates;
mod registry;
mod sample;
mod server_events;
mod settle;
mod tested;
mod trust;
mod user_program;

pub use check::{BadCheck, Check, CheckDocument, DropsDocument, answers};
pub use client::{CallError, Entries, Following, NodeClient, RemoteNode};
pub use deployment::{DeploymentDocument, NoSource, Source};
pub use described::Problems;
pub use difference::{Difference, Kind as DifferenceKind, MATCHES, differences};
pub use document::{ChainDocument, Document, MemberDocument, UnreadableDocument};
pub use event::{Event, EventKind};
pub use fault::Fault;
pub use issuer::{Code, Discovered, Given, Issuer, IssuerClient, IssuerError, is_safe_issuer};
pub use layout::{Layout, LayoutError};
pub use listing::{Chains, Probes};
pub use maps::{
    MapChange, MapChanged, MapEnd, MapEntry, MapLine, MapPlace, MapTold, MapView, Maps, NewEntry,
};
pub use named::{named, placed};
pub use node::{
    Applied, ChainView, Count, Generation, GenerationSummary, MemberView, Planned, PlannedChain, PlannedStep,
    Problem, Profile, ReadOnlyDataView, Rollback, RunTime, State, Status, Unconfirmed,
};
pub use otlp::{BadEndpoint, Collector, Measured, Uncollected};
pub use probe::{ProbeDocument, ProbeView};
pub use rates::{ChainRates, MemberRates, Rate, rates, short_number};
pub use registry::{
    BadCredentials, BadReference, Credentials, Patience, Places, Progress, Reference, Registry,
    RegistryError, Repository, Shelf, Tag,
};
pub use sample::{PacketView, Said, SampleWish, Sampled, base64};
pub use settle::settle_reference;
pub use tested::{
    TestContext, TestPlace, TestRead, TestStep, TestWish, Tested, TestedMap, TestedRun, TestedStep,
};
pub use trust::{Alarm, Explained, Ruling, TrustMode, Verdict};
pub use user_program::{
    LimitMeans, UserProgramConfinement, UserProgramLimit, UserProgramLog, UserProgramName, UserProgramState,
    UserProgramView,
};
