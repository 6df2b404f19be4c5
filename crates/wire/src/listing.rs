// SPDX-License-Identifier: Apache-2.0
//! What runs on a node, as lists. Each says in which mode the node is: a list of what nobody verified looks like any other.

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
