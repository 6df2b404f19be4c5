// SPDX-License-Identifier: Apache-2.0
//! Who may do what: the roles that every node has, and the policies of its administrator, in Cedar.
//!
//! What no policy permits is denied, and what one forbids is denied whatever others permit.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::{self, Display};
use std::fs;
use std::path::PathBuf;

use cedar_policy::{
    ActionConstraint, Context, Effect, Entity, EntityId, EntityTypeName, EntityUid, PrincipalConstraint,
    RestrictedExpression,
};
use door::{Cause, Policies, Question, Verdict};
use package::Interfaces;
use plan::Hooks;

use super::caller::Caller;
use super::names::Handle;
use super::thing::{Action, Change, Thing, Ware};

/// What policies can speak of.
const SCHEMA: &str = include_str!("l3af.cedarschema");
/// The policies that every node has.
const ROLES: &str = include_str!("roles.cedar");

/// The attributes of an entity.
type Said = BTreeMap<String, RestrictedExpression>;

pub use door::BadRules;

/// Policies that are valid, and who has which role.
pub(crate) struct Rules {
    policies: Policies,
    admin: BTreeSet<Handle>,
    read_only: BTreeSet<Handle>,
    /// Whether there are policies besides the roles.
    has_own: bool,
}

/// What policies say of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// A policy permits it, and none forbids it.
    Permitted,
    /// It is denied.
    Denied(Denial),
}

/// Why something is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denial {
    /// These policies forbid it.
    Forbidden(Vec<String>),
    /// None permits it.
    Unpermitted,
    /// It is about interfaces that match, whichever those are: only who may do `other` may do that.
    Wherever,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(policies) => {
                let policies: Vec<String> = policies.iter().map(|policy| format!("`{policy}`")).collect();
                let (plural, verb) =
                    if policies.len() == 1 { ("policy", "forbids") } else { ("policies", "forbid") };
                write!(f, "the {plural} {} {verb} it", policies.join(", "))
            }
            Self::Unpermitted => f.write_str("no policy permits it"),
            Self::Wherever => f.write_str(
                "it may come to any interface that matches, and is for those who are permitted `other`",
            ),
        }
    }
}

impl Rules {
    /// The policies in files, besides those that every node has.
    pub(crate) fn read(
        files: &[PathBuf],
        admin: &BTreeSet<Handle>,
        read_only: &BTreeSet<Handle>,
    ) -> Result<Self, BadRules> {
        let mut policies = Policies::shipped(SCHEMA, ROLES);
        for path in files {
            let unreadable = |source| BadRules::Unreadable { path: path.clone(), source };
            policies.add(path, &fs::read_to_string(path).map_err(unreadable)?)?;
        }
        let (admin, read_only, has_own) = (admin.clone(), read_only.clone(), !files.is_empty());
        Ok(Self { policies, admin, read_only, has_own })
    }

    /// Whether a caller may do something to something.
    pub(crate) fn rule(&self, caller: &Caller, action: Action, thing: &Thing, change: Change) -> Ruling {
        // Interfaces that match may be any: a policy that names some says nothing of them.
        if thing.is_wherever() && self.rule(caller, Action::Other, &Thing::Node, change) != Ruling::Permitted
        {
            return Ruling::Denied(Denial::Wherever);
        }
        let asked = self.ask(caller, action, thing, change);
        asked.unwrap_or_else(|error| {
            tracing::error!(%caller, %action, "denied, as it cannot be asked: {error}");
            Ruling::Denied(Denial::Unpermitted)
        })
    }

    /// Whether a caller may do everything, since there are no policies but the roles.
    pub(crate) fn permit_all(&self, caller: &Caller) -> bool {
        !self.has_own && self.parents(caller).contains(&entity("Role", "admin"))
    }

