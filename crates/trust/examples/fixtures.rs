// SPDX-License-Identifier: Apache-2.0
//! Makes the signed bytes of `testdata` from what each `case.toml` says of them: `cargo run -p trust --example fixtures`.
//!
//! It leaves alone what is as it should be. A refusal is written where there is none yet, to be read before it is committed.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "it makes files, or says why not and ends"
)]

#[path = "../tests/all/case.rs"]
mod case;
#[path = "../tests/all/recipe.rs"]
mod recipe;
#[path = "../tests/all/roots.rs"]
mod roots;

use std::fs;

use trust::PrivateKey;

use case::{Case, ROOTS, STATEMENTS};
use recipe::{CHANCE, PEOPLE, but_for_chance, envelopes, key, keys};
use roots::roots;

fn main() {
    write_keys();
    for attack in Case::attacks() {
        let twin = attack.twin();
        write_made(&attack);
        if twin.made(STATEMENTS) != attack.made(STATEMENTS) {
            write_made(&twin);
        }
        if attack.text("refusal.txt").is_none() {
            let accepted = |assurance| panic!("{} is accepted: {assurance:?}", attack.name());
            let refusal = attack.refusal().unwrap_or_else(accepted);
            fs::write(attack.made(STATEMENTS).with_file_name("refusal.txt"), refusal).unwrap();
        }
    }
}

fn write_keys() {
    let public = |name: &str| key(name).public().to_pem();
    let write = |name: &str, text: String| fs::write(keys().join(name).with_extension("pub"), text).unwrap();
    for (name, algorithm) in CHANCE {
        let path = keys().join(name).with_extension("pem");
        if !path.exists() {
            fs::write(path, PrivateKey::generate(algorithm).to_pem().as_bytes()).unwrap();
        }
        write(name, public(name));
    }
    for name in PEOPLE {
        write(name, public(name));
        write(&format!("{name}-hybrid"), public(name) + &public(&format!("{name}-quantum")));
    }
}

/// Roots come first: policies pin them, and certifications are about them.
fn write_made(case: &Case) {
    let recipe = case.recipe();
    for (what, texts) in [(ROOTS, roots(&recipe.roots)), (STATEMENTS, envelopes(&recipe))] {
        let folder = case.made(what);
        if !texts.is_empty() {
            fs::create_dir_all(&folder).unwrap();
        }
        for (number, text) in texts.iter().enumerate() {
            let path = folder.join(format!("{}.json", number + 1));
            let there = fs::read_to_string(&path).unwrap_or_default();
            let is_it =
                there == *text || what == STATEMENTS && but_for_chance(&there) == but_for_chance(text);
            if !is_it {
                fs::write(path, text).unwrap();
            }
        }
    }
}
