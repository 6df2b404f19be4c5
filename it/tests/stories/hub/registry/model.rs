// SPDX-License-Identifier: Apache-2.0
//! Whatever is pushed, tagged and deleted in whatever order: a repository has what a simple model of it has.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{Repository, described, digest, registry};

/// How many images there are; each may have something about it.
const IMAGES: usize = 3;
const TAGS: [&str; 3] = ["a", "b", "c"];

/// What a client does.
#[derive(Debug, Clone)]
enum Deed {
    /// Pushes an image, or what is about it, with a tag or without.
    Push { image: usize, about: bool, tag: Option<usize> },
    /// Deletes a tag.
    Untag { tag: usize },
    /// Deletes an image, or what is about it.
    Delete { image: usize, about: bool },
}

/// What a repository should have.
#[derive(Debug, Default)]
struct Model {
    /// Images, and what is about them.
    manifests: BTreeSet<(usize, bool)>,
    tags: BTreeMap<usize, (usize, bool)>,
}

impl Model {
    /// Does the same, and returns whether there was anything to delete.
    fn carry_out(&mut self, deed: &Deed) -> bool {
        match *deed {
            Deed::Push { image, about, tag } => {
                self.manifests.insert((image, about));
                self.tags.extend(tag.map(|tag| (tag, (image, about))));
                true
            }
            Deed::Untag { tag } => self.tags.remove(&tag).is_some(),
            Deed::Delete { image, about } => {
                let was_there = self.manifests.remove(&(image, about));
                self.tags.retain(|_, of| *of != (image, about));
                let is_tagged = self.tags.values().any(|of| *of == (image, true));
                if was_there && !about && !is_tagged {
                    self.manifests.remove(&(image, true));
                }
                was_there
            }
        }
    }
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let (image, about, tag) = (0..IMAGES, any::<bool>(), 0..TAGS.len());
    let push = (image.clone(), about, proptest::option::of(tag.clone()));
    let push = push.prop_map(|(image, about, tag)| Deed::Push { image, about, tag });
    let untag = tag.prop_map(|tag| Deed::Untag { tag });
    let delete = (image, about).prop_map(|(image, about)| Deed::Delete { image, about });
    vec(prop_oneof![3 => push, 1 => untag, 2 => delete], 1..25)
}

/// The documents that are pushed, and whether each is about another.
fn documents(here: &Repository<'_>) -> BTreeMap<(usize, bool), Value> {
    let images = (0..IMAGES).map(|image| (image, here.image("sha256", u8::try_from(image).unwrap())));
    images
        .flat_map(|(number, image)| {
            let about = here.about("sha256", &described("sha256", &image), "application/vnd.example");
            [((number, false), image), ((number, true), about)]
        })
        .collect()
}

#[test]
fn a_repository_has_what_was_pushed_and_not_deleted_in_any_order() {
    let (hub, cases) = (registry(), Cell::new(0));
    let config = Config { cases: 32, failure_persistence: None, ..Config::default() };
    let whole = TestRunner::new(config).run(&deeds(), |deeds| {
        cases.set(cases.get() + 1);
        let name = format!("free/case-{}", cases.get());
        let here = Repository { hub: &hub, name: &name };
        let documents = documents(&here);
        let digest_of = |of: &(usize, bool)| digest("sha256", documents[of].to_string().as_bytes());
        let mut model = Model::default();
        for deed in &deeds {
            let there = model.carry_out(deed);
            let status = match *deed {
                Deed::Push { image, about, tag } => {
                    here.push_manifest("sha256", tag.map(|tag| TAGS[tag]), &documents[&(image, about)]);
                    continue;
                }
                Deed::Untag { tag } => here.delete(&format!("manifests/{}", TAGS[tag])).status,
                Deed::Delete { image, about } => {
                    here.delete(&format!("manifests/{}", digest_of(&(image, about)))).status
                }
            };
            prop_assert_eq!(status, if there { 202 } else { 404 }, "{:?}", deed);
        }
        for (of, document) in &documents {
            let got = here.get(&format!("manifests/{}", digest_of(of)));
            let expected = if model.manifests.contains(of) { document.to_string() } else { String::new() };
            prop_assert_eq!(if got.status == 200 { got.text() } else { String::new() }, expected, "{:?}", of);
        }
        let tags: Vec<&str> = model.tags.keys().map(|tag| TAGS[*tag]).collect();
        prop_assert_eq!(&here.get("tags/list").json().unwrap()["tags"], &json!(tags));
        for (tag, of) in &model.tags {
            prop_assert_eq!(here.get(&format!("manifests/{}", TAGS[*tag])).text(), documents[of].to_string());
        }
        for image in 0..IMAGES {
            let listed = here.get(&format!("referrers/{}", digest_of(&(image, false)))).json().unwrap();
            let count = listed["manifests"].as_array().unwrap().len();
            prop_assert_eq!(count, usize::from(model.manifests.contains(&(image, true))));
        }
        Ok(())
    });
    whole.unwrap();
}
