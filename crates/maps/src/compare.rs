// SPDX-License-Identifier: Apache-2.0
//! Whether whoever reads and writes the maps of one release can go on with those of another.

use std::fmt;

use crate::{Field, Fields, Interface, Map, Names, Number, Role, Shape, Type, Words};

/// How an interface, or a type, relates to the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Nothing differs but words for people.
    Same,
    /// There is more, and whoever knows the one before goes on reading and writing.
    Extended(Difference),
    /// Somebody who knows the one before would read or write something wrong, or be refused.
    Incompatible(Difference),
}

/// The first place in which two interfaces differ so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: `ports.value.rate`.
    pub path: String,
    /// What was there; none where nothing was.
    pub was: Option<String>,
    /// What is there; none where nothing is.
    pub becomes: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nothing = || "nothing".to_owned();
        let was = self.was.clone().unwrap_or_else(nothing);
        let becomes = self.becomes.clone().unwrap_or_else(nothing);
        let path = if self.path.is_empty() { "it".to_owned() } else { format!("`{}`", self.path) };
        write!(f, "{path} was {was} and becomes {becomes}")
    }
}

impl Interface {
    /// How this interface relates to the one before.
    pub fn compare(&self, before: &Self) -> Comparison {
        let mut found = Found::default();
        for was in &before.maps {
            match self.map(&was.name) {
                Some(becomes) => found.map(was, becomes, &was.name),
                None => found.breaks(&was.name, Some(format!("a map of kind `{}`", was.kind)), None),
            }
        }
        for new in self.maps.iter().filter(|map| before.map(&map.name).is_none()) {
            found.extends(&new.name, None, Some(format!("a map of kind `{}`", new.kind)));
        }
        found.verdict()
    }
}

impl Type {
    /// How this type relates to the one before, for whoever reads and writes bytes of it. New fields extend a structure where
    /// nothing was, even if whoever wrote it whole in JSON does not know them.
    pub fn compare(&self, before: &Self) -> Comparison {
        let mut found = Found::default();
        found.types(before, self, "");
        found.verdict()
    }
}

/// The first differences of each sort.
#[derive(Default)]
struct Found {
    extended: Option<Difference>,
    incompatible: Option<Difference>,
    /// Whether people write what is compared, who do not know of new fields.
    written: bool,
}

impl Found {
    fn verdict(self) -> Comparison {
        match (self.incompatible, self.extended) {
            (Some(difference), _) => Comparison::Incompatible(difference),
            (None, Some(difference)) => Comparison::Extended(difference),
            (None, None) => Comparison::Same,
        }
    }

    fn breaks(&mut self, path: &str, was: Option<String>, becomes: Option<String>) {
        let difference = || Difference { path: path.to_owned(), was, becomes };
        self.incompatible.get_or_insert_with(difference);
    }

    fn extends(&mut self, path: &str, was: Option<String>, becomes: Option<String>) {
        let difference = || Difference { path: path.to_owned(), was, becomes };
        self.extended.get_or_insert_with(difference);
    }

    /// What must not differ at all.
    fn equal<T: PartialEq>(&mut self, path: &str, was: &T, becomes: &T, told: impl Fn(&T) -> String) {
        if was != becomes {
            self.breaks(path, Some(told(was)), Some(told(becomes)));
        }
    }

    fn map(&mut self, was: &Map, becomes: &Map, path: &str) {
        self.equal(path, &was.kind, &becomes.kind, |kind| format!("a map of kind `{kind}`"));
        self.equal(path, &was.flags, &becomes.flags, |flags| format!("a map with the flags {flags:#x}"));
        self.equal(path, &was.buckets, &becomes.buckets, |buckets| told(buckets.as_ref()));
        self.equal(path, &was.unit, &becomes.unit, |unit| told(unit.as_ref()));
        let entries = |map: &Map| Some(format!("a map of {} entries", map.max_entries));
        if let Some(gone) = was.parameters.iter().find(|name| !becomes.parameters.contains(name)) {
            self.breaks(&format!("{path}.value.{gone}"), Some("a parameter".to_owned()), None);
        }
        if let Some(new) = becomes.parameters.iter().find(|name| !was.parameters.contains(name)) {
            self.extends(&format!("{path}.value.{new}"), None, Some("a parameter".to_owned()));
        }
        match becomes.max_entries.cmp(&was.max_entries) {
            std::cmp::Ordering::Less => self.breaks(path, entries(was), entries(becomes)),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => self.extends(path, entries(was), entries(becomes)),
        }
        match (was.role, becomes.role) {
            (None, Some(role)) => self.extends(path, None, Some(format!("{role:?}").to_lowercase())),
            (one, other) => self.equal(path, &one, &other, |role| told(role.as_ref()).to_lowercase()),
        }
        self.written = was.role == Some(Role::Config);
        self.part(was.key.as_ref(), becomes.key.as_ref(), &format!("{path}.key"));
        self.part(was.value.as_ref(), becomes.value.as_ref(), &format!("{path}.value"));
        self.part(was.event.as_ref(), becomes.event.as_ref(), &format!("{path}.event"));
        match (&was.inner, &becomes.inner) {
            (Some(was), Some(becomes)) => self.map(was, becomes, &format!("{path}.inner")),
            (None, None) => {}
            (was, becomes) => {
                let told = |inner: &Option<Box<Map>>| {
                    inner.as_ref().map(|inner| format!("maps of kind `{}`", inner.kind))
                };
                self.breaks(path, told(was), told(becomes));
            }
        }
    }

