// SPDX-License-Identifier: Apache-2.0
//! What a change touches: each chain, member, probe and check that is not afterwards what it was before.
//!
//! Where a thing changes that somebody may have and somebody else may not, such as a package or a place, both what it was and
//! what it becomes are touched.

use std::collections::{BTreeMap, BTreeSet};

use package::MemberName;
use plan::Hooks;
use wire::{Difference, DifferenceKind, Generation, MATCHES, Source, differences};

use super::thing::{Change, Thing, Touch, Ware};

/// One end of a change: a desired state, and what its package references stand for.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) generation: Generation,
    pub(crate) wares: BTreeMap<String, Ware>,
}

/// What is touched on the way from one desired state to another.
pub(crate) fn touched(before: &End, after: &End) -> BTreeSet<Touch> {
    let mut touches = BTreeSet::new();
    for difference in differences(&before.generation, &after.generation) {
        if let Some(deployment) = difference.place.strip_prefix("deployment:") {
            let parts: BTreeSet<_> = [before, after].iter().flat_map(|end| end.parts(deployment)).collect();
            for (place, member) in parts {
                let at = |end: &End| end.thing(&place, member.as_deref());
                touches.extend(both(at(before), at(after)));
            }
        }
        touches.extend(matches(&difference, before, after));
        for name in members(&difference, after) {
            let at = |end: &End| end.thing(&difference.place, name.as_deref());
            touches.extend(both(at(before), at(after)));
        }
    }
    touches.extend(checks(before, after));
    touches
}

/// The members of the chain that a difference is about, `None` for the chain or probe itself; all where their order is another.
fn members(difference: &Difference, after: &End) -> Vec<Option<String>> {
    match (&difference.member, &difference.kind) {
        (Some(name), _) => vec![Some(name.clone())],
        (None, DifferenceKind::Changed { field, .. }) if field == "order" => {
            let chain = after.generation.document.chains.iter();
            let mut chain = chain.filter(|chain| place(chain) == difference.place);
            let members = chain.next().map(|chain| chain.members.as_slice()).unwrap_or_default();
            members.iter().map(|member| Some(member.name.to_string())).collect()
        }
        // A chain that is attached as the daemon chooses comes and goes with its members.
        (None, DifferenceKind::Added { after: said } | DifferenceKind::Removed { before: said })
            if said.as_object().is_some_and(serde_json::Map::is_empty) =>
        {
            Vec::new()
        }
        (None, _) => vec![None],
    }
}

/// The chains for interfaces that match which a difference concerns: all where another comes first, and where a chain for an
/// interface by its name comes or goes, those that it takes the interface from or leaves it to.
fn matches(difference: &Difference, before: &End, after: &End) -> Vec<Touch> {
    let comes_or_goes = difference.member.is_none()
        && matches!(difference.kind, DifferenceKind::Added { .. } | DifferenceKind::Removed { .. });
    let named =
        difference.place.parse::<Hooks>().ok().and_then(|hooks| hooks.only()).filter(|_| comes_or_goes);
    let concerns = |hooks: &Hooks| match &named {
        Some(hook) => hooks.only().is_none() && hooks.may_contain(hook),
        None => difference.place == MATCHES && hooks.only().is_none(),
    };
    let chains = [before, after].into_iter().flat_map(|end| &end.generation.document.chains);
    let concerned = chains.map(hook).filter(concerns);
    concerned.map(|hooks| Touch { change: Change::Alter, thing: Thing::Chain(hooks) }).collect()
}

fn both(before: Option<Thing>, after: Option<Thing>) -> Vec<Touch> {
    match (before, after) {
        (Some(before), Some(after)) => {
            let touch = |thing| Touch { change: Change::Alter, thing };
            vec![touch(before), touch(after)]
        }
        (Some(thing), None) => vec![Touch { change: Change::Remove, thing }],
        (None, Some(thing)) => vec![Touch { change: Change::Add, thing }],
        (None, None) => Vec::new(),
    }
}