    /// Whether there is any policy under which a caller may do such a thing to anything: where there is none, nothing needs to be
    /// fetched to know the answer.
    pub(crate) fn could_permit(&self, caller: &Caller, action: Action) -> bool {
        let (uid, parents) = (uid(caller), self.parents(caller));
        let is_in = |entity: &EntityUid| *entity == uid || parents.contains(entity);
        let is_caller = |kind: &EntityTypeName| kind == uid.type_name();
        let (action, group) = (action_uid(action), entity("Action", "change"));
        let is_action = |wanted: &EntityUid| *wanted == action || *wanted == group;
        self.policies.all().filter(|policy| policy.effect() == Effect::Permit).any(|policy| {
            let by_caller = match policy.principal_constraint() {
                PrincipalConstraint::Any => true,
                PrincipalConstraint::In(wanted) | PrincipalConstraint::Eq(wanted) => is_in(&wanted),
                PrincipalConstraint::Is(kind) => is_caller(&kind),
                PrincipalConstraint::IsIn(kind, wanted) => is_caller(&kind) && is_in(&wanted),
            };
            by_caller
                && match policy.action_constraint() {
                    ActionConstraint::Any => true,
                    ActionConstraint::In(wanted) => wanted.iter().any(is_action),
                    ActionConstraint::Eq(wanted) => is_action(&wanted),
                }
        })
    }

    fn ask(&self, caller: &Caller, action: Action, thing: &Thing, change: Change) -> Result<Ruling, Cause> {
        let context = if action.touches() {
            Context::from_pairs([("change".to_owned(), text(change))])?
        } else {
            Context::empty()
        };
        let (principal, mut entities) = (uid(caller), vec![self.caller(caller)?]);
        let resource = resource(thing, &mut entities)?;
        entities
            .extend(self.parents(caller).into_iter().map(|uid| Entity::new_no_attrs(uid, HashSet::new())));
        let action = action_uid(action);
        Ok(match self.policies.ask(Question { principal, action, resource, context, entities })? {
            Verdict::Permitted => Ruling::Permitted,
            Verdict::Forbidden(policies) => Ruling::Denied(Denial::Forbidden(policies)),
            Verdict::Unpermitted => Ruling::Denied(Denial::Unpermitted),
        })
    }

    fn caller(&self, caller: &Caller) -> Result<Entity, Cause> {
        let mut said = BTreeMap::from([("via".to_owned(), text(caller.via()))]);
        if let Some(address) = caller.address() {
            said.insert("address".to_owned(), text(address.ip()));
        }
        let nothing = BTreeSet::new();
        let names = match caller {
            Caller::User { uid, gid, name, .. } => {
                said.insert("uid".to_owned(), RestrictedExpression::new_long(i64::from(*uid)));
                said.insert("gid".to_owned(), RestrictedExpression::new_long(i64::from(*gid)));
                said.extend(name.iter().map(|name| ("user".to_owned(), text(name))));
                &nothing
            }
            Caller::Certified { names, .. } => names,
            Caller::Bearer { token, names, .. } => {
                said.insert("issuer".to_owned(), text(&token.issuer));
                said.insert("subject".to_owned(), text(&token.subject));
                names
            }
        };
        said.insert("names".to_owned(), RestrictedExpression::new_set(names.iter().map(text)));
        Ok(Entity::new(uid(caller), said.into_iter().collect(), self.parents(caller))?)
    }

    /// The roles and groups of a caller.
    fn parents(&self, caller: &Caller) -> HashSet<EntityUid> {
        let handles = caller.handles();
        let has = |role: &BTreeSet<Handle>| !handles.is_disjoint(role);
        let roles = [("admin", caller.is_root() || has(&self.admin)), ("read-only", has(&self.read_only))];
        let roles = roles.into_iter().filter(|(_, has)| *has).map(|(role, _)| entity("Role", role));
        let (kind, groups) = match caller {
            Caller::User { groups, .. } => ("UnixGroup", groups.iter().collect()),
            Caller::Bearer { token, .. } => ("TokenGroup", token.groups.iter().collect()),
            Caller::Certified { .. } => ("TokenGroup", Vec::new()),
        };
        roles.chain(groups.into_iter().map(|group| entity(kind, group))).collect()
    }
}

