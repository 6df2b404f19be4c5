// SPDX-License-Identifier: Apache-2.0
//! `l3af run`: puts a package into a chain, beside what runs there, or attaches its probe.

use std::collections::BTreeMap;
use std::path::Path;

use package::{HookPoint, Interfaces, MemberName, Package};
use wire::{ChainDocument, Document, MemberDocument, ProbeDocument, settle_reference};

use super::daemon::{call, report};
use crate::arguments::{Daemon, Run};
use crate::failure::{Failure, Outcome};
use crate::package_source::PackageSource;

pub(crate) fn run(daemon: &Daemon, arguments: Run) -> Outcome {
    let package = PackageSource::open(&arguments.package, &arguments.logins)?.package()?;
    let confirm_within = arguments.trial.confirm_within;
    let before = call(daemon, async |node| node.desired().await)?;
    let mut document = before.document;
    match &arguments.on {
        Some(on) => {
            let (place, position) = (place(on, &package)?, arguments.at);
            insert(&mut document, place, member(arguments, &package)?, position)?;
        }
        None => document.probes.push(probe(arguments, &package)?),
    }
    // Somebody else's change in between is noticed, not overwritten.
    let applied =
        call(daemon, async |node| node.apply(&document, Some(before.number), confirm_within).await)?;
    report(&applied);
    Ok(())
}

fn name(given: Option<MemberName>, package: &Package) -> Result<MemberName, Failure> {
    match given {
        Some(name) => Ok(name),
        None => Ok(package.manifest.package.name.as_ref().parse()?),
    }
}

fn member(arguments: Run, package: &Package) -> Result<MemberDocument, Failure> {
    Ok(MemberDocument {
        package: Some(settle_reference(&arguments.package.to_string_lossy(), Path::new("."))?),
        program: arguments.program,
        proceed: arguments.proceed,
        enforcement: arguments.enforcement,
        config: arguments.set.into_iter().collect::<BTreeMap<_, _>>(),
        ..MemberDocument::named(name(arguments.name, package)?)
    })
}

fn probe(arguments: Run, package: &Package) -> Result<ProbeDocument, Failure> {
    Ok(ProbeDocument {
        package: Some(settle_reference(&arguments.package.to_string_lossy(), Path::new("."))?),
        program: arguments.program,
        attach: arguments.attach.into_iter().collect(),
        config: arguments.set.into_iter().collect::<BTreeMap<_, _>>(),
        ..ProbeDocument::named(name(arguments.name, package)?)
    })
}

/// Where to run: the hook that was named, or the only one that the package has programs for.
fn place(on: &str, package: &Package) -> Result<(Interfaces, HookPoint), Failure> {
    let (interface, hook) = Interfaces::parse_place(on)?;
    if let Some(hook) = hook {
        return Ok((interface, hook));
    }
    let programs = package.manifest.programs.iter();
    let mut hooks: Vec<HookPoint> = programs.filter_map(|program| program.hook.chain()).collect();
    hooks.sort();
    hooks.dedup();
    match hooks.as_slice() {
        [only] => Ok((interface, *only)),
        _ => Err(Failure::new("the package has programs for several hooks")
            .with_hint(format!("name one, as in `--on {on}/{}`", hooks[0]))),
    }
}

fn insert(
    document: &mut Document,
    (interface, hook): (Interfaces, HookPoint),
    member: MemberDocument,
    position: Option<usize>,
) -> Outcome {
    let found = document.chains.iter().position(|chain| chain.interface == interface && chain.hook == hook);
    let at = found.unwrap_or_else(|| {
        document.chains.push(ChainDocument::new(interface, hook));
        document.chains.len() - 1
    });
    let members = &mut document.chains[at].members;
    let end = members.len() + 1;
    let position = position.unwrap_or(end);
    if !(1..=end).contains(&position) {
        return Err(Failure::new(format!("there is no position {position} in a chain of {}", members.len()))
            .with_hint(format!("positions go from 1 to {end}")));
    }
    members.insert(position - 1, member);
    Ok(())
}
