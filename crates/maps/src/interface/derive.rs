// SPDX-License-Identifier: Apache-2.0
//! What an object says of its maps by itself: declarations in `.maps`, as libbpf reads them, and global variables.

use super::{Interface, Map, MapKind, Variables};
use crate::{Btf, Family, Field, Fields, Integer, Kind, Place, Prefix, Shape, Type};

/// A section of global variables, as an object has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name: `.bss`, `.data`, `.rodata` or one that begins so.
    pub name: String,
    /// Its size.
    pub bytes: usize,
    /// The symbols in it. BTF leaves their places to whoever loads the object.
    pub symbols: Vec<SectionSymbol>,
}

/// A variable, as the symbols of an object have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SectionSymbol {
    /// Where it lies in its section.
    pub offset: usize,
    /// Its size.
    pub bytes: usize,
    /// Its name.
    pub name: String,
}

/// How many parts all types of an interface have at most. Without a limit, each of many maps could be of one large type.
pub(super) const MAX_PARTS: usize = 1 << 16;
/// More maps, and more members in the declaration of one, no object has.
const MAX_MAPS: usize = 1024;
const MAX_MEMBERS: usize = 64;
/// No type has more qualifiers, names and dimensions in front of it.
const MAX_QUALIFIERS: usize = 32;
/// How deep maps lie in each other; the kernel lets them lie in one.
const MAX_INNER: usize = 1;

impl Interface {
    /// The interface that an object describes by itself.
    pub fn of(btf: Option<&Btf<'_>>, sections: &[Section]) -> Self {
        let mut maker = Maker { btf, parts_left: MAX_PARTS };
        let declared = btf.map_or(&[][..], |btf| btf.section(".maps"));
        let mut maps: Vec<Map> =
            declared.iter().take(MAX_MAPS).filter_map(|map| maker.map(map.variable, 0)).collect();
        let of_variables = sections.iter().filter(|section| !section.symbols.is_empty());
        maps.extend(of_variables.map(|section| maker.variables(section)));
        maps.sort_by(|one, other| one.name.cmp(&other.name));
        Self { maps }
    }
}

struct Maker<'b, 'a> {
    btf: Option<&'b Btf<'a>>,
    parts_left: usize,
}

impl Maker<'_, '_> {
    /// A declaration is a structure whose members carry numbers as the length of an array behind a pointer.
    fn map(&mut self, id: u32, depth: usize) -> Option<Map> {
        let btf = self.btf?;
        let mut map = blank(btf.name(id));
        let (mut key_bytes, mut value_bytes) = (0, 0);
        for member in btf.members(id).iter().take(MAX_MEMBERS) {
            let found = btf.resolve(member.target).kind;
            if let (Some(Kind::Array { element, .. }), "values") = (found, member.name) {
                // The first one counts.
                map.inner = map.inner.take().or_else(|| self.inner(*element, depth));
                continue;
            }
            let Some(&Kind::Pointer { target }) = found else { continue };
            let number =
                if let Some(Kind::Array { count, .. }) = btf.resolve(target).kind { *count } else { 0 };
            match member.name {
                "type" => map.kind = MapKind(number),
                "key" => map.key = self.held(target),
                "value" => map.value = self.held(target),
                "key_size" => key_bytes = number,
                "value_size" => value_bytes = number,
                "max_entries" => map.max_entries = number,
                "map_flags" => map.flags = number,
                // LIBBPF_PIN_BY_NAME
                "pinning" => map.pinned_by_name = number == 1,
                _ => {}
            }
        }
        map.key = map.key.or_else(|| of_size(key_bytes));
        map.value = map.value.or_else(|| of_size(value_bytes));
        if map.kind == MapKind::LPM_TRIE {
            map.key = map.key.map(as_prefix);
        }
        Some(map)
    }

    /// Maps in maps are declared as what a pointer in an array points to; programs in maps are functions there.
    fn inner(&mut self, element: u32, depth: usize) -> Option<Box<Map>> {
        let btf = self.btf?;
        let Some(&Kind::Pointer { target }) = btf.resolve(element).kind else { return None };
        let found = btf.resolve(target);
        let is_map = matches!(found.kind, Some(Kind::Struct { .. })) && depth < MAX_INNER;
        is_map.then(|| self.map(found.id, depth + 1).map(Box::new)).flatten()
    }

