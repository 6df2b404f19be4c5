// SPDX-License-Identifier: Apache-2.0
//! Attacks, each in a folder of `testdata` with a twin that lacks nothing but the attack.

use std::fs;

use crate::case::{Case, ROOTS, STATEMENTS};
use crate::recipe::{PEOPLE, but_for_chance, envelopes, key, keys};
use crate::roots::roots;

/// An attack that is removed is missed.
const ATTACKS: usize = 140;

#[test]
fn every_attack_is_refused_for_its_reason_and_its_twin_verifies() {
    let attacks = Case::attacks();
    let wrong: Vec<String> = attacks.iter().filter_map(|attack| check(attack).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(attacks.len() >= ATTACKS, "there are {} attacks", attacks.len());
}

fn check(attack: &Case) -> Result<(), String> {
    let name = attack.name();
    let text = attack.text("case.toml").ok_or_else(|| format!("{name}: it has no case.toml"))?;
    if !text.starts_with("# ") {
        return Err(format!("{name}: its case.toml does not begin with what the attack is"));
    }
    let wanted = attack.text("refusal.txt").ok_or_else(|| format!("{name}: it has no refusal.txt"))?;
    let refusal = attack.refusal().map_err(|assurance| format!("{name}: it is accepted: {assurance:?}"))?;
    if refusal != wanted {
        return Err(format!("{name}: it is refused otherwise\n- {wanted}+ {refusal}"));
    }
    [attack, &attack.twin()].into_iter().try_for_each(check_made)?;
    let twin = attack.twin().outcome();
    twin.map(drop).map_err(|refused| format!("{name}: its twin is refused: {refused}"))
}

/// What is signed is what `case.toml` says.
fn check_made(case: &Case) -> Result<(), String> {
    let recipe = case.recipe();
    let made = roots(&recipe.roots).into_iter().map(String::into_bytes);
    if made.collect::<Vec<_>>() != case.documents(ROOTS) {
        return Err(format!("{}: its roots are not those that its recipe makes", case.name()));
    }
    let made = envelopes(&recipe);
    let there = case.documents(STATEMENTS).into_iter().map(|bytes| String::from_utf8(bytes).unwrap());
    let made: Vec<_> = made.iter().map(|envelope| but_for_chance(envelope)).collect();
    let there: Vec<_> = there.map(|envelope| but_for_chance(&envelope)).collect();
    if made == there {
        Ok(())
    } else {
        Err(format!("{}: its statements are not those that its recipe makes", case.name()))
    }
}

#[test]
fn the_keys_of_the_policies_are_those_that_sign() {
    for name in PEOPLE {
        let public = fs::read_to_string(keys().join(name).with_extension("pub")).unwrap();
        assert_eq!(public, key(name).public().to_pem());
    }
}