fn checks(before: &End, after: &End) -> Vec<Touch> {
    let (old, new) = (&before.generation.document.checks, &after.generation.document.checks);
    let thing = |name: &String| Thing::Check(name.clone());
    let gone = old.iter().filter(|check| !new.contains(check));
    let gone = gone.map(|check| Touch { change: Change::Remove, thing: thing(&check.name) });
    let come = new.iter().filter(|check| !old.contains(check));
    gone.chain(come.map(|check| Touch { change: Change::Add, thing: thing(&check.name) })).collect()
}

fn place(chain: &wire::ChainDocument) -> String {
    hook(chain).to_string()
}

fn hook(chain: &wire::ChainDocument) -> Hooks {
    Hooks { interfaces: chain.interface.clone(), point: chain.hook }
}

impl End {
    fn ware(&self, source: Option<Source<'_>>) -> Option<Ware> {
        self.wares.get(source?.package).cloned()
    }

    /// Where the parts of a deployment are: probes, and members of chains.
    fn parts(&self, deployment: &str) -> Vec<(String, Option<String>)> {
        let document = &self.generation.document;
        let is_part = |name: Option<&MemberName>| name.is_some_and(|name| name.as_ref() == deployment);
        let members = document.chains.iter().flat_map(|chain| {
            let members = chain.members.iter().filter(|member| is_part(member.deployment()));
            members.map(|member| (place(chain), Some(member.name.to_string())))
        });
        let probes = document.probes.iter().filter(|probe| is_part(probe.deployment()));
        members.chain(probes.map(|probe| (format!("probe:{}", probe.name), None))).collect()
    }

    /// The chain or probe at a place, or a member of that chain.
    fn thing(&self, at: &str, member: Option<&str>) -> Option<Thing> {
        let document = &self.generation.document;
        if let Some(name) = at.strip_prefix("probe:") {
            let probe = document.probes.iter().find(|probe| probe.name.to_string() == name)?;
            let ware = self.ware(probe.source(document).ok());
            return Some(Thing::Probe { name: name.to_owned(), ware });
        }
        let chain = document.chains.iter().find(|chain| place(chain) == at)?;
        let Some(member) = member else { return Some(Thing::Chain(hook(chain))) };
        let position = chain.members.iter().position(|found| found.name.to_string() == member)?;
        let ware = self.ware(chain.members[position].source(document).ok());
        Some(Thing::Member { hook: hook(chain), name: member.to_owned(), position: position + 1, ware })
    }
}

#[cfg(test)]
mod tests {
    use wire::Document;

    use super::*;

