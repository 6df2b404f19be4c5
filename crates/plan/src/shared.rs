// SPDX-License-Identifier: Apache-2.0
//! Maps that several members use, as their packages say, and whether they agree in what lies where in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use package::{Difference, Digest, Layout, MemberName, PackageName, PublisherName, Scope};

use crate::{Desired, Hook, Member, MemberSpec, Observed, Refusal};

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
    /// All.
    Node,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { publisher, name } => write!(f, "package `{publisher}/{name}`"),
            Self::Chain(hook) => write!(f, "the chain on `{hook}`"),
            Self::Node => f.write_str("the node"),
        }
    }
}

impl SharedMap {
    /// The maps that a member on a hook shares.
    pub fn of<'a>(hook: &'a Hook, spec: &'a MemberSpec) -> impl Iterator<Item = Self> + 'a {
        spec.shares.iter().filter_map(|(map, (scope, layout))| {
            let extent = match scope {
                Scope::Member => return None,
                Scope::Package => {
                    let (publisher, name) = (spec.package.publisher.clone(), spec.package.name.clone());
                    Extent::Package { publisher, name }
                }
                Scope::Chain => Extent::Chain(hook.clone()),
                Scope::Node => Extent::Node,
            };
            Some(Self { extent, map: map.clone(), layout: *layout })
        })
    }
}

/// The digest of what lies where in one map of a layout.
pub(crate) fn digest(layout: &Layout, map: &str) -> Digest {
    Digest::of(layout.0.get(map).map(|lines| lines.join("\n")).unwrap_or_default().as_bytes())
}

/// Finds the shared maps that are wanted.
///
/// # Errors
/// When members lay one out in different ways, or in another way than the one that holds state, which may not be lost.
pub(crate) fn wanted(desired: &Desired, observed: &Observed) -> Result<BTreeSet<SharedMap>, Refusal> {
    let mut users: BTreeMap<(Extent, String), (&Member, SharedMap)> = BTreeMap::new();
    let members =
        desired.chains().iter().flat_map(|(hook, members)| members.iter().map(move |member| (hook, member)));
    let all = members
        .flat_map(|(hook, member)| SharedMap::of(hook, member.spec()).map(move |shared| (member, shared)));
    for (member, shared) in all {
        let key = (shared.extent.clone(), shared.map.clone());
        let (first, agreed) = users.entry(key).or_insert_with(|| (member, shared.clone()));
        if agreed.layout != shared.layout {
            return Err(disagreement(first, member, &shared));
        }
    }
    for (member, shared) in users.values() {
        let before = observed.shared.iter().find(|(found, _)| {
            found.extent == shared.extent && found.map == shared.map && found.layout != shared.layout
        });
        let is_there = observed.shared.contains_key(shared);
        if let Some((_, Some(layout))) = before.filter(|_| !is_there && !member.begins_fresh(&shared.map)) {
            let difference = layout.difference(member.layout(), &shared.map);
            return Err(unreadable(&member.spec().name, shared, difference));
        }
    }
    Ok(users.into_values().map(|(_, shared)| shared).collect())
}

fn disagreement(first: &Member, second: &Member, shared: &SharedMap) -> Refusal {
    let (one, other) = told(first.layout().difference(second.layout(), &shared.map));
    Refusal::SharedLayout {
        extent: shared.extent.clone(),
        map: shared.map.clone(),
        members: [first, second].map(|member| member.spec().name.clone()),
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
