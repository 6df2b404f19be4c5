// SPDX-License-Identifier: Apache-2.0
//! Joining what an object says of its maps with what a manifest adds. Whatever does not fit is told at once, with its path.

use serde_json::Value;

use super::derive::{MAX_PARTS, as_prefix};
use super::path::{Start, Step, parse};
use super::{FieldNotes, Format, Interface, Map, MapKind, MapNotes, Misfit, Misfits, NoType, Problem};
use crate::format::{buckets, formatted};
use crate::write::number_of;
use crate::{Btf, Endian, Field, Fields, Number, Place, Shape, Type, Words};

impl Interface {
    /// The interface with what a manifest adds. Names of types are looked up in the types of the object.
    ///
    /// # Errors
    /// When something does not fit, with all of it.
    pub fn with_notes(self, notes: &[MapNotes], btf: Option<&Btf<'_>>) -> Result<Self, Misfits> {
        let mut joined = self;
        let mut misfits = Vec::new();
        let mut types = Types { btf, parts_left: MAX_PARTS };
        for said in notes {
            let misfit = |(path, problem)| Misfit { map: said.name.clone(), path, problem };
            match joined.maps.iter_mut().find(|map| map.name == said.name) {
                Some(map) => misfits.extend(map.note(said, &mut types).into_iter().map(misfit)),
                None => misfits.push(misfit((None, Problem::NoMap { known: joined.known() }))),
            }
        }
        if misfits.is_empty() { Ok(joined) } else { Err(Misfits(misfits)) }
    }

