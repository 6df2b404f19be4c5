// SPDX-License-Identifier: Apache-2.0
//! What maps and parameters say of themselves to those who read and set them.

use maps::{Integer, Map, Meaning, Order, Role, Shape, Type};

use crate::examined::Examined;
use crate::rules::{
    CONFIG_BOUNDS, CONFIG_DEFAULT, CONFIG_FIELD_UNDESCRIBED, CONFIG_UNIT, EVENT_TYPE, MAP_ROLE,
    MAP_UNDESCRIBED, METRIC_UNDESCRIBED, METRIC_UNIT, PARAMETER_UNDESCRIBED,
};
use crate::{Finding, Place};

pub(crate) fn check(examined: &Examined<'_>, findings: &mut Vec<Finding>) {
    if examined.manifest.is_none() {
        return;
    }
    for map in examined.declared().filter(|map| is_for_people(map)) {
        let mut find = |rule, what: &str| findings.push(examined.at_map(rule, map, what));
        if map.role.is_none() {
            find(&MAP_ROLE, "it has no role");
        }
        if map.description.is_none() {
            find(&MAP_UNDESCRIBED, "it has no description");
        }
        if map.kind.is_of_events() && map.event.is_none() {
            find(&EVENT_TYPE, "its events have no type");
        }
        match (map.role, &map.value) {
            (Some(Role::Config), Some(value)) => config(examined, map, value, findings),
            (Some(Role::Metric), Some(value)) => metric(examined, map, value, findings),
            _ => {}
        }
    }
    parameters(examined, findings);
}

/// Whether people read or set it: values under keys, and events. What leads to programs, maps or devices is not for them.
fn is_for_people(map: &Map) -> bool {
    map.kind.has_entries() || map.kind.is_of_events()
}

fn config(examined: &Examined<'_>, map: &Map, value: &Type, findings: &mut Vec<Finding>) {
    let undescribed_map = map.description.is_none();
    for (path, part) in parts(value) {
        let place = || Place { field: Some(path.clone()), ..Place::map(examined.path, &map.name) };
        let mut find = |rule, what: &str| findings.push(Finding::new(rule, place(), what));
        let words = part.words();
        // A map of one word is described by the map.
        if words.description.is_none() && (undescribed_map || path != "value") {
            find(&CONFIG_FIELD_UNDESCRIBED, "it has no description");
        }
        if words.default.is_none() {
            find(&CONFIG_DEFAULT, "it has no default");
        }
        if is_amount(part) && (words.min.is_none() || words.max.is_none()) {
            find(&CONFIG_BOUNDS, &format!("it is any {part}"));
        }
        if is_amount(part) && is_plain(part) && words.unit.is_none() {
            find(&CONFIG_UNIT, "it has no unit");
        }
    }
}

fn metric(examined: &Examined<'_>, map: &Map, value: &Type, findings: &mut Vec<Finding>) {
    for (path, part) in parts(value) {
        let place = || Place { field: Some(path.clone()), ..Place::map(examined.path, &map.name) };
        let words = part.words();
        if words.description.is_none() && map.description.is_none() {
            findings.push(Finding::new(
                &METRIC_UNDESCRIBED,
                place(),
                "neither it nor its map has a description",
            ));
        }
        if is_amount(part) && is_plain(part) && words.unit.is_none() && map.unit.is_none() {
            findings.push(Finding::new(&METRIC_UNIT, place(), "it has no unit"));
        }
    }
}

/// Parameters are told in the documentation, or in what the manifest says of `.rodata`.
fn parameters(examined: &Examined<'_>, findings: &mut Vec<Finding>) {
    let documentation = examined.contents.documentation();
    let is_told = |name: &str| {
        let outside = |letter: char| !(letter.is_ascii_alphanumeric() || letter == '_');
        documentation.split(outside).any(|word| word == name)
    };
    for (name, _, is) in examined.interface.parameters() {
        if is.words().description.is_none() && !is_told(name) {
            let place =
                Place { field: Some(format!("value.{name}")), ..Place::map(examined.path, ".rodata") };
            findings.push(Finding::new(
                &PARAMETER_UNDESCRIBED,
                place,
                "nothing says what the parameter does",
            ));
        }
    }
}

/// What people read or set of a type: itself, its fields, its elements, with their paths; without what fills gaps and what belongs to
/// the kernel.
fn parts(value: &Type) -> Vec<(String, &Type)> {
    let mut found = Vec::new();
    collect("value".to_owned(), value, &mut found);
    found
}

fn collect<'a>(path: String, part: &'a Type, found: &mut Vec<(String, &'a Type)>) {
    if let Some(fields) = part.fields() {
        for field in fields.fields.iter().filter(|field| !is_spare(&field.name)) {
            let path = if field.name.is_empty() { path.clone() } else { format!("{path}.{}", field.name) };
            collect(path, &field.is, found);
        }
        return;
    }
    // Buckets are told at the whole.
    if let (Shape::Array(array), None) = (part.shape(), &part.words().buckets) {
        collect(format!("{path}[]"), &array.element, found);
    } else if !part.is_kernel() {
        found.push((path, part));
    }
}

/// Whether a name says that nothing is there.
fn is_spare(name: &str) -> bool {
    ["pad", "reserved", "unused"].iter().any(|spare| name.trim_matches('_').starts_with(spare))
}

/// Whether it is a number of which there may be too many or too few.
fn is_amount(part: &Type) -> bool {
    if let Shape::Integer(Integer { meaning, order, .. }) = part.shape() {
        return *meaning != Meaning::Hex && *order == Order::Host;
    }
    *part.shape() == Shape::Float
}

/// Whether it does not say itself what one of it is, as times do.
fn is_plain(part: &Type) -> bool {
    matches!(part.shape(), Shape::Integer(Integer { meaning: Meaning::Number, .. }) | Shape::Float)
}
