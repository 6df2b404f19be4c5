// SPDX-License-Identifier: Apache-2.0
//! What a document says of deployments, and whether it can be meant.

use std::collections::BTreeSet;

use package::MemberName;
use plan::{Desired, Part};
use thiserror::Error;
use wire::{DeploymentDocument, Document, NoSource, Source};

use crate::faults::Faults;

/// A deployment, or part of one, is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadDeployment {
    /// Two have one name.
    #[error("the document has two deployments `{deployment}`")]
    Two {
        /// The name.
        deployment: MemberName,
    },
    /// Nothing is part of it.
    #[error("no member and no probe is part of the deployment `{deployment}`")]
    Idle {
        /// The deployment.
        deployment: MemberName,
    },
    /// No program of it has a parameter or map of a name.
    #[error("no program of the deployment `{deployment}` has a parameter or map `{name}`")]
    Unknown {
        /// The deployment.
        deployment: MemberName,
        /// The name.
        name: String,
    },
    /// It is not said where a member or a probe comes from.
    #[error(transparent)]
    NoSource(#[from] NoSource),
}

impl BadDeployment {
    /// What can be done about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Two { .. } => {
                "give one of them another name, and name that as `deployment` of its members and probes"
            }
            Self::Idle { .. } => {
                "a member or probe without `package` is part of the deployment of its own name, or of the one that it names as `deployment`"
            }
            Self::Unknown { .. } => "`l3af inspect` lists the parameters and maps of a package",
            Self::NoSource(_) => "say `package`, or let a `[[deployment]]` have its name",
        }
    }
}

/// Notes deployments of one name, and those that nothing is part of.
pub(super) fn check(document: &Document, faults: &mut Faults) {
    let deployed: BTreeSet<&MemberName> = document.deployed().collect();
    let mut names = BTreeSet::new();
    for (number, DeploymentDocument { name, .. }) in document.deployments.iter().enumerate() {
        let bad = if !names.insert(name) {
            Err(BadDeployment::Two { deployment: name.clone() })
        } else if !deployed.contains(name) {
            Err(BadDeployment::Idle { deployment: name.clone() })
        } else {
            Ok(())
        };
        faults.take(&format!("/deployment/{number}"), bad);
    }
}

/// Refuses parameters and maps that no program of a deployment has. Of a package that is trusted no longer nobody knows.
pub(super) fn check_config(document: &Document, desired: &Desired) -> Result<(), BadDeployment> {
    for deployment in &document.deployments {
        let is_part = |name: Option<&MemberName>| name == Some(&deployment.name);
        let members = desired.members().filter(|member| is_part(member.deployment()));
        let probes = desired.probes().values().filter(|probe| is_part(probe.deployment()));
        let members = members.map(|member| (&member.spec().constants, &member.spec().contents));
        let probes = probes.map(|probe| (&probe.spec().constants, &probe.spec().contents));
        let configured: Vec<_> = members.chain(probes).collect();
        let is_known = |name: &String| {
            configured
                .iter()
                .any(|(constants, contents)| constants.contains_key(name) || contents.contains_key(name))
        };
        let unknown = deployment.config.keys().find(|name| !is_known(name));
        if let Some(name) = unknown.filter(|_| !configured.is_empty()) {
            return Err(BadDeployment::Unknown { deployment: deployment.name.clone(), name: name.clone() });
        }
    }
    Ok(())
}

/// What a deployment says of its parts.
pub(super) fn part(deployment: &DeploymentDocument) -> Part {
    Part { deployment: deployment.name.clone(), config: deployment.config.clone() }
}

/// Whether the deployment that something is part of, if any, is enabled.
pub(super) fn is_enabled(source: Source<'_>) -> bool {
    source.deployment.is_none_or(|deployment| deployment.enabled)
}
