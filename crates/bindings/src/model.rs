// SPDX-License-Identifier: Apache-2.0
//! What bindings are made of, before any language: definitions, inner ones first, and maps.
//!
//! An interface knows no names of types, so definitions are called by where they are: the map, `value`, the field.

use maps::{
    Array, Endian, Family, Field, Fields, Integer, Map, MapKind, Meaning, Names, Number, Order, Place, Shape,
    Type, Variables,
};

use crate::Source;
use crate::names::{Case, Taken};
use crate::page::harmless;

/// All that is to be said in a language.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    /// Structures, unions and enumerations; each only has earlier ones in it.
    pub(crate) definitions: Vec<Definition<'a>>,
    /// The maps.
    pub(crate) maps: Vec<Bound<'a>>,
}

/// A type that needs a name.
#[derive(Debug)]
pub(crate) struct Definition<'a> {
    /// The words of its name.
    pub(crate) words: Vec<String>,
    /// What it is.
    pub(crate) is: &'a Type,
    /// What is in it.
    pub(crate) content: Content<'a>,
    /// What is not zero where nothing is given, by place.
    pub(crate) defaults: Vec<(usize, Vec<u8>)>,
}

/// What is in a definition.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    /// Parts behind each other.
    Struct(Vec<Part<'a>>),
    /// Parts in one place.
    Union(Vec<Part<'a>>),
    /// One of several numbers.
    Enum(&'a Names),
    /// Bits.
    Flags(&'a Names),
}

/// A field.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// Its name, as people are shown it.
    pub(crate) name: String,
    /// Where it lies.
    pub(crate) place: Place,
    /// What it is to a language.
    pub(crate) form: Form,
    /// What it is.
    pub(crate) is: &'a Type,
}

/// What a value is to a language.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// A whole number of 1, 2, 4, 8 or 16 bytes.
    Integer(Whole),
    /// True or false, in so many bytes.
    Bool(usize),
    /// A number of 4 or 8 bytes.
    Float(Real),
    /// Text of so many bytes.
    Text(usize),
    /// Bytes.
    Bytes(usize),
    /// An address of IPv4.
    Ipv4,
    /// An address of IPv6.
    Ipv6,
    /// An address of either, in 16 bytes.
    Ip,
    /// An address of Ethernet.
    Mac,
    /// A length in bits, and what it is a prefix of.
    Prefix(Box<Form>),
    /// A number with names: a definition, and how it lies.
    Names(usize, Whole),
    /// A structure or union: a definition, and its size.
    Defined(usize, usize),
    /// Several.
    Array(Box<Form>, usize),
    /// So many bytes of the kernel.
    Kernel(usize),
}

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole {
    /// Its size: 1, 2, 4, 8 or 16.
    pub(crate) bytes: usize,
    /// Whether it can be negative.
    pub(crate) signed: bool,
    /// Whether its greatest byte is the first.
    pub(crate) big: bool,
    /// Whether that is said of it, whatever the machine is.
    pub(crate) network: bool,
    /// The least that may be written.
    pub(crate) min: Option<Number>,
    /// The greatest that may be written.
    pub(crate) max: Option<Number>,
}

/// A floating point number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Real {
    /// Its size: 4 or 8.
    pub(crate) bytes: usize,
    /// The least that may be written.
    pub(crate) min: Option<Number>,
    /// The greatest that may be written.
    pub(crate) max: Option<Number>,
}

/// A map.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    /// The words of its name.
    pub(crate) words: Vec<String>,
    /// What it is.
    pub(crate) map: &'a Map,
    /// How it is used.
    pub(crate) access: Access,
    /// Its keys.
    pub(crate) key: Option<Form>,
    /// Its values.
    pub(crate) value: Option<Form>,
    /// Its events.
    pub(crate) event: Option<Form>,
}

impl Bound<'_> {
    /// The bytes of its keys and of its values; 0 where it has none. The key of global variables is the number 0, of 32 bits.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let key_bytes = match (&self.key, self.access) {
            (_, access) if access.is_section() => 4,
            (Some(key), _) => key.bytes(),
            (None, _) => 0,
        };
        (key_bytes, self.value.as_ref().map_or(0, Form::bytes))
    }
}

