// SPDX-License-Identifier: Apache-2.0
//! The desired state of a node, as people write it.
//!
//! ```toml
//! [[chain]]
//! interface = "eth0"
//! hook = "xdp"
//!
//! [[chain.member]]
//! name = "sanity"
//! package = "file:/srv/packages/sanity"
//!
//! [[chain.member]]
//! name = "ratelimit"
//! package = "file:/srv/packages/ratelimit"
//! proceed = ["pass"]
//! config = { connections_per_second = 50 }
//!
//! [[probe]]
//! name = "connects"
//! package = "file:/srv/packages/connects"
//! attach = { symbol = "tcp_connect" }
//! ```

use std::collections::BTreeMap;

use package::{
    Config, Enforcement, HookPoint, Interfaces, Mechanism, MemberName, Occupied, OnDrift, Position,
    ProgramName, XdpMode,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use crate::fault::{read_all, read_all_of_toml};
use crate::{CheckDocument, DeploymentDocument, Fault, ProbeDocument, l3afd};

/// The chains and probes that a node should run. Hooks that are not in it run none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Uses of packages whose programs run in several places.
    #[serde(default, rename = "deployment", skip_serializing_if = "Vec::is_empty")]
    pub deployments: Vec<DeploymentDocument>,
    /// The chains, one for each hook.
    #[serde(default, rename = "chain")]
    pub chains: Vec<ChainDocument>,
    /// The probes, which are in no chain.
    #[serde(default, rename = "probe", skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeDocument>,
    /// What must work under it, or the desired state before returns.
    #[serde(default, rename = "check", skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckDocument>,
    /// The interfaces that callers of the API of l3afd v1 spoke of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub l3afd: Vec<l3afd::Interface>,
}

/// The chain of one hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChainDocument {
    /// The network interface: `eth0`, or `blue:eth0` in the network namespace `blue`, by name or by path. Or several: `eth*` for
    /// those whose names match, `mac=02:00:5e:10:00:01` for those with that address, if they have no chain of their own.
    #[schema(value_type = String)]
    pub interface: Interfaces,
    /// `xdp`, `tc-ingress` or `tc-egress`.
    #[schema(value_type = String)]
    pub hook: HookPoint,
    /// By what mechanism the members follow each other: `splice`, `dispatcher`, or `alone` for one program as it is.
    /// Where it is left out, the plan chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mechanism: Option<Mechanism>,
    /// Where in the kernel an XDP chain runs: `native`, `generic` or `offloaded`. Native if the driver can do it, else
    /// generic, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mode: Option<XdpMode>,
    /// Where a TC chain stands among the programs of others: `first`, `last`, `before NAME` or `after NAME`. Behind those
    /// that are there, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub position: Option<Position>,
    /// What becomes of an XDP program of somebody else: the chain is refused (`refuse`), or it becomes the last member
    /// (`keep`), or it is put aside until the chain goes (`replace`).
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = String)]
    pub occupied: Occupied,
    /// What becomes of the chain when somebody else changes it: it is repaired (`repair`), or told and left as it is (`report`),
    /// or told and taken out (`yield`), both until the next document.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = String)]
    pub drift: OnDrift,
    /// The members in the order in which packets meet them.
    #[serde(default, rename = "member")]
    pub members: Vec<MemberDocument>,
}

impl ChainDocument {
    /// A chain without members, attached as the daemon chooses.
    pub fn new(interface: Interfaces, hook: HookPoint) -> Self {
        Self {
            interface,
            hook,
            mechanism: None,
            mode: None,
            position: None,
            occupied: Occupied::default(),
            drift: OnDrift::default(),
            members: Vec::new(),
        }
    }
}

/// One member of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberDocument {
    /// Its name, unique in the chain.
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
    /// The function, where the package has several for the hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub program: Option<ProgramName>,
    /// The verdicts after which the chain goes on, in place of the package's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proceed: Option<Vec<String>>,
    /// For which packets its verdict counts: `enforce` for all, `shadow` for none, `canary 5%` for a share of flows.
    /// Where it does not count it is counted, and the chain goes on.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = String)]
    pub enforcement: Enforcement,
    /// Whether it is in its chain. A member that is not keeps its place and its maps.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// Values for parameters of the program, and what its maps hold, by name: the JSON of the map interface.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub config: Config,
    /// What the API of l3afd v1 says of it: what its maps hold, and what is started for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l3afd: Option<Box<l3afd::Program>>,
}

