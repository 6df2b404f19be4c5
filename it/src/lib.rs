// SPDX-License-Identifier: Apache-2.0
//! What whole stories are made of: namespaces, packages, daemons, traffic. Used by the stories and by the demo.
//!
//! Everything is made under a name of its own and removed when it goes out of scope, so that stories run beside each
//! other. All of it needs root.

pub mod attacks;
mod authority;
mod command;
mod corpus;
mod dice;
mod entries;
mod frames;
pub mod fuzz;
mod hub;
mod kills;
mod l3afd;
mod net;
mod node;
mod oidc;
mod packages;
mod postgres;
mod probes;
mod registry;
mod relay;
mod s3;
mod smtp;
mod traffic;

pub use authority::{Authority, Identity, Provider};
pub use command::{Ran, binary, run, run_in};
pub use corpus::{Specimen, corpus, foreign, specimen};
pub use dice::Dice;
pub use entries::fill;
pub use frames::{Net, Outlet, frame, frames_across, hex, no_offload, send_frames};
pub use hub::{Artifact, Ask, Browser, Hub, Page, Person, Pusher, Reply, Tally, escaped, push_through_kills};
pub use kills::{Kills, documents as documents_to_kill_through, kill_through};
pub use l3afd::{Answer, Artifacts, Chaining, Site, Tunnel};
pub use net::{Pair, Side, unique};
pub use node::Node;
pub use oidc::OidcProvider;
pub use packages::{Packages, repository, unverified};
pub use postgres::Postgres;
pub use probes::Probes;
pub use registry::DockerRegistry;
pub use relay::Relay;
pub use s3::S3;
pub use smtp::Smtp;
pub use traffic::{Connections, connect, flood_while, ping, stream_while};