/// The entity that a thing is, with those that it is in.
fn resource(thing: &Thing, entities: &mut Vec<Entity>) -> Result<EntityUid, Cause> {
    let mut said = BTreeMap::new();
    let mut parents = HashSet::new();
    let uid = match thing {
        Thing::Node => entity("Node", "node"),
        Thing::Chain(hook) => {
            place(hook, &mut said);
            parents.insert(interface(&hook.interfaces));
            entity("Chain", &hook.to_string())
        }
        Thing::Member { hook, name, position, ware } => {
            place(hook, &mut said);
            said.insert("name".to_owned(), text(name));
            let position = i64::try_from(*position).unwrap_or(i64::MAX);
            said.insert("position".to_owned(), RestrictedExpression::new_long(position));
            parents.extend([entity("Chain", &hook.to_string()), interface(&hook.interfaces)]);
            parents.extend(came_from(ware.as_ref(), &mut said));
            entity("Member", &format!("{hook} {name}"))
        }
        Thing::Probe { name, ware } => {
            said.insert("name".to_owned(), text(name));
            parents.extend(came_from(ware.as_ref(), &mut said));
            entity("Probe", name)
        }
        Thing::Check(name) => {
            said.insert("name".to_owned(), text(name));
            entity("Check", name)
        }
    };
    entities.push(Entity::new(uid.clone(), said.into_iter().collect(), parents)?);
    Ok(uid)
}

fn interface(interfaces: &Interfaces) -> EntityUid {
    entity("Interface", &interfaces.to_string())
}

fn place(hook: &Hooks, said: &mut Said) {
    let (all, namespace) = (hook.interfaces.to_string(), hook.interfaces.namespace());
    let within = namespace.and_then(|namespace| all.strip_prefix(namespace.as_ref())?.strip_prefix(':'));
    said.insert("interface".to_owned(), text(within.unwrap_or(&all)));
    said.insert("hook".to_owned(), text(hook.point));
    said.extend(namespace.map(|namespace| ("namespace".to_owned(), text(namespace))));
}

fn came_from(ware: Option<&Ware>, said: &mut Said) -> Vec<EntityUid> {
    let Some(Ware { publisher, name, version }) = ware else { return Vec::new() };
    for (key, value) in [("publisher", publisher), ("package", name), ("version", version)] {
        said.insert(key.to_owned(), text(value));
    }
    vec![entity("Publisher", publisher), entity("Package", &format!("{publisher}/{name}"))]
}

fn uid(caller: &Caller) -> EntityUid {
    entity("Caller", &caller.to_string())
}

fn action_uid(action: Action) -> EntityUid {
    entity("Action", &action.to_string())
}

