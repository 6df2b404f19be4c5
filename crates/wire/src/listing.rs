// SPDX-License-Identifier: Apache-2.0
//! What runs on a node, as lists. Each says in which mode the node is: a list of what nobody verified looks like any other.

use package::{PackageName, PublisherName, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ChainView, ProbeView, TrustMode};

/// The chains of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chains {
    /// Whether what is here was verified.
    pub mode: TrustMode,
    /// The chains.
    pub chains: Vec<ChainView>,
}

/// The probes of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Probes {
    /// Whether what is here was verified.
    pub mode: TrustMode,
    /// The probes.
    pub probes: Vec<ProbeView>,
}

/// A program of a package that runs in user space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserProgramView {
    /// The publisher of its package.
    #[schema(value_type = String)]
    pub publisher: PublisherName,
    /// The name of its package.
    #[schema(value_type = String)]
    pub package: PackageName,
    /// The version of its package.
    #[schema(value_type = String)]
    pub version: Version,
    /// The file of the package that is executed.
    pub name: String,
    /// The digest of its bytes.
    pub digest: String,
    /// How it is.
    pub state: UserProgramState,
    /// Its process, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u64,
    /// How it ended last, or why it could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The file with what it wrote.
    pub log: String,
}

/// How a program in user space is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserProgramState {
    /// It runs.
    Running,
    /// It ended, or could not be started, and is started again in a while.
    Waiting,
    /// It was told to end.
    Stopping,
}
