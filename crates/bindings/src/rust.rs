// SPDX-License-Identifier: Apache-2.0
//! Bindings in Rust: a module that needs nothing but the standard library. Structures are values; bytes are made of them field by
//! field, so that order, padding and alignment are nobody's business but that of this file.

mod code;

use maps::{Endian, Place};

use self::code::Code;
use crate::Source;
use crate::model::{Access, Bound, Content, Definition, Form, Model, Part, fields, told, told_of};
use crate::names::{Case, Taken};
use crate::page::{Page, head, quoted};

/// What the runtime, the standard library and the prelude call something.
const TYPES: &[&str] = &[
    "Any",
    "AtomicU32",
    "AtomicU64",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Described",
    "Drop",
    "Duration",
    "Eq",
    "Err",
    "From",
    "Holds",
    "Into",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "Iterator",
    "Mac",
    "Map",
    "None",
    "Ok",
    "Option",
    "Ordering",
    "OutOfBounds",
    "OwnedFd",
    "PartialEq",
    "Path",
    "PerCpu",
    "PhantomData",
    "Place",
    "Prefix",
    "Queue",
    "RawFd",
    "Reader",
    "Result",
    "Ring",
    "Self",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "Table",
    "Tells",
    "Text",
    "ToString",
    "Constants",
    "Variables",
    "Vec",
];
/// Keywords of all editions, and the names of values that methods have.
pub(super) const WORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield", "union",
];
/// Constants and functions that a definition has of its own.
const OWN: &[&str] = &["BYTES", "put", "take", "check"];

/// The file.
pub(crate) fn write(source: &Source<'_>, model: &Model<'_>) -> String {
    let mut taken = Taken::but(TYPES);
    let called = |definition: &Definition<'_>| taken.give(Case::Camel.join(&definition.words));
    let code = Code { names: model.definitions.iter().map(called).collect() };
    let mut page = Page::new("    ");
    page.comment(0, "//!", &head(source));
    page.line(0, "#![allow(unused, unused_comparisons, nonstandard_style, missing_docs, unreachable_pub)]");
    page.line(0, "#![allow(clippy::all, clippy::pedantic, clippy::restriction)]");
    page.line(0, "");
    let endian = if source.endian == Endian::Little { "little" } else { "big" };
    page.raw(&include_str!("../runtime/rust.in").replace("{{endian}}", endian));
    for (index, definition) in model.definitions.iter().enumerate() {
        page.line(0, "");
        match &definition.content {
            Content::Struct(parts) => structure(&mut page, &code, (index, definition), parts),
            Content::Union(parts) => union(&mut page, &code, (index, definition), parts),
            Content::Enum(names) | Content::Flags(names) => {
                let flags = matches!(definition.content, Content::Flags(_));
                enumeration(&mut page, &code.names[index], definition, (names, flags));
            }
        }
    }
    for bound in &model.maps {
        map(&mut page, &code, bound, &mut taken);
    }
    page.into_text()
}

fn enumeration(
    page: &mut Page,
    name: &str,
    definition: &Definition<'_>,
    (names, flags): (&maps::Names, bool),
) {
    let signed = names.signed && !flags;
    let number = code::integer(definition.is.bytes(), signed);
    page.comment(0, "///", &told(definition.is));
    let what = if flags {
        "Bits; each constant is one or some of them"
    } else {
        "One of its constants, or another number"
    };
    page.comment(0, "///", &[format!("{what}.")]);
    page.line(0, "#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]");
    page.line(0, format!("pub struct {name}(pub {number});"));
    page.line(0, "");
    page.line(0, format!("impl {name} {{"));
    let mut taken = Taken::but(OWN);
    for (known, value) in &names.names {
        let constant = taken.give(Case::Upper.join(&[known]));
        let bits = code::literal(*value, definition.is.bytes(), signed);
        page.line(1, format!("/// `{}`", crate::page::harmless(known)));
        page.line(1, format!("pub const {constant}: Self = Self({bits});"));
    }
    if flags {
        page.line(1, "/// Whether it has all bits of another.");
        page.line(1, "pub fn contains(self, other: Self) -> bool {");
        page.line(2, "self.0 & other.0 == other.0");
        page.line(1, "}");
    }
    page.line(0, "}");
    if flags {
        page.line(0, "");
        page.line(0, format!("impl std::ops::BitOr for {name} {{"));
        page.line(1, "type Output = Self;");
        page.line(1, "fn bitor(self, other: Self) -> Self {");
        page.line(2, "Self(self.0 | other.0)");
        page.line(1, "}");
        page.line(0, "}");
    }
}