/// Fields of a structure, each with its name in the language; what is the kernel's is not among them.
pub(crate) fn fields<'m>(
    parts: &'m [Part<'m>],
    case: Case,
    reserved: &[&str],
) -> Vec<(String, &'m Part<'m>)> {
    let mut taken = Taken::but(reserved);
    let shown = parts.iter().filter(|part| !matches!(part.form, Form::Kernel(_)));
    shown.map(|part| (taken.give(case.join(&[&part.name])), part)).collect()
}

/// How a map is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A value under each key.
    Table,
    /// A value for each processor under each key.
    PerCpu,
    /// Values one behind the other, or upon the other.
    Queue,
    /// One value: global variables.
    Variables,
    /// One value that nobody writes: constants.
    Constants,
    /// Events in a ring.
    Ring,
    /// Not by bindings: its types are there, and nothing else.
    Nothing,
}

impl<'a> Model<'a> {
    /// What the objects of a package have. A map that several have is there once; where they differ, once for each object.
    pub(crate) fn of(source: &Source<'a>) -> Self {
        let mut maker = Maker { definitions: Vec::new(), endian: source.endian };
        let mut maps: Vec<Bound<'a>> = Vec::new();
        let all = source.objects.iter().flat_map(|(path, of)| of.maps.iter().map(move |map| (path, map)));
        for (path, map) in all.filter(|(_, map)| is_for_user_space(map)) {
            if maps.iter().all(|other| other.map != map) {
                let named = maps.iter().any(|other| other.map.name == map.name);
                let object = named.then(|| stem(path).to_owned());
                let words: Vec<String> = object.into_iter().chain([map.name.clone()]).collect();
                maker.bind(&words, map, &mut maps);
            }
        }
        Self { definitions: maker.definitions, maps }
    }
}

/// The file name of an object, without its endings.
fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file)
}

impl Access {
    /// Whether it is a section of an object.
    pub(crate) fn is_section(self) -> bool {
        matches!(self, Self::Variables | Self::Constants)
    }
}

/// Constants are for user space where a document sets them; what the compiler puts beside is not.
fn is_for_user_space(map: &Map) -> bool {
    map.variables != Some(Variables::Constant) || !map.parameters.is_empty()
}

fn access(map: &Map) -> Access {
    // Queues and stacks (`enum bpf_map_type` of `linux/bpf.h`).
    let queue = matches!(map.kind.0, 22 | 23);
    match (map.variables, &map.key, &map.value) {
        _ if map.kind == MapKind::RINGBUF => Access::Ring,
        (Some(Variables::Constant), _, Some(_)) => Access::Constants,
        (Some(Variables::Changing), _, Some(_)) => Access::Variables,
        (None, Some(_), Some(_)) if map.kind.has_entries() && map.kind.is_per_cpu() => Access::PerCpu,
        (None, Some(_), Some(_)) if map.kind.has_entries() => Access::Table,
        (None, None, Some(_)) if queue => Access::Queue,
        _ => Access::Nothing,
    }
}

struct Maker<'a> {
    definitions: Vec<Definition<'a>>,
    endian: Endian,
}

