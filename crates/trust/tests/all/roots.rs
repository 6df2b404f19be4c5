// SPDX-License-Identifier: Apache-2.0
//! Makes the versions of a publisher's root as a `case.toml` says, good ones and others.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use trust::{Draft, Role, Root, Sign, Signer};

use crate::recipe::key;

/// A version of the root of `example`, after the one that is written before it.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RootRecipe {
    /// Who signs versions of the root.
    keys: Vec<String>,
    /// How many of them must.
    threshold: usize,
    /// Who signs releases.
    release: Vec<String>,
    expires: Timestamp,
    /// Who signed it, and how often; all `keys` of this version and of the one before where that is left out.
    signed: Option<Vec<String>>,
}

impl Default for RootRecipe {
    fn default() -> Self {
        Self {
            keys: vec!["alice".to_owned()],
            threshold: 1,
            release: vec!["bob".to_owned()],
            expires: "2031-01-01T00:00:00Z".parse().unwrap(),
            signed: None,
        }
    }
}

/// The texts of the versions.
pub(crate) fn roots(recipes: &[RootRecipe]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut before: Option<(&RootRecipe, Root)> = None;
    for recipe in recipes {
        let root = before.as_ref().map(|(_, root)| root);
        let mut draft = draft(recipe, root);
        let own = draft.checked().unwrap();
        let earlier = before.iter().flat_map(|(recipe, _)| &recipe.keys);
        let all = || {
            let mut names: Vec<String> = earlier.chain(&recipe.keys).cloned().collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let signed = recipe.signed.clone().unwrap_or_else(all);
        texts.push(sign(&mut draft, root, &signed));
        before = Some((recipe, own));
    }
    texts
}

fn draft(recipe: &RootRecipe, before: Option<&Root>) -> Draft {
    let signer = |name: &String| Signer::from(key(name).public().clone());
    let root: Vec<Signer> = recipe.keys.iter().map(signer).collect();
    let release: Vec<Signer> = recipe.release.iter().map(signer).collect();
    let mut draft = match before {
        None => Draft::first(&"example".parse().unwrap(), recipe.expires, &root, &release).unwrap(),
        Some(before) => {
            let mut draft = Draft::after(before, recipe.expires);
            for (role, wanted) in [(Role::Root, &root), (Role::Release, &release)] {
                replace(&mut draft, role, before.quorum(role).signers(), wanted);
            }
            draft
        }
    };
    draft.set_threshold(Role::Root, recipe.threshold).unwrap();
    draft
}

/// Has these signers in a role in place of those.
fn replace(draft: &mut Draft, role: Role, before: &[Signer], after: &[Signer]) {
    for new in after.iter().filter(|signer| !before.contains(signer)) {
        draft.add(role, new).unwrap();
    }
    for old in before.iter().filter(|signer| !after.contains(signer)) {
        draft.remove(role, &old.to_string()).unwrap();
    }
}

/// The text with a signature for each name. A draft would have each key's once.
fn sign(draft: &mut Draft, before: Option<&Root>, names: &[String]) -> String {
    let mut signatures = Vec::new();
    let mut written = Value::Null;
    for name in names {
        let key = key(name);
        draft.sign(before, &[&key as &dyn Sign]).unwrap();
        written = serde_json::from_str(&draft.to_json()).unwrap();
        signatures.push(written["signatures"].as_array().unwrap().last().unwrap().clone());
    }
    written["signatures"] = signatures.into();
    serde_json::to_string_pretty(&written).unwrap() + "\n"
}
