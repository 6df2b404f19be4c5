// SPDX-License-Identifier: Apache-2.0
//! Upgrades: which maps of a member a new release can go on with.

use package::{Difference, Layout};

use crate::{Hook, Member, MemberSpec, ObservedHook, Refusal, State, Step};

/// The step that lets a member's new object begin with the maps of the one before; none where there is nothing to carry.
///
/// # Errors
/// When a map holds what the new release cannot read, and its manifest does not say that it may begin fresh.
pub(crate) fn carry(hook: &Hook, found: &ObservedHook, member: &Member) -> Result<Option<Step>, Refusal> {
    let to = State::of(member.spec());
    if found.states.get(&to).is_some_and(Option::is_some) {
        return Ok(None);
    }
    let Some((from, layout)) = state_before(found, &to) else { return Ok(None) };
    let begins_fresh = |map: &str| member.begins_fresh(map);
    let MemberSpec { shares, contents, .. } = member.spec();
    let is_own = |map: &str| !shares.contains_key(map) && !contents.contains_key(map);
    let maps = keep(layout, member.layout(), (is_own, begins_fresh))
        .map_err(|(map, difference)| unreadable(hook, member, &map, difference))?;
    let (hook, from) = (hook.clone(), from.clone());
    Ok((!maps.is_empty()).then_some(Step::Carry { hook, from, to, maps }))
}

/// The maps of a layout that a new one can go on with.
///
/// # Errors
/// When a map is laid out in another way and does not begin fresh.
pub(crate) fn keep(
    layout: &Layout,
    new: &Layout,
    (is_own, begins_fresh): (impl Fn(&str) -> bool, impl Fn(&str) -> bool),
) -> Result<Vec<String>, (String, Difference)> {
    let mut maps = Vec::new();
    for map in layout.0.keys().filter(|map| is_own(map) && new.0.contains_key(*map)) {
        match layout.difference(new, map) {
            None => maps.push(map.clone()),
            Some(_) if begins_fresh(map) => {}
            Some(difference) => return Err((map.clone(), difference)),
        }
    }
    Ok(maps)
}

/// The maps that a member has now: those of its instance in the chain, else any that are complete.
fn state_before<'a>(found: &'a ObservedHook, to: &State) -> Option<(&'a State, &'a Layout)> {
    let path = found.path();
    let mut running = path.members.iter().map(|(_, spec)| State::of(spec));
    let running = running.find(|state| state.member == to.member);
    let others = found.states.iter().filter(|(state, _)| state.member == to.member && *state != to);
    let mut complete = others.filter_map(|(state, layout)| Some((state, layout.as_ref()?)));
    match running {
        Some(running) => complete.find(|(state, _)| **state == running),
        None => complete.next(),
    }
}

fn unreadable(hook: &Hook, member: &Member, map: &str, difference: Difference) -> Refusal {
    let told = |line: Option<String>| line.unwrap_or_else(|| "nothing more".to_owned());
    Refusal::Layout {
        hook: hook.clone(),
        member: member.spec().name.clone(),
        map: map.to_owned(),
        was: told(difference.was),
        becomes: told(difference.becomes),
    }
}