impl<'a> Maker<'a> {
    fn bind(&mut self, words: &[String], map: &'a Map, maps: &mut Vec<Bound<'a>>) {
        let mut part = |is: &'a Option<Type>, what: &str| {
            let form = self.form(&deeper(words, what), is.as_ref()?);
            // What is the kernel's as a whole is bytes to whoever must hold it.
            Some(if let Form::Kernel(bytes) = form { Form::Bytes(bytes) } else { form })
        };
        let value = match map.variables {
            Some(Variables::Constant) => "constants",
            Some(_) => "variables",
            None => "value",
        };
        let (key, value) = (part(&map.key, "key"), part(&map.value, value));
        let event = part(&map.event, "event");
        let words = words.to_vec();
        maps.push(Bound { words: words.clone(), map, access: access(map), key, value, event });
        if let Some(inner) = &map.inner {
            self.bind(&deeper(&words, "inner"), inner, maps);
        }
    }

    fn form(&mut self, words: &[String], is: &'a Type) -> Form {
        let bytes = is.bytes();
        match is.shape() {
            Shape::Integer(integer) => self.integer(*integer, is),
            Shape::Pointer => self.integer(Integer::default(), is),
            Shape::Bool => Form::Bool(bytes),
            Shape::Float if bytes == 2 => self.integer(Integer::default(), is),
            Shape::Float => {
                let (min, max) = (is.words().min, is.words().max);
                Form::Float(Real { bytes, min, max })
            }
            Shape::Enum(names) => self.names(words, is, names.signed, Content::Enum(names)),
            // Bits have no sign, whatever the numbers of their names have.
            Shape::Flags(names) => self.names(words, is, false, Content::Flags(names)),
            Shape::Text => Form::Text(bytes),
            Shape::Bytes => Form::Bytes(bytes),
            Shape::Kernel => Form::Kernel(bytes),
            Shape::Ip if bytes == 16 => Form::Ip,
            Shape::Ipv4 | Shape::Ip => Form::Ipv4,
            Shape::Ipv6 => Form::Ipv6,
            Shape::Mac => Form::Mac,
            Shape::Prefix(prefix) => Form::Prefix(Box::new(match prefix.family {
                Family::Ipv4 => Form::Ipv4,
                Family::Ipv6 => Form::Ipv6,
                Family::Hex => Form::Bytes(bytes.saturating_sub(4)),
            })),
            Shape::Array(array) => self.array(words, array),
            Shape::Struct(fields) => {
                let parts = self.parts(words, fields, Inside::Struct);
                self.define(words, is, Content::Struct(parts))
            }
            Shape::Union(fields) => {
                let parts = self.parts(words, fields, Inside::Union);
                self.define(words, is, Content::Union(parts))
            }
        }
    }

    fn array(&mut self, words: &[String], array: &'a Array) -> Form {
        let element = self.form(words, &array.element);
        if let Form::Kernel(bytes) = element {
            return Form::Kernel(bytes * array.count);
        }
        Form::Array(Box::new(element), array.count)
    }

    /// Numbers of sizes that no language has are bytes.
    fn integer(&self, integer: Integer, is: &Type) -> Form {
        let bytes = is.bytes();
        let network = integer.order == Order::Network;
        let (min, max) =
            if *is.shape() == Shape::Float { (None, None) } else { (is.words().min, is.words().max) };
        if !matches!(bytes, 1 | 2 | 4 | 8 | 16) {
            return Form::Bytes(bytes);
        }
        let big = network || self.endian == Endian::Big;
        Form::Integer(Whole { bytes, signed: integer.signed, big, network, min, max })
    }

    fn names(&mut self, words: &[String], is: &'a Type, signed: bool, content: Content<'a>) -> Form {
        let big = self.endian == Endian::Big;
        let whole = Whole { bytes: is.bytes(), signed, big, network: false, min: None, max: None };
        self.definitions.push(Definition { words: words.to_vec(), is, content, defaults: Vec::new() });
        Form::Names(self.definitions.len() - 1, whole)
    }

    fn define(&mut self, words: &[String], is: &'a Type, content: Content<'a>) -> Form {
        let mut defaults = Vec::new();
        if let Content::Struct(parts) = &content {
            for part in parts {
                self.default_of(part, &mut defaults);
            }
        }
        self.definitions.push(Definition { words: words.to_vec(), is, content, defaults });
        Form::Defined(self.definitions.len() - 1, is.bytes())
    }

    /// What is written of a field where nothing is given. Bit fields share bytes, so theirs are zero.
    fn default_of(&self, part: &Part<'a>, defaults: &mut Vec<(usize, Vec<u8>)>) {
        let Place::Bytes { offset } = part.place else { return };
        if let Some(given) = &part.is.words().default {
            // Defaults were written once when the notes were joined with the object.
            defaults.extend(part.is.encode(given, self.endian).ok().map(|bytes| (offset, bytes)));
        } else if let Form::Defined(index, _) = &part.form {
            let inner = &self.definitions[*index].defaults;
            defaults.extend(inner.iter().map(|(at, bytes)| (offset + at, bytes.clone())));
        }
    }

    /// Fields, those of a structure without a name in the place of it. Where there is nothing, there is no field.
    fn parts(&mut self, words: &[String], fields: &'a Fields, inside: Inside) -> Vec<Part<'a>> {
        let mut parts = Vec::new();
        for field in fields.fields.iter().filter(|field| field.is.bytes() > 0) {
            let name = match (field.shown_name(), field.is.shape(), inside) {
                (Some(name), ..) => name.to_owned(),
                (None, Shape::Struct(inner), Inside::Struct) => {
                    let flat = self.parts(words, inner, inside);
                    parts.extend(flat.into_iter().map(|part| moved(part, field)));
                    continue;
                }
                // Those of a union are not beside each other in any language but C.
                (None, Shape::Union(_), _) => "either".to_owned(),
                (None, ..) => "together".to_owned(),
            };
            let form = self.form(&deeper(words, &name), &field.is);
            parts.push(Part { name, place: field.place, form, is: &field.is });
        }
        parts
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Struct,
    Union,
}

fn deeper(words: &[String], word: &str) -> Vec<String> {
    words.iter().cloned().chain([word.to_owned()]).collect()
}

/// A field of a structure without a name, as one of what it is in.
fn moved<'a>(part: Part<'a>, by: &Field) -> Part<'a> {
    let Place::Bytes { offset: base } = by.place else { return part };
    let place = match part.place {
        Place::Bytes { offset } => Place::Bytes { offset: base + offset },
        Place::Bits { bit_offset, bits } => Place::Bits { bit_offset: base * 8 + bit_offset, bits },
    };
    Part { place, ..part }
}

