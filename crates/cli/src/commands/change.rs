// SPDX-License-Identifier: Apache-2.0
//! `l3af change`: changes one member of the state in force, and leaves the rest as it is.

use std::path::Path;

use wire::{ChainDocument, Document, MemberDocument};

use super::daemon::{call, reference, report};
use crate::arguments::Change;
use crate::failure::{Failure, Outcome};

pub(crate) fn run(socket: &Path, arguments: &Change) -> Outcome {
    let before = call(socket, async |node| node.desired().await)?;
    let mut document = before.document;
    let (chain, at) = find(&mut document, arguments)?;
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
    // Somebody else's change in between is noticed, not overwritten.
    let applied = call(socket, async |node| node.apply(&document, Some(before.number)).await)?;
    report(&applied);
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
        member.package = reference(&package.to_string_lossy(), Path::new("."))?;
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
