// SPDX-License-Identifier: Apache-2.0
//! One use of a package whose programs run in several places: one name, one release, one set of maps.
//!
//! ```toml
//! [[deployment]]
//! name = "connlimit"
//! package = "file:/srv/packages/connlimit"
//! config = { most = 100 }
//!
//! [[chain]]
//! interface = "eth0"
//! hook = "xdp"
//!
//! [[chain.member]]
//! name = "connlimit"        # no package: it is part of the deployment of this name
//!
//! [[probe]]
//! name = "connlimit"
//! ```

use std::collections::BTreeMap;

use package::{Config, MemberName};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use crate::document::{is_yes, yes};
use crate::{Document, MemberDocument, ProbeDocument};

/// One use of a package. Its members and probes use the same maps, but for those that their package shares further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentDocument {
    /// Its name, unique among the deployments of the node.
    #[schema(value_type = String)]
    pub name: MemberName,
    /// Where the package is: `file:` and the path of an OCI layout folder, or `oci://` and a reference into a registry.
    pub package: String,
    /// Whether its members are in their chains, and its probes attached.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// Values for parameters and what maps hold, for each program that has them: the JSON of the map interface.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub config: Config,
}

impl DeploymentDocument {
    /// A deployment of which nothing more is said.
    pub fn new(name: MemberName, package: String) -> Self {
        Self { name, package, enabled: true, config: Config::new() }
    }
}

/// Where a member or a probe comes from, and what is said of it there.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The reference of the package.
    pub package: &'a str,
    /// The deployment that it is part of.
    pub deployment: Option<&'a DeploymentDocument>,
}

/// It is not said, or said twice, where a member or a probe comes from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoSource {
    /// It names no package, and there is no such deployment.
    #[error("`{part}` names no package, and there is no deployment `{deployment}` that it could be part of")]
    NoDeployment {
        /// The member or probe.
        part: MemberName,
        /// The deployment that there would have to be.
        deployment: MemberName,
    },
    /// It names both.
    #[error("`{part}` names a package, and the deployment `{deployment}`, which has one")]
    Both {
        /// The member or probe.
        part: MemberName,
        /// The deployment.
        deployment: MemberName,
    },
}

impl MemberDocument {
    /// Where it comes from.
    ///
    /// # Errors
    /// When that is not said, or said twice.
    pub fn source<'a>(&'a self, document: &'a Document) -> Result<Source<'a>, NoSource> {
        source(document, &self.name, self.package.as_deref(), self.deployment.as_ref())
    }

    /// The name of the deployment that it is part of.
    pub fn deployment(&self) -> Option<&MemberName> {
        deployment(&self.name, self.package.as_deref(), self.deployment.as_ref())
    }
}

impl ProbeDocument {
    /// Where it comes from.
    ///
    /// # Errors
    /// When that is not said, or said twice.
    pub fn source<'a>(&'a self, document: &'a Document) -> Result<Source<'a>, NoSource> {
        source(document, &self.name, self.package.as_deref(), self.deployment.as_ref())
    }

    /// The name of the deployment that it is part of.
    pub fn deployment(&self) -> Option<&MemberName> {
        deployment(&self.name, self.package.as_deref(), self.deployment.as_ref())
    }
}

impl Document {
    /// The references of all packages that it names, also more than once.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        let members = self.chains.iter().flat_map(|chain| &chain.members);
        let members = members.filter_map(|member| member.package.as_deref());
        let probes = self.probes.iter().filter_map(|probe| probe.package.as_deref());
        let deployments = self.deployments.iter().map(|deployment| deployment.package.as_str());
        members.chain(probes).chain(deployments)
    }

    /// The names of the deployments that members and probes are part of, also more than once.
    pub fn deployed(&self) -> impl Iterator<Item = &MemberName> {
        let members = self.chains.iter().flat_map(|chain| &chain.members);
        members
            .filter_map(MemberDocument::deployment)
            .chain(self.probes.iter().filter_map(ProbeDocument::deployment))
    }
}

/// Whatever names no package is part of the deployment of its own name, where it names no other.
fn deployment<'a>(
    part: &'a MemberName,
    package: Option<&str>,
    named: Option<&'a MemberName>,
) -> Option<&'a MemberName> {
    named.or(match package {
        Some(_) => None,
        None => Some(part),
    })
}

fn source<'a>(
    document: &'a Document,
    part: &'a MemberName,
    package: Option<&'a str>,
    named: Option<&'a MemberName>,
) -> Result<Source<'a>, NoSource> {
    match (package, deployment(part, package, named)) {
        (Some(_), Some(deployment)) => {
            Err(NoSource::Both { part: part.clone(), deployment: deployment.clone() })
        }
        (Some(package), None) => Ok(Source { package, deployment: None }),
        (None, name) => {
            let name = name.unwrap_or(part);
            let found = document.deployments.iter().find(|deployment| deployment.name == *name);
            let missing = || NoSource::NoDeployment { part: part.clone(), deployment: name.clone() };
            let found = found.ok_or_else(missing)?;
            Ok(Source { package: &found.package, deployment: Some(found) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYED: &str = r#"
        [[deployment]]
        name = "a"
        package = "file:/a"
        [[chain]]
        interface = "eth0"
        hook = "xdp"
        member = [{ name = "a" }, { name = "b", deployment = "a" }, { name = "c", package = "file:/c" }]
        [[probe]]
        name = "d"
    "#;

    #[test]
    fn what_names_no_package_is_part_of_a_deployment() {
        let document = Document::parse_toml(DEPLOYED).unwrap();
        let [a, b, c] = document.chains[0].members.as_slice() else { panic!("three members") };
        let told = |source: Result<Source<'_>, NoSource>| match source {
            Ok(source) => {
                format!("{} {:?}", source.package, source.deployment.map(|found| found.name.to_string()))
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(told(a.source(&document)), "file:/a Some(\"a\")");
        assert_eq!(told(b.source(&document)), "file:/a Some(\"a\")");
        assert_eq!(told(c.source(&document)), "file:/c None");
        insta::assert_snapshot!(told(document.probes[0].source(&document)), @"`d` names no package, and there is no deployment `d` that it could be part of");
        let both = MemberDocument { deployment: Some("a".parse().unwrap()), ..c.clone() };
        insta::assert_snapshot!(told(both.source(&document)), @"`c` names a package, and the deployment `a`, which has one");
        assert_eq!(document.references().collect::<Vec<_>>(), ["file:/c", "file:/a"]);
        let json = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
    }
}
