// SPDX-License-Identifier: Apache-2.0
//! The maps of an object: what each is called, holds, and is for.

mod apply;
mod contents;
mod derive;
mod entry;
mod kind;
mod misfit;
mod notes;
mod path;

use serde::{Deserialize, Serialize};

use crate::types::is_default;
use crate::{Buckets, Field, Place, Type, Unit};

pub use contents::{Contents, Held, InnerMap};
pub(crate) use derive::is_length_first;
pub use derive::{Section, SectionSymbol};
pub use entry::{Entry, EntryView};
pub use kind::MapKind;
pub use misfit::{Misfit, Misfits, NoType, Problem};
pub use notes::{Clock, FieldNotes, Format, MapNotes, NamesFrom, Role};

/// All maps of an object that user space may know of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interface {
    /// The maps, by name.
    pub maps: Vec<Map>,
}

/// One map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// Its name; that of global variables is the name of their section.
    pub name: String,
    /// Its kind.
    pub kind: MapKind,
    /// How many entries it has at most; 0 where whoever loads it decides.
    pub max_entries: u32,
    /// Its flags (`BPF_F_*` of `linux/bpf.h`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub flags: u32,
    /// Whether loaders are asked to pin it under its name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pinned_by_name: bool,
    /// What it holds of a section of global variables: its one value has no key then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<Variables>,
    /// Of constants, those that may be given other values when the object is loaded, as their names in the source: the
    /// compiler took none of them for granted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parameters: Vec<String>,
    /// What its keys are, where it has keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Type>,
    /// What its values are, where it has values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Type>,
    /// What the maps are that it holds, where it holds maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<Box<Map>>,
    /// What events it hands over, where it is one of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Type>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What it is for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its entries count, where they are the buckets of a histogram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Buckets>,
    /// The unit of what those count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

/// Global variables of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variables {
    /// They may change while the program runs.
    Changing,
    /// They are constants from when the program is loaded.
    Constant,
}

impl Interface {
    /// The map of a name.
    pub fn map(&self, name: &str) -> Option<&Map> {
        self.maps.iter().find(|map| map.name == name)
    }

    /// The constants that can have another value when the object is loaded: the name of each, where it lies among the
    /// constants (`.rodata`) in bytes, and what it is.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, usize, &Type)> {
        let named = |map: &Map, field: &Field| map.parameters.contains(&field.name);
        let fields = self.map(".rodata").into_iter().flat_map(move |map| {
            let all = map.value.iter().filter_map(Type::fields).flat_map(|constants| &constants.fields);
            all.filter(move |field| named(map, field))
        });
        fields.filter_map(|field| {
            let Place::Bytes { offset } = field.place else { return None };
            Some((field.shown_name()?, offset, &field.is))
        })
    }

    /// Where the constant of a name lies, and what it is.
    pub fn parameter(&self, name: &str) -> Option<(usize, &Type)> {
        self.parameters().find(|(known, ..)| *known == name).map(|(_, offset, is)| (offset, is))
    }
}

#[cfg(test)]
mod tests;
