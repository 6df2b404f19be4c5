// SPDX-License-Identifier: Apache-2.0
//! What differs between two desired states, as people think of them: hooks, members, and what is said of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ChainDocument, Generation};

/// The place of what is said of all chains for interfaces that match: which comes first.
pub const MATCHES: &str = "interfaces that match";

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where: `<interface>/<hook>`, `probe:<name>`, `deployment:<name>`, or [`MATCHES`].
    pub place: String,
    /// The member; none where it is about the chain or the probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub kind: Kind,
}

/// How something differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "change")]
pub enum Kind {
    /// It is new.
    Added {
        /// What is said of it.
        after: Value,
    },
    /// It is gone.
    Removed {
        /// What was said of it.
        before: Value,
    },
    /// Something else is said of it.
    Changed {
        /// Of what: a key of the document, or `digest` where a reference stands for another package.
        field: String,
        /// What was said; nothing where it was left out.
        before: Value,
        /// What is said.
        after: Value,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, what) = match &self.kind {
            Kind::Added { .. } => ('+', String::new()),
            Kind::Removed { .. } => ('-', String::new()),
            Kind::Changed { field, before, after } => {
                ('~', format!("  {field}: {} -> {}", said(before), said(after)))
            }
        };
        let member = self.member.as_ref().map(|member| format!(" {member}")).unwrap_or_default();
        write!(f, "{sign} {}{member}{what}", self.place)?;
        if let Kind::Added { after: Value::Object(said) } | Kind::Removed { before: Value::Object(said) } =
            &self.kind
            && let Some(Value::String(package)) = said.get("package")
        {
            write!(f, "  {package}")?;
        }
        Ok(())
    }
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => "(left out)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// What differs, in the order of the places; nothing when both desire the same.
pub fn differences(before: &Generation, after: &Generation) -> Vec<Difference> {
    let mut differences = Vec::new();
    let (hooks_before, hooks_after) = (hooks(before), hooks(after));
    for place in keys(&hooks_before, &hooks_after) {
        let about = |member: Option<&str>, kind| Difference {
            place: place.to_string(),
            member: member.map(str::to_owned),
            kind,
        };
        let nothing = Thing::default();
        let (old, new) = (hooks_before.get(place), hooks_after.get(place));
        match (old, new) {
            (None, Some(new)) => {
                differences.push(about(None, Kind::Added { after: new.said.clone().into() }));
            }
            (Some(old), None) => {
                differences.push(about(None, Kind::Removed { before: old.said.clone().into() }));
            }
            _ => {}
        }
        let is_in_both = old.is_some() && new.is_some();
        let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
        if is_in_both {
            differences.extend(changes(&old.said, &new.said).map(|kind| about(None, kind)));
        }
        for name in keys(&old.members, &new.members) {
            match (old.members.get(name), new.members.get(name)) {
                (None, Some(new)) => {
                    differences.push(about(Some(name), Kind::Added { after: new.clone().into() }));
                }
                (Some(old), None) => {
                    differences.push(about(Some(name), Kind::Removed { before: old.clone().into() }));
                }
                (Some(old), Some(new)) => {
                    differences.extend(changes(old, new).map(|kind| about(Some(name), kind)));
                }
                (None, None) => {}
            }
        }
        // Where members come or go the order of the others may be as it was.
        let stays = |thing: &Thing, other: &Thing| -> Vec<String> {
            thing.order.iter().filter(|name| other.members.contains_key(*name)).cloned().collect()
        };
        let (order_before, order_after) = (stays(old, new), stays(new, old));
        if order_before != order_after {
            let (before, after) = (order_before.join(", ").into(), order_after.join(", ").into());
            differences.push(about(None, Kind::Changed { field: "order".to_owned(), before, after }));
        }
    }
    differences.extend(order_of_matches(before, after));
    differences
}

/// Where several chains match an interface, the first in the document counts.
fn order_of_matches(before: &Generation, after: &Generation) -> Option<Difference> {
    let places = |generation: &Generation| -> Vec<String> {
        let chains = generation.document.chains.iter();
        let matching = chains.filter(|chain| chain.interface.name().is_none());
        matching.map(|chain| format!("{}/{}", chain.interface, chain.hook)).collect()
    };
    let (mut old, mut new) = (places(before), places(after));
    let (all_old, all_new) = (old.clone(), new.clone());
    old.retain(|place| all_new.contains(place));
    new.retain(|place| all_old.contains(place));
    let (before, after) = (old.join(", ").into(), new.join(", ").into());
    let kind = Kind::Changed { field: "order".to_owned(), before, after };
    (old != new).then(|| Difference { place: MATCHES.to_owned(), member: None, kind })
}

/// A chain or a probe, taken apart.
#[derive(Default)]
struct Thing {
    said: Map<String, Value>,
    members: BTreeMap<String, Map<String, Value>>,
    order: Vec<String>,
}

