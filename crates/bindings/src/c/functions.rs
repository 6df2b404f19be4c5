// SPDX-License-Identifier: Apache-2.0
//! What types in C and their functions are called. Both have one space of names there, so all are given in one place.

use std::collections::BTreeMap;

use maps::Place;

use crate::model::{Content, Model, Part};
use crate::names::{Case, Taken};

/// What functions of a definition are called; nothing of an enumeration, which has none.
#[derive(Default)]
pub(super) struct Functions {
    /// The one that holds it against its bounds.
    pub(super) check: String,
    /// The one that makes it.
    pub(super) default: String,
    /// Those of its bit fields, by their place among its parts.
    pub(super) bits: BTreeMap<usize, Accessors>,
}

/// What functions of a bit field are called.
pub(super) struct Accessors {
    /// The one that reads it.
    pub(super) read: String,
    /// The one that writes it.
    pub(super) write: String,
}

/// The names of all definitions, with `struct` or `union` in front where it is one, and of their functions.
///
/// Whoever writes a program knows functions by the name of what they are of. So an enumeration, whose name is made of a field's,
/// comes last and makes way for them.
pub(super) fn named(model: &Model<'_>, prefix: &str, taken: &mut Taken) -> (Vec<String>, Vec<Functions>) {
    let mut names = vec![String::new(); model.definitions.len()];
    let mut name = |index: usize, keyword: &str, taken: &mut Taken| {
        let words: Vec<&str> = model.definitions[index].words.iter().map(String::as_str).collect();
        let given = taken.give(Case::Snake.join(&[&[prefix], words.as_slice()].concat()));
        names[index] = format!("{keyword}{given}");
        given
    };
    let mut structures: Vec<(usize, String, &[Part<'_>])> = Vec::new();
    for (index, definition) in model.definitions.iter().enumerate() {
        match &definition.content {
            Content::Struct(parts) => structures.push((index, name(index, "struct ", taken), parts)),
            Content::Union(parts) => structures.push((index, name(index, "union ", taken), parts)),
            Content::Enum(_) | Content::Flags(_) => {}
        }
    }
    let mut functions: Vec<Functions> = model.definitions.iter().map(|_| Functions::default()).collect();
    for (index, plain, parts) in structures {
        functions[index] = Functions::of(parts, &plain, taken);
    }
    for (index, definition) in model.definitions.iter().enumerate() {
        if matches!(definition.content, Content::Enum(_) | Content::Flags(_)) {
            name(index, "", taken);
        }
    }
    (names, functions)
}

impl Functions {
    /// Those of a structure or union. Bit fields come last, since only theirs are chosen by an author.
    fn of(parts: &[Part<'_>], plain: &str, taken: &mut Taken) -> Self {
        let (check, default) = (taken.give(format!("{plain}_check")), taken.give(format!("{plain}_default")));
        let bits = parts.iter().enumerate().filter(|(_, part)| matches!(part.place, Place::Bits { .. }));
        let bits = bits.map(|(index, part)| {
            let read = taken.give(format!("{plain}_{}", Case::Snake.join(&[&part.name])));
            let write = taken.give(format!("{read}_put"));
            (index, Accessors { read, write })
        });
        Self { check, default, bits: bits.collect() }
    }
}

/// A name without `struct` or `union` in front.
pub(super) fn plain(name: &str) -> &str {
    name.split(' ').next_back().unwrap_or(name)
}
