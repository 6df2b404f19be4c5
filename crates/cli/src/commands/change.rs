// SPDX-License-Identifier: Apache-2.0
//! `l3af change`: changes one member, probe or deployment of the state in force, and leaves the rest as it is.

use std::path::Path;

use package::MemberName;
use wire::{ChainDocument, DeploymentDocument, Document, MemberDocument, ProbeDocument, settle_reference};

use super::daemon::{call, report};
use crate::arguments::{Change, Daemon};
use crate::failure::{Failure, Outcome};

pub(crate) fn run(daemon: &Daemon, arguments: &Change) -> Outcome {
    let confirm_within = arguments.trial.confirm_within;
    let before = call(daemon, async |node| node.desired().await)?;
    let mut document = before.document;
    change(&mut document, arguments)?;
    // Somebody else's change in between is noticed, not overwritten.
    let applied =
        call(daemon, async |node| node.apply(&document, Some(before.number), confirm_within).await)?;
    report(&applied);
    Ok(())
}

fn change(document: &mut Document, arguments: &Change) -> Outcome {
    if let Some(deployment) = find_deployment(document, arguments) {
        return edit_deployment(deployment, arguments);
    }
    match find_probe(document, arguments) {
        Some(probe) => edit_probe(probe, arguments),
        None => change_member(document, arguments),
    }
}

/// The deployment of this name, unless one of its members is named by its hook, or something is asked that is said of members.
fn find_deployment<'a>(document: &'a mut Document, arguments: &Change) -> Option<&'a mut DeploymentDocument> {
    let is_for_members =
        arguments.at.is_some() || arguments.proceed.is_some() || arguments.enforcement.is_some();
    if arguments.on.is_some() || is_for_members {
        return None;
    }
    document.deployments.iter_mut().find(|deployment| deployment.name == arguments.member)
}

fn edit_deployment(deployment: &mut DeploymentDocument, arguments: &Change) -> Outcome {
    if let Some(package) = &arguments.package {
        deployment.package = settle_reference(&package.to_string_lossy(), Path::new("."))?;
    }
    deployment.config.extend(arguments.set.iter().cloned());
    if arguments.disable || arguments.enable {
        deployment.enabled = arguments.enable;
    }
    Ok(())
}

/// The package that something is to run instead.
fn other_package(package: &Path, deployment: Option<&MemberName>) -> Result<Option<String>, Failure> {
    match deployment {
        Some(deployment) => Err(Failure::new(format!(
            "it is part of the deployment `{deployment}`, all of which runs one package"
        ))
        .with_hint(format!("`l3af change {deployment} --package {}`", package.display()))),
        None => Ok(Some(settle_reference(&package.to_string_lossy(), Path::new("."))?)),
    }
}

fn change_member(document: &mut Document, arguments: &Change) -> Outcome {
    let (chain, at) = find(document, arguments)?;
    edit(&mut chain.members[at], arguments)?;
    if let Some(position) = arguments.at {
        let end = chain.members.len();
        if !(1..=end).contains(&position) {
            return Err(Failure::new(format!("there is no position {position} in a chain of {end}"))
                .with_hint(format!("positions go from 1 to {end}")));
        }
        let member = chain.members.remove(at);
        chain.members.insert(position - 1, member);
    }
    Ok(())
}

/// The probe of this name, unless a chain has a member of it.
fn find_probe<'a>(document: &'a mut Document, arguments: &Change) -> Option<&'a mut ProbeDocument> {
    let mut members = document.chains.iter().flat_map(|chain| &chain.members);
    if arguments.on.is_some() || members.any(|member| member.name == arguments.member) {
        return None;
    }
    document.probes.iter_mut().find(|probe| probe.name == arguments.member)
}

fn edit_probe(probe: &mut ProbeDocument, arguments: &Change) -> Outcome {
    let for_members = [
        ("--at", arguments.at.is_some()),
        ("--proceed", arguments.proceed.is_some()),
        ("--enforcement", arguments.enforcement.is_some()),
    ];
    if let Some((option, _)) = for_members.into_iter().find(|(_, given)| *given) {
        return Err(Failure::new(format!(
            "`{option}` is for members of chains; `{}` is a probe",
            probe.name
        )));
    }
    if let Some(package) = &arguments.package {
        probe.package = other_package(package, probe.deployment())?;
    }
    probe.config.extend(arguments.set.iter().cloned());
    if arguments.disable || arguments.enable {
        probe.enabled = arguments.enable;
    }
    Ok(())
}

/// The chain that has the member, and the member's place in it.
fn find<'a>(
    document: &'a mut Document,
    arguments: &Change,
) -> Result<(&'a mut ChainDocument, usize), Failure> {
    let place = |chain: &ChainDocument| format!("{}/{}", chain.interface, chain.hook);
    let here = |chain: &ChainDocument| arguments.on.as_ref().is_none_or(|on| *on == place(chain));
    let at = |chain: &ChainDocument| chain.members.iter().position(|member| member.name == arguments.member);
    let places: Vec<String> =
        document.chains.iter().filter(|chain| here(chain) && at(chain).is_some()).map(place).collect();
    match places.as_slice() {
        [] => {
            return Err(Failure::new(format!("no chain has a member `{}`", arguments.member))
                .with_hint("`l3af ps` lists the members"));
        }
        [_] => {}
        [first, ..] => {
            let several = places.join(", ");
            return Err(Failure::new(format!(
                "several chains have a member `{}`: {several}",
                arguments.member
            ))
            .with_hint(format!("name one, as in `--on {first}`")));
        }
    }
    let found = document.chains.iter_mut().find_map(|chain| {
        let at = if here(chain) { at(chain) } else { None };
        at.map(|at| (chain, at))
    });
    found.ok_or_else(|| Failure::new(format!("no chain has a member `{}`", arguments.member)))
}

fn edit(member: &mut MemberDocument, arguments: &Change) -> Outcome {
    if let Some(package) = &arguments.package {
        member.package = other_package(package, member.deployment())?;
    }
    if let Some(proceed) = &arguments.proceed {
        member.proceed = Some(proceed.clone());
    }
    if let Some(enforcement) = arguments.enforcement {
        member.enforcement = enforcement;
    }
    member.config.extend(arguments.set.iter().cloned());
    if arguments.disable || arguments.enable {
        member.enabled = arguments.enable;
    }
    Ok(())
}