    fn known(&self) -> String {
        let names: Vec<String> = self.maps.iter().map(|map| format!("`{}`", map.name)).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

impl Map {
    /// Takes over what is said, and tells what does not fit.
    fn note(&mut self, said: &MapNotes, types: &mut Types<'_, '_>) -> Vec<(Option<String>, Problem)> {
        self.role = said.role;
        self.description.clone_from(&said.description);
        let mut wrong = Vec::new();
        let retyped = [
            ("key_type", &said.key_type, Start::Key),
            ("value_type", &said.value_type, Start::Value),
            ("event", &said.event, Start::Event),
        ];
        for (key, text, start) in retyped {
            let Some(text) = text else { continue };
            if let Err(problem) = self.retype(key, text, start, types) {
                wrong.push((None, problem));
            }
        }
        for (at, field) in said.field.iter().enumerate() {
            let twice = said.field[..at].iter().any(|earlier| earlier.path == field.path);
            let noted = if twice { Err(Problem::Twice) } else { self.note_part(field, types.btf) };
            if let Err(problem) = noted {
                wrong.push((Some(field.path.clone()), problem));
            }
        }
        wrong
    }

    fn retype(
        &mut self,
        key: &'static str,
        text: &str,
        start: Start,
        types: &mut Types<'_, '_>,
    ) -> Result<(), Problem> {
        if start == Start::Event && !self.kind.is_of_events() {
            return Err(Problem::NotOfEvents { kind: self.kind });
        }
        let is = types.of(text).map_err(|reason| Problem::Type { key, given: text.to_owned(), reason })?;
        let trie = self.kind == MapKind::LPM_TRIE;
        let part = self.part(start);
        match part {
            Some(there) if start != Start::Event && there.bytes() != is.bytes() => {
                return Err(Problem::Size { key, given: is.bytes(), found: there.bytes() });
            }
            None if start != Start::Event => return Err(Problem::Size { key, given: is.bytes(), found: 0 }),
            _ => {}
        }
        *part = Some(if trie && start == Start::Key { as_prefix(is) } else { is });
        Ok(())
    }

    fn part(&mut self, start: Start) -> &mut Option<Type> {
        match start {
            Start::Key => &mut self.key,
            Start::Value => &mut self.value,
            Start::Event => &mut self.event,
        }
    }

    fn note_part(&mut self, notes: &FieldNotes, btf: Option<&Btf<'_>>) -> Result<(), Problem> {
        let (start, steps) = parse(&notes.path).ok_or(Problem::Path)?;
        let map = format!("the map `{}`", self.name);
        let entries = usize::try_from(self.max_entries).unwrap_or(usize::MAX);
        let array = self.kind.is_array() && self.variables.is_none();
        let part = self.part(start);
        let Some(is) = part else {
            let step = notes.path.split(['.', '[']).next().unwrap_or_default().to_owned();
            return Err(Problem::NoPart { step, within: map });
        };
        // The entries of an array can be the buckets themselves.
        let whole = steps.is_empty() && start == Start::Value && array;
        let number = matches!(is.shape(), Shape::Integer(_));
        if whole && number && notes.format == Some(Format::Histogram) {
            let counted = FieldNotes { format: None, buckets: None, unit: None, ..notes.clone() };
            *part = Some(noted(is.clone(), &counted, btf)?);
            self.unit.clone_from(&notes.unit);
            self.buckets = Some(buckets(notes, entries)?);
            return Ok(());
        }
        if steps.is_empty() && notes.name.is_some() {
            return Err(Problem::Key { key: "name", of: "fields", is: "a whole".to_owned() });
        }
        *part = Some(edited(is.clone(), &steps, notes, btf)?);
        Ok(())
    }
}

/// The types of an object, as far as notes may name them: they come from whoever wrote the object.
struct Types<'b, 'a> {
    btf: Option<&'b Btf<'a>>,
    parts_left: usize,
}

impl Types<'_, '_> {
    /// The type that words stand for, or the one in BTF that has them as its name.
    fn of(&mut self, text: &str) -> Result<Type, NoType> {
        let grammar = match text.parse::<Type>() {
            Ok(is) => return Ok(is),
            Err(error) => error,
        };
        match self.btf.and_then(|btf| Type::named_within(btf, text, &mut self.parts_left)) {
            Some(named) => Ok(named?),
            None if ["struct ", "union ", "enum "].iter().any(|word| text.starts_with(word))
                && !text.contains('{') =>
            {
                Err(NoType::NotThere)
            }
            None => Err(grammar.into()),
        }
    }
}

/// A type in which something is said of a part.
fn edited(is: Type, steps: &[Step<'_>], notes: &FieldNotes, btf: Option<&Btf<'_>>) -> Result<Type, Problem> {
    let Some((step, rest)) = steps.split_first() else { return noted(is, notes, btf) };
    let missing = no_part(*step, &is);
    let words = is.words().clone();
    let bytes = is.bytes();
    let shape = match (step, is.shape().clone()) {
        (Step::Each, Shape::Array(mut array)) => {
            if rest.is_empty() && notes.name.is_some() {
                return Err(Problem::Key { key: "name", of: "fields", is: "an element".to_owned() });
            }
            array.element = edited(array.element, rest, notes, btf)?;
            Shape::Array(array)
        }
        (Step::Field(name), Shape::Struct(mut fields)) => {
            let field = field_of(&mut fields, name).ok_or(missing)?;
            edit_field(field, steps, notes, btf)?;
            Shape::Struct(fields)
        }
        (Step::Field(name), Shape::Union(mut fields)) => {
            let field = field_of(&mut fields, name).ok_or(missing)?;
            edit_field(field, steps, notes, btf)?;
            Shape::Union(fields)
        }
        _ => return Err(missing),
    };
    Ok(Type::new(shape, bytes)?.with_words(words)?)
}

fn no_part(step: Step<'_>, within: &Type) -> Problem {
    let step = match step {
        Step::Field(name) => name,
        Step::Each => "[]",
    };
    let within = match within.fields() {
        Some(fields) => {
            let names: Vec<String> = names_in(fields).iter().map(|name| format!("`{name}`")).collect();
            format!("{within}: {}", names.join(", "))
        }
        None => within.to_string(),
    };
    Problem::NoPart { step: step.to_owned(), within }
}

/// The names of fields in the source, with those of fields that stand for themselves.
fn names_in(fields: &Fields) -> Vec<&str> {
    let mut found = Vec::new();
    for field in &fields.fields {
        match field.is.fields() {
            Some(inner) if field.name.is_empty() => found.extend(names_in(inner)),
            _ => found.push(field.name.as_str()),
        }
    }
    found
}

/// The field of a name, or the one without a name that has it.
fn field_of<'a>(fields: &'a mut Fields, name: &str) -> Option<&'a mut Field> {
    let has = |field: &&mut Field| match field.is.fields() {
        Some(inner) if field.name.is_empty() => names_in(inner).contains(&name),
        _ => field.name == name,
    };
    fields.fields.iter_mut().find(has)
}

fn edit_field(
    field: &mut Field,
    steps: &[Step<'_>],
    notes: &FieldNotes,
    btf: Option<&Btf<'_>>,
) -> Result<(), Problem> {
    // Fields of one without a name are found by the same step.
    let rest = if field.name.is_empty() { steps } else { &steps[1..] };
    field.is = edited(field.is.clone(), rest, notes, btf)?;
    if rest.is_empty() {
        field.shown = notes.name.clone().filter(|shown| *shown != field.name);
        check_default_in_bits(field)?;
    }
    Ok(())
}

/// A field of bits takes less than its type does.
fn check_default_in_bits(field: &Field) -> Result<(), Problem> {
    let (Place::Bits { bits, .. }, Some(_)) = (field.place, &field.is.words().default) else { return Ok(()) };
    let only = Field { place: Place::Bits { bit_offset: 0, bits }, ..field.clone() };
    let alone = Type::new(Shape::Struct(Fields { fields: vec![only] }), 8)?;
    let written = alone.encode(&Value::Object(serde_json::Map::new()), Endian::Little);
    written.map(drop).map_err(Problem::Default)
}

/// A type of which something is said.
fn noted(is: Type, notes: &FieldNotes, btf: Option<&Btf<'_>>) -> Result<Type, Problem> {
    let (is, unit) = formatted(is, notes, btf)?;
    let mut words = Words {
        description: notes.description.clone(),
        unit,
        label: notes.label.clone(),
        buckets: is.words().buckets.clone(),
        ..Words::default()
    };
    let said = [
        ("unit", "numbers", words.unit.is_some() && !is.is_measured() && words.buckets.is_none()),
        ("min", "numbers", notes.min.is_some() && !is.is_measured()),
        ("max", "numbers", notes.max.is_some() && !is.is_measured()),
        ("label", "single values", words.label.is_some() && !is.is_scalar()),
    ];
    if let Some((key, of, _)) = said.into_iter().find(|(.., wrong)| *wrong) {
        return Err(Problem::Key { key, of, is: is.to_string() });
    }
    let is = is.with_words(words.clone())?;
    words.min = bound(&is, "min", notes.min.as_ref())?;
    words.max = bound(&is, "max", notes.max.as_ref())?;
    if let (Some(min), Some(max)) = (words.min, words.max)
        && min > max
    {
        return Err(Problem::Empty);
    }
    let is = is.with_words(words.clone())?;
    if let Some(default) = &notes.default {
        is.encode(default, Endian::Little).map_err(Problem::Default)?;
    }
    words.default.clone_from(&notes.default);
    Ok(is.with_words(words)?)
}

/// A bound is written as values are, unit and all.
fn bound(is: &Type, key: &'static str, given: Option<&Value>) -> Result<Option<Number>, Problem> {
    let Some(given) = given else { return Ok(None) };
    let wrong = |expected| Problem::Bound { key, given: given.to_string(), expected };
    number_of(is, given).map(Some).map_err(wrong)
}