fn structure(
    page: &mut Page,
    code: &Code,
    (index, definition): (usize, &Definition<'_>),
    parts: &[Part<'_>],
) {
    let (name, bytes) = (&code.names[index], definition.is.bytes());
    let fields = fields(parts, Case::Snake, WORDS);
    page.comment(0, "///", &told(definition.is));
    page.line(0, format!("/// {bytes} bytes."));
    page.line(0, "#[derive(Debug, Clone, Copy, PartialEq)]");
    page.line(0, format!("pub struct {name} {{"));
    for (field, part) in &fields {
        page.comment(1, "///", &told(part.is));
        page.line(1, format!("/// {}.", code::placed(part)));
        page.line(1, format!("pub {field}: {},", code.of(&part.form)));
    }
    page.line(0, "}");
    page.line(0, "");
    page.line(0, format!("impl {name} {{"));
    page.line(1, "/// Its size.");
    page.line(1, format!("pub const BYTES: usize = {bytes};"));
    page.line(0, "");
    page.line(1, "/// Reads it. There must be as many bytes as it has.");
    page.line(1, "pub fn take(from: &[u8]) -> Self {");
    page.line(2, "Self {");
    for (field, part) in &fields {
        page.line(3, format!("{field}: {},", code.read_part(part)));
    }
    page.line(2, "}");
    page.line(1, "}");
    page.line(0, "");
    page.line(1, "/// Writes it. Where no field is, nothing is written.");
    page.line(1, "pub fn put(&self, to: &mut [u8]) {");
    for (field, part) in &fields {
        page.line(2, code::write_part(part, &format!("self.{field}")));
    }
    page.line(1, "}");
    page.line(0, "");
    page.line(1, "/// Whether all that is in it may be written.");
    page.line(1, "pub fn check(&self) -> Result<(), OutOfBounds> {");
    for (field, part) in &fields {
        for line in code::check_part(part, &format!("self.{field}"), &format!("{name}.{field}")) {
            page.line(2, line);
        }
    }
    page.line(2, "Ok(())");
    page.line(1, "}");
    page.line(0, "}");
    assertions(page, code, name, &fields);
    default(page, name, definition);
}

/// That each field is as wide as its place.
fn assertions(page: &mut Page, code: &Code, name: &str, fields: &[(String, &Part<'_>)]) {
    page.line(0, "");
    page.line(0, "const _: () = {");
    for (_, part) in fields {
        if let (Place::Bytes { offset }, Some(size)) = (part.place, code.size(&part.form)) {
            page.line(1, format!("assert!({offset} + {size} == {});", offset + part.form.bytes()));
            page.line(1, format!("assert!({offset} + {size} <= {name}::BYTES);"));
        }
    }
    page.line(0, "};");
}

fn default(page: &mut Page, name: &str, definition: &Definition<'_>) {
    page.line(0, "");
    page.line(0, format!("impl Default for {name} {{"));
    page.line(1, "fn default() -> Self {");
    let mutable = if definition.defaults.is_empty() { "" } else { "mut " };
    page.line(2, format!("let {mutable}bytes = [0; {}];", definition.is.bytes()));
    for (at, bytes) in &definition.defaults {
        page.line(2, format!("put(&mut bytes, {at}, {bytes:?});"));
    }
    page.line(2, "Self::take(&bytes)");
    page.line(1, "}");
    page.line(0, "}");
}

fn union(page: &mut Page, code: &Code, (index, definition): (usize, &Definition<'_>), parts: &[Part<'_>]) {
    let (name, bytes) = (&code.names[index], definition.is.bytes());
    page.comment(0, "///", &told(definition.is));
    page.line(0, format!("/// {bytes} bytes, which are one of several things."));
    page.line(0, "#[derive(Debug, Clone, Copy, PartialEq, Eq)]");
    page.line(0, format!("pub struct {name}(pub [u8; {bytes}]);"));
    page.line(0, "");
    page.line(0, format!("impl {name} {{"));
    page.line(1, "/// Its size.");
    page.line(1, format!("pub const BYTES: usize = {bytes};"));
    let mut taken = Taken::but(&[WORDS, OWN].concat());
    for part in parts.iter().filter(|part| !matches!(part.form, Form::Kernel(_))) {
        let getter = taken.give(Case::Snake.join(&[&part.name]));
        let setter = taken.give(format!("set_{getter}"));
        let is = code.of(&part.form);
        page.line(0, "");
        page.comment(1, "///", &told(part.is));
        page.line(1, format!("/// It as `{getter}`."));
        page.line(1, format!("pub fn {getter}(&self) -> {is} {{"));
        page.line(2, "let from: &[u8] = &self.0;");
        page.line(2, code.read_part(part));
        page.line(1, "}");
        page.line(0, "");
        page.line(1, format!("/// Writes `{getter}`; other bytes stay."));
        page.line(1, format!("pub fn {setter}(&mut self, value: {is}) {{"));
        page.line(2, "let to: &mut [u8] = &mut self.0;");
        page.line(2, code::write_part(part, "value"));
        page.line(1, "}");
    }
    page.line(0, "");
    page.line(1, "/// Reads it. There must be as many bytes as it has.");
    page.line(1, "pub fn take(from: &[u8]) -> Self {");
    page.line(2, "Self(take(from, 0))");
    page.line(1, "}");
    page.line(0, "");
    page.line(1, "/// Writes it.");
    page.line(1, "pub fn put(&self, to: &mut [u8]) {");
    page.line(2, "put(to, 0, self.0);");
    page.line(1, "}");
    page.line(0, "");
    page.line(1, "/// Nothing is known of which of them it is.");
    page.line(1, "pub fn check(&self) -> Result<(), OutOfBounds> {");
    page.line(2, "Ok(())");
    page.line(1, "}");
    page.line(0, "}");
    page.line(0, "");
    page.line(0, format!("impl Default for {name} {{"));
    page.line(1, "fn default() -> Self {");
    page.line(2, format!("Self([0; {bytes}])"));
    page.line(1, "}");
    page.line(0, "}");
}

fn map(page: &mut Page, code: &Code, bound: &Bound<'_>, taken: &mut Taken) {
    let access = match bound.access {
        Access::Table => "Table",
        Access::PerCpu => "PerCpu",
        Access::Queue => "Queue",
        Access::Variables => "Variables",
        Access::Constants => "Constants",
        Access::Ring => "Ring",
        Access::Nothing => return events(page, code, bound, taken),
    };
    let alias = taken.give(Case::Camel.join(&bound.words));
    let marker = taken.give(format!("{alias}Map"));
    let (key_bytes, value_bytes) = bound.sizes();
    page.line(0, "");
    page.comment(0, "///", &told_of(bound.map));
    page.line(0, format!("pub type {alias} = Map<{marker}, {access}>;"));
    page.line(0, "");
    page.line(0, format!("/// What [`{alias}`] is."));
    page.line(0, "#[derive(Debug)]");
    page.line(0, format!("pub enum {marker} {{}}"));
    page.line(0, "");
    page.line(0, format!("impl Described for {marker} {{"));
    page.line(1, format!("const NAME: &'static str = {};", quoted(&bound.map.name)));
    page.line(1, format!("const KIND: u32 = {};", bound.map.kind.0));
    page.line(1, format!("const KEY_BYTES: usize = {key_bytes};"));
    page.line(1, format!("const VALUE_BYTES: usize = {value_bytes};"));
    page.line(0, "}");
    page.line(0, "");
    if bound.access == Access::Ring {
        return tells(page, code, bound, &marker);
    }
    page.line(0, format!("impl Holds for {marker} {{"));
    match &bound.key {
        Some(key) if !bound.access.is_section() => code.codec(page, "Key", "key", key),
        _ => {
            page.line(1, "type Key = ();");
            page.line(1, "fn put_key(_key: &(), _to: &mut [u8]) {}");
            page.line(1, "fn take_key(_from: &[u8]) {}");
        }
    }
    if let Some(value) = &bound.value {
        code.codec(page, "Value", "value", value);
        page.line(1, "fn check_value(value: &Self::Value) -> Result<(), OutOfBounds> {");
        page.line(2, "let _ = value;");
        for line in code::check(value, ("(*value)", &format!("{alias} value")), 0) {
            page.line(2, line);
        }
        page.line(2, "Ok(())");
        page.line(1, "}");
    }
    page.line(0, "}");
}

/// Events of a ring buffer; bytes, where nobody says what they are.
fn tells(page: &mut Page, code: &Code, bound: &Bound<'_>, marker: &str) {
    let event = bound.event.as_ref().map(|event| (code.of(event), event.bytes(), code.read(event, "0", 0)));
    let (is, bytes, read) = event.unwrap_or_else(|| ("Vec<u8>".to_owned(), 0, "from.to_vec()".to_owned()));
    page.line(0, format!("impl Tells for {marker} {{"));
    page.line(1, format!("type Event = {is};"));
    page.line(1, format!("const EVENT_BYTES: usize = {bytes};"));
    page.line(1, "fn take_event(from: &[u8]) -> Self::Event {");
    page.line(2, read);
    page.line(1, "}");
    page.line(0, "}");
}

/// What there is of a map that has no handle: how to read its events.
fn events(page: &mut Page, code: &Code, bound: &Bound<'_>, taken: &mut Taken) {
    let Some(event) = &bound.event else { return };
    let name = taken.give(Case::Snake.join(&[bound.words.as_slice(), &["event".to_owned()]].concat()));
    page.line(0, "");
    page.comment(0, "///", &told_of(bound.map));
    page.comment(0, "///", &["Reads one of its events.".to_owned()]);
    page.line(0, format!("pub fn {name}(from: &[u8]) -> Option<{}> {{", code.of(event)));
    page.line(1, format!("(from.len() >= {}).then(|| {})", event.bytes(), code.read(event, "0", 0)));
    page.line(0, "}");
}