    fn part(&mut self, was: Option<&Type>, becomes: Option<&Type>, path: &str) {
        match (was, becomes) {
            (Some(was), Some(becomes)) => self.types(was, becomes, path),
            (None, Some(new)) => self.extends(path, None, Some(new.to_string())),
            (Some(old), None) => self.breaks(path, Some(old.to_string()), None),
            (None, None) => {}
        }
    }

    fn types(&mut self, was: &Type, becomes: &Type, path: &str) {
        let sides = || (Some(was.to_string()), Some(becomes.to_string()));
        let same_size = was.bytes() == becomes.bytes();
        match (was.shape(), becomes.shape()) {
            (Shape::Enum(one), Shape::Enum(other)) | (Shape::Flags(one), Shape::Flags(other))
                if same_size =>
            {
                self.names(one, other, path);
            }
            (Shape::Array(one), Shape::Array(other)) if one.count == other.count => {
                self.types(&one.element, &other.element, &format!("{path}[]"));
            }
            (Shape::Struct(one), Shape::Struct(other)) | (Shape::Union(one), Shape::Union(other))
                if same_size =>
            {
                let new_is_missed = self.written && matches!(was.shape(), Shape::Struct(_));
                self.fields(one, other, path, new_is_missed);
            }
            (one, other) if one == other && same_size => {}
            _ => {
                let (was, becomes) = sides();
                self.breaks(path, was, becomes);
            }
        }
        self.words(was.words(), becomes.words(), path);
    }

    fn names(&mut self, was: &Names, becomes: &Names, path: &str) {
        let one = |name: &str, number: Number| Some(format!("`{name}` for {number}"));
        for (name, number) in &was.names {
            let shown = was.name(*number);
            if becomes.number(name) != Some(*number) || becomes.name(*number) != shown {
                let new = becomes.number(name).and_then(|number| one(name, number));
                self.breaks(path, one(name, *number), new);
            }
        }
        for (name, number) in becomes.names.iter().filter(|(name, _)| was.number(name).is_none()) {
            self.extends(path, None, one(name, *number));
        }
        let told = |open: bool| Some(if open { "open" } else { "closed" }.to_owned());
        match (was.open, becomes.open) {
            (true, false) => self.breaks(path, told(true), told(false)),
            (false, true) => self.extends(path, told(false), told(true)),
            (false, false) | (true, true) => {}
        }
        self.equal(path, &was.signed, &becomes.signed, |signed| format!("numbers with a sign: {signed}"));
    }

    fn fields(&mut self, was: &Fields, becomes: &Fields, path: &str, new_is_missed: bool) {
        for field in &was.fields {
            let deeper = within(path, field);
            let same = |other: &&Field| {
                other.name == field.name && (!field.name.is_empty() || other.place == field.place)
            };
            match becomes.fields.iter().find(same) {
                Some(other) => {
                    self.equal(&deeper, &field.place, &other.place, |place| format!("at {place}"));
                    self.equal(&deeper, &field.shown_name(), &other.shown_name(), |name| told(name.as_ref()));
                    self.types(&field.is, &other.is, &deeper);
                }
                None => self.breaks(&deeper, Some(field.is.to_string()), None),
            }
        }
        let known = |field: &Field| {
            was.fields
                .iter()
                .any(|old| old.name == field.name && (!old.name.is_empty() || old.place == field.place))
        };
        for field in becomes.fields.iter().filter(|field| !known(field)) {
            let needed = new_is_missed && field.is.words().default.is_none() && !field.is.is_kernel();
            let new = field.is.to_string();
            if needed {
                self.breaks(&within(path, field), None, Some(format!("{new} without a default")));
            } else {
                self.extends(&within(path, field), None, Some(new));
            }
        }
    }

    fn words(&mut self, was: &Words, becomes: &Words, path: &str) {
        self.equal(path, &was.unit, &becomes.unit, |unit| {
            unit.as_ref().map_or("without a unit".to_owned(), |unit| format!("in `{unit}`"))
        });
        self.equal(path, &was.label, &becomes.label, |label| told(label.as_ref()));
        self.equal(path, &was.buckets, &becomes.buckets, |buckets| told(buckets.as_ref()));
        self.bound(path, ("at least", was.min, becomes.min), |was, becomes| becomes > was);
        self.bound(path, ("at most", was.max, becomes.max), |was, becomes| becomes < was);
        match (&was.default, &becomes.default) {
            (Some(was), None) => self.breaks(path, Some(format!("{was} where not given")), None),
            (was, becomes) if was != becomes => {
                let told = |value: &Option<_>| {
                    value.as_ref().map(|value: &serde_json::Value| format!("{value} where not given"))
                };
                self.extends(path, told(was), told(becomes));
            }
            _ => {}
        }
    }

    /// A bound that is narrower refuses what was written before.
    fn bound(
        &mut self,
        path: &str,
        (what, was, becomes): (&str, Option<Number>, Option<Number>),
        narrower: impl Fn(Number, Number) -> bool,
    ) {
        let told = |number: Option<Number>| number.map(|number| format!("{what} {number}"));
        match (was, becomes) {
            (Some(one), Some(other)) if narrower(one, other) => self.breaks(path, told(was), told(becomes)),
            (None, Some(_)) => self.breaks(path, None, told(becomes)),
            (one, other) if one != other => self.extends(path, told(was), told(becomes)),
            _ => {}
        }
    }
}

fn within(path: &str, field: &Field) -> String {
    match (path.is_empty(), field.name.is_empty()) {
        (_, true) => path.to_owned(),
        (true, false) => field.name.clone(),
        (false, false) => format!("{path}.{}", field.name),
    }
}

fn told<T: fmt::Debug>(what: Option<&T>) -> String {
    what.map_or("nothing".to_owned(), |what| format!("{what:?}"))
}
