// SPDX-License-Identifier: Apache-2.0
//! What callers of l3afd v1 say and hear, spelled as they know it, and what that means as a desired state.
//!
//! The schema is that of l3afd 2.x (`models/l3afd.go`). It is read as Go reads JSON: whatever the case of keys, `null` for
//! nothing, and keys that it does not know passed over; and written as Go writes it, byte for byte.

mod artifact;
mod check;
mod configured;
mod json;
mod release;
mod settings;

use std::collections::BTreeMap;

use package::HookPoint;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use thiserror::Error;
use utoipa::ToSchema;

pub use artifact::{Found, NoArtifact, Place};
pub use check::{ARTIFACTS, BadPayload};
pub use configured::{Configured, Located, Repository, identifier};
pub use json::{read, write};
pub use release::Release;
pub use settings::{BadSettings, Settings, platform};

/// What is said of one interface: of its programs, or of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub struct Entry<T = Program> {
    /// The host that it is for.
    #[serde(deserialize_with = "zero")]
    pub host_name: String,
    /// The interface.
    #[serde(deserialize_with = "zero")]
    pub iface: String,
    /// Its address; a label of metrics.
    #[serde(deserialize_with = "zero")]
    pub ipv4_address: String,
    /// Its programs; none where nothing was said.
    pub bpf_programs: Option<Lists<T>>,
}

/// The programs of one interface, or their names, by direction.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub struct Lists<T = Program> {
    /// Those at XDP.
    pub xdp_ingress: Option<Vec<T>>,
    /// Those at TC ingress.
    pub tc_ingress: Option<Vec<T>>,
    /// Those at TC egress.
    pub tc_egress: Option<Vec<T>>,
    /// Probes of the whole node.
    pub probes: Option<Vec<T>>,
}

impl<T> Lists<T> {
    /// Those of hooks, in the order of payloads, and the probes.
    fn into_parts(self) -> ([(HookPoint, Vec<T>); 3], Vec<T>) {
        let Self { xdp_ingress, tc_ingress, tc_egress, probes } = self;
        let hooks = [
            (HookPoint::Xdp, xdp_ingress.unwrap_or_default()),
            (HookPoint::TcIngress, tc_ingress.unwrap_or_default()),
            (HookPoint::TcEgress, tc_egress.unwrap_or_default()),
        ];
        (hooks, probes.unwrap_or_default())
    }
}

/// What a restart is asked for with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct Restart {
    /// The host.
    #[serde(deserialize_with = "zero")]
    pub hostname: String,
    /// The version to run from then on.
    #[serde(deserialize_with = "zero")]
    pub version: String,
}

/// One program, as payloads of l3afd v1 have it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = L3afdProgram)]
#[serde(default)]
pub struct Program {
    /// A number that nobody looks at.
    #[serde(deserialize_with = "zero")]
    pub id: i64,
    /// Its name in the chain, in the repository, and in the paths of pins.
    #[serde(deserialize_with = "zero")]
    pub name: String,
    /// Its place in the chain, ascending.
    #[serde(deserialize_with = "zero")]
    pub seq_id: i64,
    /// The file in the repository, `.tar.gz` or `.zip`.
    #[serde(deserialize_with = "zero")]
    pub artifact: String,
    /// The program array of its own that leads to the next program; nobody needs it here.
    #[serde(deserialize_with = "zero")]
    pub map_name: String,
    /// The executable of the artifact to start; none where empty.
    #[serde(deserialize_with = "zero")]
    pub cmd_start: String,
    /// The executable to end it with.
    #[serde(deserialize_with = "zero")]
    pub cmd_stop: String,
    /// The executable that says how it is.
    #[serde(deserialize_with = "zero")]
    pub cmd_status: String,
    /// Not used.
    #[serde(deserialize_with = "zero")]
    pub cmd_config: String,
    /// The executable to run when `update_args` change.
    #[serde(deserialize_with = "zero")]
    pub cmd_update: String,
    /// The folder of the repository.
    #[serde(deserialize_with = "zero")]
    pub version: String,
    /// Whether the executable keeps running.
    #[serde(deserialize_with = "zero")]
    pub user_program_daemon: bool,
    /// Not used.
    #[serde(deserialize_with = "zero")]
    pub is_plugin: bool,
    /// The most seconds of a processor (`RLIMIT_CPU`); 0 for no limit.
    #[serde(deserialize_with = "zero")]
    pub cpu: i64,
    /// The most bytes of memory (`RLIMIT_AS`); 0 for no limit.
    #[serde(deserialize_with = "zero")]
    pub memory: i64,
    /// `enabled` or `disabled`.
    #[serde(deserialize_with = "zero")]
    pub admin_status: String,
    /// `xdp`, `tc`, or the kind of a probe.
    #[serde(deserialize_with = "zero")]
    pub prog_type: String,
    /// The name of a file for the executable.
    #[serde(deserialize_with = "zero")]
    pub rules_file: String,
    /// What is in that file.
    #[serde(deserialize_with = "zero")]
    pub rules: String,
    /// Not used.
    #[serde(deserialize_with = "zero")]
    pub config_file_path: String,
    /// A number that nobody looks at.
    #[serde(deserialize_with = "zero")]
    pub cfg_version: i64,
    /// What the executable is started with: `--key=value`.
    #[schema(value_type = Option<Object>)]
    pub start_args: Option<BTreeMap<String, Value>>,
    /// What `cmd_stop` is started with.
    #[schema(value_type = Option<Object>)]
    pub stop_args: Option<BTreeMap<String, Value>>,
    /// What `cmd_status` is started with.
    #[schema(value_type = Option<Object>)]
    pub status_args: Option<BTreeMap<String, Value>>,
    /// What `cmd_update` is started with.
    #[schema(value_type = Option<Object>)]
    pub update_args: Option<BTreeMap<String, Value>>,
    /// What its maps hold.
    pub map_args: Option<Vec<MapArgs>>,
    /// Not used.
    #[schema(value_type = Option<Object>)]
    pub config_args: Option<BTreeMap<String, Value>>,
    /// The entries of maps that become metrics.
    pub monitor_maps: Option<Vec<MonitorMap>>,
    /// The repository, in place of that of the daemon.
    #[serde(deserialize_with = "zero")]
    pub ebpf_package_repo_url: String,
    /// The object in the artifact.
    #[serde(deserialize_with = "zero")]
    pub object_file: String,
    /// The function in the object.
    #[serde(deserialize_with = "zero")]
    pub entry_function_name: String,
}