/// The chains and probes of a desired state by place.
fn hooks(generation: &Generation) -> BTreeMap<String, Thing> {
    let chains = generation.document.chains.iter().map(|chain| {
        let place = format!("{}/{}", chain.interface, chain.hook);
        let members =
            chain.members.iter().map(|member| (member.name.to_string(), spoken(member, generation)));
        let order = chain.members.iter().map(|member| member.name.to_string()).collect();
        let bare = ChainDocument { members: Vec::new(), ..chain.clone() };
        let mut said = spoken(&bare, generation);
        for key in ["interface", "hook", "member"] {
            said.remove(key);
        }
        (place, Thing { said, members: members.collect(), order })
    });
    let probes = generation.document.probes.iter().map(|probe| {
        (format!("probe:{}", probe.name), Thing { said: spoken(probe, generation), ..Thing::default() })
    });
    let deployments = generation.document.deployments.iter().map(|deployment| {
        let place = format!("deployment:{}", deployment.name);
        (place, Thing { said: spoken(deployment, generation), ..Thing::default() })
    });
    chains.chain(probes).chain(deployments).collect()
}

/// What a document says of something, with the digest of its package where that is known.
fn spoken(what: &impl Serialize, generation: &Generation) -> Map<String, Value> {
    let Ok(Value::Object(mut said)) = serde_json::to_value(what) else { return Map::new() };
    said.remove("name");
    let package = said.get("package").and_then(Value::as_str);
    if let Some(digest) = package.and_then(|package| generation.packages.get(package)) {
        said.insert("digest".to_owned(), digest.as_str().into());
    }
    said
}

/// What is said otherwise.
fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> impl Iterator<Item = Kind> {
    let fields: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |said: &Map<String, Value>, field: &str| said.get(field).cloned().unwrap_or_default();
    let changes: Vec<Kind> = fields
        .into_iter()
        // A digest that only one side knows is of something that was not fetched yet.
        .filter(|field| *field != "digest" || (before.contains_key(*field) && after.contains_key(*field)))
        .filter(|field| before.get(*field) != after.get(*field))
        .map(|field| Kind::Changed {
            field: field.clone(),
            before: value(before, field),
            after: value(after, field),
        })
        .collect();
    changes.into_iter()
}

fn keys<'a, T>(one: &'a BTreeMap<String, T>, other: &'a BTreeMap<String, T>) -> BTreeSet<&'a str> {
    one.keys().chain(other.keys()).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn generation(text: &str, packages: &[(&str, &str)]) -> Generation {
        let packages = packages.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned()));
        Generation { number: 1, document: Document::parse_toml(text).unwrap(), packages: packages.collect() }
    }

    fn chain(hook: &str, members: &[&str]) -> String {
        let members = members.iter().map(|member| {
            let (name, rest) = member.split_once(' ').unwrap_or((member, ""));
            format!("[[chain.member]]\nname = \"{name}\"\npackage = \"file:/{name}\"\n{rest}\n")
        });
        format!("[[chain]]\ninterface = \"eth0\"\nhook = \"{hook}\"\n{}", members.collect::<String>())
    }

    fn told(before: &Generation, after: &Generation) -> String {
        let lines: Vec<String> = differences(before, after).iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        let before = chain("xdp", &["a", "b enforcement = \"shadow\"", "c", "d"])
            + &chain("tc-egress", &["a"])
            + "[[probe]]\nname = \"p\"\npackage = \"file:/p\"\n";
        let after = chain("xdp", &["c", "b proceed = [\"drop\"]", "a config = { x = 1 }", "e"])
            + "[[probe]]\nname = \"p\"\npackage = \"file:/p\"\nenabled = false\n[[probe]]\nname = \"q\"\npackage = \"file:/q\"\n";
        let before = generation(&before, &[("file:/c", "sha256:1")]);
        let after = generation(&after, &[("file:/c", "sha256:2"), ("file:/a", "sha256:3")]);
        insta::assert_snapshot!(told(&before, &after), @r#"
        - eth0/tc-egress
        - eth0/tc-egress a  file:/a
        ~ eth0/xdp a  config: (left out) -> {"x":1}
        ~ eth0/xdp b  enforcement: shadow -> (left out)
        ~ eth0/xdp b  proceed: (left out) -> ["drop"]
        ~ eth0/xdp c  digest: sha256:1 -> sha256:2
        - eth0/xdp d  file:/d
        + eth0/xdp e  file:/e
        ~ eth0/xdp  order: a, b, c -> c, b, a
        ~ probe:p  enabled: (left out) -> false
        + probe:q  file:/q
        "#);
        assert_eq!(told(&before, &before), "");
    }

    #[test]
    fn which_match_comes_first_is_told() {
        let [one, other] = ["eth*", "*0"].map(|name| chain("xdp", &["a"]).replace("eth0", name));
        let (before, after) = (generation(&(one.clone() + &other), &[]), generation(&(other + &one), &[]));
        insta::assert_snapshot!(told(&before, &after), @"~ interfaces that match  order: eth*/xdp, *0/xdp -> *0/xdp, eth*/xdp");
    }

    #[test]
    fn what_differs_one_way_differs_the_other_way() {
        let one = generation(&chain("xdp", &["a", "b"]), &[]);
        let other = generation(&chain("xdp", &["b", "c", "a"]), &[]);
        assert_eq!(differences(&one, &other).len(), differences(&other, &one).len());
        assert_eq!(
            told(&one, &Generation::default()),
            "- eth0/xdp\n- eth0/xdp a  file:/a\n- eth0/xdp b  file:/b"
        );
    }
}
