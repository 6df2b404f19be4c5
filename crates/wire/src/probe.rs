// SPDX-License-Identifier: Apache-2.0
//! Probes, as people write them and as the node's API shows them.

use std::collections::BTreeMap;

use package::{AttachOptions, Config, MemberName, ProbeKind, ProgramName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::{is_yes, yes};
use crate::{ReadOnlyDataView, RunTime, l3afd};

/// One program that is attached at one place, outside of any chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeDocument {
    /// Its name, unique among the probes of the node.
    #[schema(value_type = String)]
    pub name: MemberName,
    /// Where the package is: `file:` and the path of an OCI layout folder, or `oci://` and a reference into a registry. Left out, it
    /// is part of a deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The deployment that it is part of, where that is not the one of its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub deployment: Option<MemberName>,
    /// The function, where the package has several probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub program: Option<ProgramName>,
    /// Where it attaches, as far as the package leaves that open; the options are those of its kind.
    #[serde(default, skip_serializing_if = "AttachOptions::is_empty")]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub attach: AttachOptions,
    /// Whether it is attached. A probe that is not keeps its maps.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// Values for parameters of the program, and what its maps hold, by name: the JSON of the map interface.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub config: Config,
    /// What the API of l3afd v1 says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l3afd: Option<Box<l3afd::Program>>,
}

impl ProbeDocument {
    /// A probe of which nothing more is said.
    pub fn named(name: MemberName) -> Self {
        Self {
            name,
            package: None,
            deployment: None,
            program: None,
            attach: AttachOptions::default(),
            enabled: true,
            config: Config::new(),
            l3afd: None,
        }
    }
}

/// A probe as it is in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: MemberName,
    /// Which kind of probe it is.
    #[schema(value_type = String)]
    pub kind: ProbeKind,
    /// What it is attached to.
    pub target: String,
    /// Whether events reach it.
    pub attached: bool,
    /// The incarnation that runs.
    pub instance: String,
    /// The publisher and the name of its package.
    pub package: String,
    /// The version of its package.
    pub version: String,
    /// The function that runs.
    pub program: String,
    /// The digest of the object that was loaded.
    pub object_digest: String,
    /// The digest of the instructions that run, as the kernel computes it: `sha1:` before Linux 6.18, else `sha256:`. The
    /// tag that tools show is its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_digest: Option<String>,
    /// Who can use its read-only data; none where it has no such data, or that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_data: Option<ReadOnlyDataView>,
    /// The parameters that were set.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub config: Config,
    /// The maps that hold what the document says: the digest of that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configured_maps: BTreeMap<String, String>,
    /// Its runs, while the kernel counts them (`kernel.bpf_stats_enabled`).
    pub run: RunTime,
}