impl Form {
    /// How it lies, if it is one number: an integer, or one with names.
    pub(crate) fn number(&self) -> Option<Whole> {
        if let Self::Integer(whole) | Self::Names(_, whole) = self { Some(*whole) } else { None }
    }

    /// Its size.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Integer(whole) | Self::Names(_, whole) => whole.bytes,
            Self::Float(real) => real.bytes,
            Self::Bool(bytes)
            | Self::Text(bytes)
            | Self::Bytes(bytes)
            | Self::Kernel(bytes)
            | Self::Defined(_, bytes) => *bytes,
            Self::Ipv4 => 4,
            Self::Ipv6 | Self::Ip => 16,
            Self::Mac => 6,
            Self::Prefix(of) => 4 + of.bytes(),
            Self::Array(of, count) => of.bytes() * count,
        }
    }
}

/// What there is to say of a type, for a comment.
pub(crate) fn told(is: &Type) -> Vec<String> {
    let words = is.words();
    let mut facts = Vec::new();
    if let Some(unit) = &words.unit {
        facts.push(format!("in `{}`", harmless(&unit.to_string())));
    }
    if let Shape::Integer(integer) = is.shape() {
        match integer.meaning {
            Meaning::Number => {}
            Meaning::Hex => facts.push("read in hexadecimal".to_owned()),
            Meaning::Duration(unit) => facts.push(format!("a duration in {}", unit.name())),
            Meaning::Unix(unit) => facts.push(format!("a time since 1970, in {}", unit.name())),
            Meaning::Boot(unit) => {
                facts.push(format!("a time since the machine started, in {}", unit.name()));
            }
        }
    }
    match (words.min, words.max) {
        (Some(min), Some(max)) => facts.push(format!("from {min} to {max}")),
        (Some(min), None) => facts.push(format!("at least {min}")),
        (None, Some(max)) => facts.push(format!("at most {max}")),
        (None, None) => {}
    }
    if let Some(default) = &words.default {
        facts.push(format!("{} by default", harmless(&default.to_string())));
    }
    let sentence = (!facts.is_empty()).then(|| format!("{}.", capital(&facts.join("; "))));
    words.description.iter().map(|text| stopped(text)).chain(sentence).collect()
}

/// What there is to say of a map.
pub(crate) fn told_of(map: &Map) -> Vec<String> {
    let entries = if map.max_entries > 0 { format!(" of {}", map.max_entries) } else { String::new() };
    let kind = format!("The map `{}` ({}{entries}).", harmless(&map.name), map.kind);
    [kind].into_iter().chain(map.description.iter().map(|text| stopped(text))).collect()
}

/// What a stranger wrote, as a sentence.
fn stopped(text: &str) -> String {
    let text = harmless(text);
    if text.ends_with(['.', '!', '?']) { text } else { format!("{text}.") }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().to_string() + letters.as_str())
}