    /// What is behind a pointer, by size alone where its type is one that nobody can tell.
    fn held(&mut self, target: u32) -> Option<Type> {
        let btf = self.btf?;
        let made = Type::of_btf_within(btf, target, &mut self.parts_left).ok();
        made.or_else(|| of_size(btf.bytes(target)?))
    }

    /// A section is an array of one value, which holds all variables.
    fn variables(&mut self, section: &Section) -> Map {
        let mut symbols: Vec<&SectionSymbol> = section.symbols.iter().collect();
        symbols.sort();
        let fields = symbols.into_iter().map(|symbol| self.variable(symbol)).collect();
        // Symbols that are made up may lie upon each other.
        let value = Type::new(Shape::Struct(Fields { fields }), section.bytes)
            .unwrap_or_else(|_| Type::opaque(section.bytes));
        let constant = section.name.starts_with(".rodata");
        let parameters = section.symbols.iter().map(|symbol| &symbol.name);
        let mut parameters: Vec<String> =
            parameters.filter(|name| constant && self.is_parameter(name)).cloned().collect();
        parameters.sort();
        Map {
            kind: MapKind::ARRAY,
            max_entries: 1,
            value: Some(value),
            parameters,
            variables: Some(if constant { Variables::Constant } else { Variables::Changing }),
            ..blank(&section.name)
        }
    }

    /// Whether a variable is `volatile`, or its elements are, so that the compiler reads it where it lies.
    fn is_parameter(&self, name: &str) -> bool {
        let Some((btf, mut id)) = self.btf.and_then(|btf| Some((btf, btf.variable(name)?))) else {
            return false;
        };
        for _ in 0..MAX_QUALIFIERS {
            match btf.kind(id) {
                Some(Kind::Qualified { .. }) => return true,
                Some(
                    Kind::Variable { target }
                    | Kind::Const { target }
                    | Kind::Typedef { target }
                    | Kind::TypeTag { target }
                    | Kind::Array { element: target, .. },
                ) => id = *target,
                _ => return false,
            }
        }
        false
    }

    fn variable(&mut self, symbol: &SectionSymbol) -> Field {
        let described = self.btf.and_then(|btf| btf.variable(&symbol.name)).and_then(|id| self.held(id));
        let is = described.filter(|is| is.bytes() == symbol.bytes);
        let is = is.unwrap_or_else(|| Type::opaque(symbol.bytes));
        Field { name: symbol.name.clone(), shown: None, place: Place::Bytes { offset: symbol.offset }, is }
    }
}

fn blank(name: &str) -> Map {
    Map {
        name: name.to_owned(),
        kind: MapKind::default(),
        max_entries: 0,
        flags: 0,
        pinned_by_name: false,
        variables: None,
        parameters: Vec::new(),
        key: None,
        value: None,
        inner: None,
        event: None,
        role: None,
        description: None,
        buckets: None,
        unit: None,
    }
}

fn of_size(bytes: u32) -> Option<Type> {
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)?;
    Type::new(Shape::Bytes, bytes).ok()
}

/// The keys of a trie are prefixes: of addresses, where they are as long as those.
pub(super) fn as_prefix(key: Type) -> Type {
    let family = match (key.bytes(), key.shape()) {
        (8, Shape::Struct(fields)) if is_length_first(fields) => Family::Ipv4,
        (20, Shape::Struct(fields)) if is_length_first(fields) => Family::Ipv6,
        (8, Shape::Bytes) => Family::Ipv4,
        (20, Shape::Bytes) => Family::Ipv6,
        (_, Shape::Bytes) => Family::Hex,
        _ => return key,
    };
    Type::new(Shape::Prefix(Prefix { family }), key.bytes()).unwrap_or(key)
}

/// Whether there is a length of 32 bits and then one thing more. Tries whose keys are of several parts keep those.
pub(crate) fn is_length_first(fields: &Fields) -> bool {
    let [length, address] = fields.fields.as_slice() else { return false };
    let number = matches!(length.is.shape(), Shape::Integer(Integer { signed: false, .. }));
    number
        && length.is.bytes() == 4
        && length.place == (Place::Bytes { offset: 0 })
        && address.place == (Place::Bytes { offset: 4 })
}
