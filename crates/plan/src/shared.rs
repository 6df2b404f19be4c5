// SPDX-License-Identifier: Apache-2.0
//! Maps that several members and probes use, as their packages say, and whether they agree in what lies where in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use package::{Difference, Digest, Layout, MemberName, PackageName, PublisherName};
use serde::{Deserialize, Serialize};

use crate::refusals::Found;
use crate::{Desired, Hook, MemberSpec, Observed, PackageRef, ProbeSpec, Refusal};

/// A map that several members use. Another layout makes it another map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedMap {
    /// Who can use it.
    pub extent: Extent,
    /// Its name, or the section of global variables that it holds.
    pub map: String,
    /// The digest of what lies where in it.
    pub layout: Digest,
}

/// With whom a member or a probe shares a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// The programs of its package.
    Package,
    /// The members of its chain.
    Chain,
    /// All programs.
    Node,
    /// The programs of its deployment.
    Deployment(MemberName),
    /// The programs of its deployment that come from the same object, by the digest of the object's path in the package. Global
    /// variables belong to an object.
    Object(MemberName, Digest),
}

/// Who can use a shared map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// The programs of a package.
    Package {
        /// Its publisher.
        publisher: PublisherName,
        /// Its name.
        name: PackageName,
    },
    /// The members of a chain.
    Chain(Hook),
    /// The programs of a deployment.
    Deployment(MemberName),
    /// The programs of a deployment that come from one object, by the digest of its path in the package.
    Object(MemberName, Digest),
    /// All.
    Node,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { publisher, name } => write!(f, "package `{publisher}/{name}`"),
            Self::Chain(hook) => write!(f, "the chain on `{hook}`"),
            Self::Deployment(name) | Self::Object(name, _) => write!(f, "the deployment `{name}`"),
            Self::Node => f.write_str("the node"),
        }
    }
}

impl SharedMap {
    /// The maps that a member on a hook shares.
    pub fn of(hook: &Hook, spec: &MemberSpec) -> Vec<Self> {
        shared(&spec.shares, &spec.package, Some(hook))
    }

    /// The maps that a probe shares. It is in no chain.
    pub fn of_probe(spec: &ProbeSpec) -> Vec<Self> {
        shared(&spec.shares, &spec.package, None)
    }
}

fn shared(
    shares: &BTreeMap<String, (Sharing, Digest)>,
    package: &PackageRef,
    hook: Option<&Hook>,
) -> Vec<SharedMap> {
    let found = shares.iter().filter_map(|(map, (sharing, layout))| {
        let extent = match sharing {
            Sharing::Package => {
                Extent::Package { publisher: package.publisher.clone(), name: package.name.clone() }
            }
            Sharing::Chain => Extent::Chain(hook?.clone()),
            Sharing::Deployment(name) => Extent::Deployment(name.clone()),
            Sharing::Object(name, object) => Extent::Object(name.clone(), *object),
            Sharing::Node => Extent::Node,
        };
        Some(SharedMap { extent, map: map.clone(), layout: *layout })
    });
    found.collect()
}

/// Whoever uses a shared map.
struct User<'a> {
    name: &'a MemberName,
    layout: &'a Layout,
    begins_fresh: bool,
}

/// The uses of shared maps by members and probes.
fn uses(desired: &Desired) -> Vec<(User<'_>, SharedMap)> {
    let mut uses = Vec::new();
    for (hook, members) in desired.chains() {
        for member in members {
            uses.extend(SharedMap::of(hook, member.spec()).into_iter().map(|shared| {
                let begins_fresh = member.begins_fresh(&shared.map);
                (User { name: &member.spec().name, layout: member.layout(), begins_fresh }, shared)
            }));
        }
    }
    for probe in desired.probes().values() {
        uses.extend(SharedMap::of_probe(probe.spec()).into_iter().map(|shared| {
            let begins_fresh = probe.begins_fresh(&shared.map);
            (User { name: &probe.spec().name, layout: probe.layout(), begins_fresh }, shared)
        }));
    }
    uses
}

/// The digest of what lies where in one map of a layout.
pub(crate) fn digest(layout: &Layout, map: &str) -> Digest {
    Digest::of(layout.0.get(map).map(|lines| lines.join("\n")).unwrap_or_default().as_bytes())
}

/// Finds the shared maps that are wanted. Refused is what members lay out in different ways, or in another way than the one that
/// holds state, which may not be lost.
pub(crate) fn wanted(desired: &Desired, observed: &Observed, refusals: &mut Found) -> BTreeSet<SharedMap> {
    let mut users: BTreeMap<(Extent, String), (User<'_>, SharedMap)> = BTreeMap::new();
    for (user, shared) in uses(desired) {
        let key = (shared.extent.clone(), shared.map.clone());
        match users.get(&key) {
            Some((first, agreed)) if agreed.layout != shared.layout => {
                refusals.note(disagreement(first, &user, &shared));
            }
            Some(_) => {}
            None => drop(users.insert(key, (user, shared))),
        }
    }
    for (user, shared) in users.values() {
        let before = observed.shared.iter().find(|(found, _)| {
            found.extent == shared.extent && found.map == shared.map && found.layout != shared.layout
        });
        let is_there = observed.shared.contains_key(shared);
        if let Some((_, Some(layout))) = before.filter(|_| !is_there && !user.begins_fresh) {
            let difference = layout.difference(user.layout, &shared.map);
            refusals.note(unreadable(user.name, shared, difference));
        }
    }
    users.into_values().map(|(_, shared)| shared).collect()
}

fn disagreement(first: &User<'_>, second: &User<'_>, shared: &SharedMap) -> Refusal {
    let (one, other) = told(first.layout.difference(second.layout, &shared.map));
    Refusal::SharedLayout {
        extent: shared.extent.clone(),
        map: shared.map.clone(),
        members: [first, second].map(|user| user.name.clone()),
        layouts: [one, other],
    }
}

fn unreadable(member: &MemberName, shared: &SharedMap, difference: Option<Difference>) -> Refusal {
    let (was, becomes) = told(difference);
    let (extent, map) = (shared.extent.clone(), shared.map.clone());
    Refusal::SharedState { extent, map, member: member.clone(), was, becomes }
}

fn told(difference: Option<Difference>) -> (String, String) {
    let line = |line: Option<String>| line.unwrap_or_else(|| "nothing more".to_owned());
    let Difference { was, becomes } = difference.unwrap_or(Difference { was: None, becomes: None });
    (line(was), line(becomes))
}