    fn end(text: &str) -> End {
        let ware = |name: &str| Ware {
            publisher: "example".to_owned(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
        };
        let wares = ["a", "b", "c"].map(|name| (format!("file:/{name}"), ware(name)));
        let document = Document::parse_toml(text).unwrap();
        End { generation: Generation { document, ..Generation::default() }, wares: wares.into() }
    }

    fn chain(settings: &str, members: &[&str]) -> String {
        let members = members.iter().map(|member| {
            let (name, rest) = member.split_once(' ').unwrap_or((member, ""));
            format!("[[chain.member]]\nname = \"{name}\"\npackage = \"file:/{name}\"\n{rest}\n")
        });
        let head = format!("[[chain]]\ninterface = \"eth0\"\nhook = \"xdp\"\n{settings}\n");
        head + &members.collect::<String>()
    }

    fn told(before: &str, after: &str) -> String {
        let touched = touched(&end(before), &end(after));
        touched.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_chain_comes_and_goes_with_its_members() {
        insta::assert_snapshot!(told("", &chain("", &["a", "b"])), @"
        add member `a` of package `example/a` at position 1 of `eth0/xdp`
        add member `b` of package `example/b` at position 2 of `eth0/xdp`
        ");
        insta::assert_snapshot!(told(&chain("", &["a"]), ""), @"remove member `a` of package `example/a` at position 1 of `eth0/xdp`");
        assert_eq!(told(&chain("", &["a"]), &chain("", &["a"])), "");
    }

    #[test]
    fn how_a_chain_is_attached_is_a_thing_of_its_own() {
        insta::assert_snapshot!(told(&chain("", &["a"]), &chain("mode = \"generic\"", &["a"])), @"change how the chain on `eth0/xdp` is attached");
        insta::assert_snapshot!(told("", &chain("occupied = \"replace\"", &[])), @"add how the chain on `eth0/xdp` is attached");
    }

    #[test]
    fn who_stands_elsewhere_among_the_others_is_touched_and_who_is_only_shifted_is_not() {
        insta::assert_snapshot!(told(&chain("", &["a", "b"]), &chain("", &["c", "a", "b"])), @"add member `c` of package `example/c` at position 1 of `eth0/xdp`");
        insta::assert_snapshot!(told(&chain("", &["a", "b"]), &chain("", &["b", "a"])), @"
        change member `a` of package `example/a` at position 1 of `eth0/xdp`
        change member `a` of package `example/a` at position 2 of `eth0/xdp`
        change member `b` of package `example/b` at position 1 of `eth0/xdp`
        change member `b` of package `example/b` at position 2 of `eth0/xdp`
        ");
    }

    #[test]
    fn another_package_touches_both() {
        let swapped = chain("", &["a"]).replace("file:/a", "file:/b");
        insta::assert_snapshot!(told(&chain("", &["a"]), &swapped), @"
        change member `a` of package `example/a` at position 1 of `eth0/xdp`
        change member `a` of package `example/b` at position 1 of `eth0/xdp`
        ");
    }

    #[test]
    fn a_chain_by_name_touches_those_that_it_takes_the_interface_from() {
        let matching = chain("", &["a"]).replace("eth0", "eth*");
        let address = chain("", &["a"]).replace("eth0", "mac=02:00:5e:10:00:01");
        let elsewhere = chain("", &["a"]).replace("eth0", "wlan*");
        let before = matching.clone() + &address + &elsewhere;
        // Without members it keeps the others off.
        insta::assert_snapshot!(told(&before, &(before.clone() + &chain("", &[]))), @"
        change how the chain on `eth*/xdp` is attached
        change how the chain on `mac=02:00:5e:10:00:01/xdp` is attached
        ");
        insta::assert_snapshot!(told(&(matching.clone() + &chain("", &["b"])), &matching), @"
        change how the chain on `eth*/xdp` is attached
        remove member `b` of package `example/b` at position 1 of `eth0/xdp`
        ");
        insta::assert_snapshot!(told(&(matching.clone() + &elsewhere), &(elsewhere + &matching)), @"
        change how the chain on `eth*/xdp` is attached
        change how the chain on `wlan*/xdp` is attached
        ");
    }

    #[test]
    fn a_deployment_is_touched_in_all_its_parts() {
        let parts = "[[chain]]\ninterface = \"eth0\"\nhook = \"xdp\"\nmember = [{ name = \"m\", deployment = \"d\" }]\n[[probe]]\nname = \"d\"\n";
        let before = format!("[[deployment]]\nname = \"d\"\npackage = \"file:/a\"\n{parts}");
        insta::assert_snapshot!(told(&before, &before.replace("file:/a", "file:/b")), @"
        change member `m` of package `example/a` at position 1 of `eth0/xdp`
        change member `m` of package `example/b` at position 1 of `eth0/xdp`
        change probe `d` of package `example/a`
        change probe `d` of package `example/b`
        ");
    }

    #[test]
    fn probes_and_checks_are_touched() {
        let before =
            "[[probe]]\nname = \"p\"\npackage = \"file:/a\"\n[[check]]\nname = \"c\"\ntcp = \"a:1\"\n";
        insta::assert_snapshot!(told(before, &before.replace("a:1", "a:2").replace("\"file", "\"file:/elsewhere")), @"
        add check `c`
        change probe `p`
        change probe `p` of package `example/a`
        remove check `c`
        ");
    }
}