fn entity(kind: &'static str, id: &str) -> EntityUid {
    let kind: EntityTypeName = kind.parse().expect("it is a name of the schema");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

fn text(value: impl Display) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(policies: &str) -> Result<Rules, BadRules> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.cedar");
        fs::write(&file, policies).unwrap();
        let handles = |handle: &str| BTreeSet::from([Handle::try_from(handle.to_owned()).unwrap()]);
        Rules::read(&[file], &handles("user:boss"), &handles("certificate:watch.example.org"))
    }

    fn user(uid: u32, name: &str, groups: &[&str]) -> Caller {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Caller::User { uid, gid: uid, name: Some(name.to_owned()), groups }
    }

    fn certified(name: &str) -> Caller {
        Caller::Certified { names: [name.to_owned()].into(), address: "192.0.2.1:5".parse().unwrap() }
    }

    fn member(interface: &str, publisher: &str, position: usize) -> Thing {
        let ware =
            Ware { publisher: publisher.to_owned(), name: "a".to_owned(), version: "1.0.0".to_owned() };
        let hook = Hooks { interfaces: interface.parse().unwrap(), point: package::HookPoint::Xdp };
        Thing::Member { hook, name: "m".to_owned(), position, ware: Some(ware) }
    }

    #[test]
    fn interfaces_that_match_are_for_administrators() {
        let rules = read("permit(principal, action, resource) when { principal has user && principal.user == \"alice\" } unless { action == Action::\"other\" };").unwrap();
        let (root, alice) = (user(0, "root", &[]), user(1001, "alice", &[]));
        for interface in ["eth*", "blue:eth*", "mac=02:00:5e:10:00:01"] {
            assert!(may(&rules, &root, Action::Apply, &member(interface, "example", 1)));
            assert!(!may(&rules, &alice, Action::Apply, &member(interface, "example", 1)));
        }
        assert!(may(&rules, &alice, Action::Apply, &member("eth0", "example", 1)));
    }

    fn may(rules: &Rules, caller: &Caller, action: Action, thing: &Thing) -> bool {
        rules.rule(caller, action, thing, Change::Add) == Ruling::Permitted
    }

    #[test]
    fn without_policies_the_roles_count_and_nothing_else() {
        let rules = read("").unwrap();
        let things = [Thing::Node, member("eth0", "example", 1), Thing::Check("c".to_owned())];
        let (root, boss) = (user(0, "root", &[]), user(1000, "boss", &[]));
        let (watch, nobody) = (certified("watch.example.org"), user(1001, "alice", &[]));
        for action in Action::ALL {
            for thing in things.iter().filter(|thing| action.touches() != (**thing == Thing::Node)) {
                assert!(may(&rules, &root, action, thing) && may(&rules, &boss, action, thing));
                assert_eq!(may(&rules, &watch, action, thing), action == Action::Read);
                assert!(!may(&rules, &nobody, action, thing));
            }
            assert_eq!(rules.could_permit(&watch, action), action == Action::Read);
            assert!(rules.could_permit(&root, action) && !rules.could_permit(&nobody, action));
        }
    }

    #[test]
    fn policies_speak_of_places_publishers_positions_and_callers() {
        let rules = read(
            r#"permit (principal in UnixGroup::"net", action in Action::"change", resource in Interface::"eth0");
            permit (principal in UnixGroup::"buy", action == Action::"apply", resource in Publisher::"example");
            permit (principal, action == Action::"apply", resource is Member)
            when { principal has uid && principal.uid == 1002 && resource.position > 1 };
            @id("never in front") forbid (principal, action == Action::"apply", resource is Member)
            when { resource.position == 1 && resource.interface == "eth9" && context.change == "add" };"#,
        )
        .unwrap();
        let (net, buyer, third) =
            (user(1000, "a", &["net"]), user(1001, "b", &["buy"]), user(1002, "c", &[]));
        let ask = |caller, interface, publisher, position| {
            may(&rules, caller, Action::Apply, &member(interface, publisher, position))
        };
        assert!(ask(&net, "eth0", "other", 1) && !ask(&net, "eth1", "other", 1));
        assert!(!ask(&net, "blue:eth0", "other", 1), "it is another interface");
        assert!(ask(&buyer, "eth1", "example", 1) && !ask(&buyer, "eth1", "other", 1));
        assert!(ask(&third, "eth1", "other", 2) && !ask(&third, "eth1", "other", 1));
        assert!(rules.could_permit(&net, Action::Stop) && !rules.could_permit(&buyer, Action::Stop));
        let forbidden =
            rules.rule(&user(0, "root", &[]), Action::Apply, &member("eth9", "example", 1), Change::Add);
        assert_eq!(forbidden, Ruling::Denied(Denial::Forbidden(vec!["never in front".to_owned()])));
    }

    #[test]
    fn the_policies_of_the_manual_are_valid() {
        let manual = include_str!("../../../../docs/access.md");
        let blocks = manual.split("```cedar\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let own = |block: &&str| !block.contains("@id(\"admin\")");
        assert!(blocks.clone().filter(|block| !own(block)).all(|roles| ROLES.contains(roles)));
        let read: Vec<Rules> = blocks.filter(own).map(|block| read(block).unwrap()).collect();
        assert_eq!(read.len(), 1);
    }

    #[test]
    fn what_speaks_of_nothing_in_the_schema_is_refused() {
        for (policies, words) in [
            ("permit (principal, action, resource", "unexpected end of input"),
            ("permit (principal, action == Action::\"aply\", resource);", "unrecognized action"),
            (
                "permit (principal, action == Action::\"read\", resource) when { principal.uid == 0 };",
                "unable to guarantee safety of access to optional attribute",
            ),
            ("permit (principal == ?principal, action, resource);", "a template"),
        ] {
            let refused = read(policies).map(drop).unwrap_err();
            let told = std::error::Error::source(&refused).unwrap().to_string();
            assert!(told.contains(words), "{told}");
        }
    }
}