/// What a map holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = L3afdMapArgs)]
#[serde(default)]
pub struct MapArgs {
    /// The map.
    #[serde(deserialize_with = "zero")]
    pub name: String,
    /// Its entries.
    pub args: Option<Vec<MapArg>>,
}

/// An entry of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = L3afdMapArg)]
#[serde(default)]
pub struct MapArg {
    /// The key.
    #[serde(deserialize_with = "zero")]
    pub key: i64,
    /// The value.
    #[serde(deserialize_with = "zero")]
    pub value: i64,
}

/// An entry of a map that becomes a metric.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = L3afdMonitorMap)]
#[serde(default)]
pub struct MonitorMap {
    /// The map.
    #[serde(deserialize_with = "zero")]
    pub name: String,
    /// The key.
    #[serde(deserialize_with = "zero")]
    pub key: i64,
    /// `scalar`, `max-rate` or `avg`.
    #[serde(deserialize_with = "zero")]
    pub aggregator: String,
}

/// What a document keeps of an interface whose programs came by the API of l3afd v1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = L3afdInterface)]
pub struct Interface {
    /// Its name.
    pub iface: String,
    /// Its address; a label of metrics.
    pub ipv4_address: String,
}

/// A hook as executables are told (`--direction=`), and metrics.
pub fn direction(hook: HookPoint) -> &'static str {
    match hook {
        HookPoint::Xdp => "xdpingress",
        HookPoint::TcIngress => "ingress",
        HookPoint::TcEgress => "egress",
    }
}

/// The kind of program that belongs to a hook, as payloads spell it.
fn prog_type(hook: HookPoint) -> &'static str {
    match hook {
        HookPoint::Xdp => "xdp",
        HookPoint::TcIngress | HookPoint::TcEgress => "tc",
    }
}

/// A value of an argument is no text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{key}` of `{list}` of the program `{program}` is {value}, and must be a string")]
pub struct NoText {
    /// The program.
    pub program: String,
    /// Which arguments.
    pub list: &'static str,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

impl Program {
    /// Whether it is to run.
    pub fn is_enabled(&self) -> bool {
        self.admin_status == "enabled"
    }

    /// Its version, as paths of pins and executables are told it.
    pub fn version_of_pins(&self) -> String {
        self.version.replace('.', "_")
    }

    /// What `cmd_start` is started with besides what the daemon says: `--key=value`, in the order of the keys.
    ///
    /// # Errors
    /// When a value is no text.
    pub fn start_arguments(&self) -> Result<Vec<String>, NoText> {
        self.arguments("start_args", self.start_args.as_ref())
    }

    /// The same for `cmd_update`.
    ///
    /// # Errors
    /// When a value is no text.
    pub fn update_arguments(&self) -> Result<Vec<String>, NoText> {
        self.arguments("update_args", self.update_args.as_ref())
    }

    /// The same for `cmd_stop`.
    ///
    /// # Errors
    /// When a value is no text.
    pub fn stop_arguments(&self) -> Result<Vec<String>, NoText> {
        self.arguments("stop_args", self.stop_args.as_ref())
    }

    /// The same for `cmd_status`.
    ///
    /// # Errors
    /// When a value is no text.
    pub fn status_arguments(&self) -> Result<Vec<String>, NoText> {
        self.arguments("status_args", self.status_args.as_ref())
    }

    fn arguments(
        &self,
        list: &'static str,
        given: Option<&BTreeMap<String, Value>>,
    ) -> Result<Vec<String>, NoText> {
        let spelled = given.into_iter().flatten().map(|(key, value)| match value {
            Value::String(text) => Ok(format!("--{key}={text}")),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let (program, key, value) = (self.name.clone(), key.clone(), value.to_string());
                Err(NoText { program, list, key, value })
            }
        });
        spelled.collect()
    }
}

/// `null` is the zero value of its type, as Go has it.
fn zero<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