impl MemberDocument {
    /// A member of which nothing more is said.
    pub fn named(name: MemberName) -> Self {
        Self {
            name,
            package: None,
            deployment: None,
            program: None,
            proceed: None,
            enforcement: Enforcement::default(),
            enabled: true,
            config: Config::new(),
            l3afd: None,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(crate) fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
pub(crate) fn is_yes(value: &bool) -> bool {
    *value
}

/// What was given is not a desired state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it is not a desired state:{}", told(.faults))]
pub struct UnreadableDocument {
    /// All that is wrong with it; never none.
    pub faults: Vec<Fault>,
}

fn told(faults: &[Fault]) -> String {
    match faults {
        [only] => format!(" {only}"),
        all => all.iter().fold(String::new(), |text, fault| text + "\n  " + &fault.to_string()),
    }
}

impl Document {
    /// Reads TOML.
    ///
    /// # Errors
    /// When a key is unknown, missing, or has a value of the wrong kind; all such faults are told, with their lines.
    pub fn parse_toml(text: &str) -> Result<Self, UnreadableDocument> {
        read_all_of_toml(text).map_err(|faults| UnreadableDocument { faults })
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// When it is no JSON, or a key is unknown, missing, or has a value of the wrong kind; all such faults are told.
    pub fn parse_json(text: &[u8]) -> Result<Self, UnreadableDocument> {
        let error = match serde_json::from_slice(text) {
            Ok(document) => return Ok(document),
            Err(error) => error,
        };
        // A key that comes twice is no fault of a value.
        let only = Fault {
            pointer: String::new(),
            value: None,
            detail: error.to_string(),
            line: Some(error.line()),
        };
        let all = serde_json::from_slice(text).ok().and_then(|value| read_all::<Self>(value).err());
        Err(UnreadableDocument { faults: all.unwrap_or_else(|| vec![only]) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};
    use utoipa::{PartialSchema as _, ToSchema};

    use super::Document;

    #[test]
    fn a_document_reads_in_toml_as_in_json() {
        let toml = "[[chain]]\ninterface = \"eth0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"a\"\npackage = \"file:/a\"\nconfig = { limit = 5, strict = true }\n";
        let document = Document::parse_toml(toml).unwrap();
        let json = serde_json::to_string(&document).unwrap();
        insta::assert_snapshot!(json, @r#"{"chain":[{"interface":"eth0","hook":"xdp","member":[{"name":"a","package":"file:/a","config":{"limit":5,"strict":true}}]}]}"#);
        assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
    }

    /// The schema of a document, as JSON Schema 2020-12, made of what the API describes itself by.
    fn schema() -> Value {
        let mut named = Vec::new();
        <Document as ToSchema>::schemas(&mut named);
        let definitions: Map<String, Value> =
            named.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap())).collect();
        let mut schema = serde_json::to_value(Document::schema()).unwrap();
        let own = schema.as_object_mut().unwrap();
        own.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        own.insert("title".to_owned(), "The desired state of a node".into());
        own.insert("$defs".to_owned(), definitions.into());
        // What refers into the API's description refers into this one.
        let text = schema.to_string().replace("#/components/schemas/", "#/$defs/");
        let mut schema: Value = serde_json::from_str(&text).unwrap();
        schema.sort_all_objects();
        schema
    }

    #[test]
    fn the_schema_in_the_documentation_is_that_of_the_document() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema/document.json");
        let made = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(kept, &made).unwrap();
        }
        let kept = std::fs::read_to_string(kept).unwrap_or_default();
        assert_eq!(kept, made, "`UPDATE_SCHEMA=1 cargo test -p wire schema` writes it");
    }

    #[test]
    fn a_probe_reads_in_toml_as_in_json() {
        let toml =
            "[[probe]]\nname = \"p\"\npackage = \"file:/p\"\nattach = { symbol = \"f\", offset = 4 }\n";
        let document = Document::parse_toml(toml).unwrap();
        let json = serde_json::to_string(&document).unwrap();
        insta::assert_snapshot!(json, @r#"{"chain":[],"probe":[{"name":"p","package":"file:/p","attach":{"symbol":"f","offset":4}}]}"#);
        assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
    }

    #[test]
    fn a_document_that_cannot_be_read_says_where() {
        let error = Document::parse_toml("[[chain]]\ninterface = \"eth0\"\nhook = \"xpd\"\n").unwrap_err();
        insta::assert_snapshot!(error, @r#"it is not a desired state: line 3, `/chain/0/hook` = "xpd": unknown variant `xpd`, expected one of `xdp`, `tc-ingress`, `tc-egress`"#);
    }
}
