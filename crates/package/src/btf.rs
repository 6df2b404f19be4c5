// SPDX-License-Identifier: Apache-2.0
//! Reading BTF, as far as maps and parameters need it (`Documentation/bpf/btf.rst` of Linux).
//!
//! Every offset and index comes from outside: each is checked where it is used, and following types is bounded.

use thiserror::Error;

use crate::Endian;

/// BTF that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BtfError {
    /// The header is not one of BTF.
    #[error("its BTF has no valid header")]
    Header,
    /// Something points outside of the section.
    #[error("its BTF is cut off")]
    Truncated,
    /// A type is of a kind that nobody knows.
    #[error("its BTF has a type of unknown kind {kind}")]
    Kind {
        /// The number of the kind.
        kind: u32,
    },
    /// There are more types than any object has.
    #[error("its BTF has more than {MAX_TYPES} types")]
    TooMany,
}

const MAX_TYPES: usize = 1 << 20;
/// How many typedefs and qualifiers may follow each other.
const MAX_DEPTH: usize = 32;

/// The kinds of types that are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number; those of an enumeration are named.
    Int {
        bytes: u32,
        signed: bool,
        boolean: bool,
        named: bool,
    },
    Pointer {
        target: u32,
    },
    Array {
        element: u32,
        count: u32,
    },
    Struct {
        bytes: u32,
    },
    Alias {
        target: u32,
        constant: bool,
    },
    Variable {
        target: u32,
    },
    Section,
    Function {
        prototype: u32,
        external: bool,
    },
    /// Its parts are the parameters.
    Prototype {
        returns: u32,
    },
    Other,
}

/// A member of a structure, or a variable of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) target: u32,
    /// Where a member of a structure begins, in bits; its length is in the upper byte where it is a bit field.
    pub(crate) offset: u32,
}

#[derive(Debug, Clone)]
struct Type {
    name: String,
    kind: Kind,
    parts: Vec<Part>,
}

/// The types of an object. Their numbers begin at 1; number 0 is `void`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Btf {
    types: Vec<Type>,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    endian: Endian,
}

impl Cursor<'_> {
    fn word(&mut self) -> Result<u32, BtfError> {
        let (word, rest) = self.bytes.split_first_chunk::<4>().ok_or(BtfError::Truncated)?;
        self.bytes = rest;
        Ok(match self.endian {
            Endian::Little => u32::from_le_bytes(*word),
            Endian::Big => u32::from_be_bytes(*word),
        })
    }
}

fn range(bytes: &[u8], start: u32, length: u32) -> Result<&[u8], BtfError> {
    let start = usize::try_from(start).ok().ok_or(BtfError::Truncated)?;
    let length = usize::try_from(length).ok().ok_or(BtfError::Truncated)?;
    let end = start.checked_add(length).ok_or(BtfError::Truncated)?;
    bytes.get(start..end).ok_or(BtfError::Truncated)
}

fn text(strings: &[u8], offset: u32) -> Result<String, BtfError> {
    let from =
        usize::try_from(offset).ok().and_then(|offset| strings.get(offset..)).ok_or(BtfError::Truncated)?;
    let end = from.iter().position(|byte| *byte == 0).ok_or(BtfError::Truncated)?;
    Ok(String::from_utf8_lossy(&from[..end]).into_owned())
}

impl Btf {
    /// Reads a `.BTF` section.
    pub(crate) fn parse(section: &[u8], endian: Endian) -> Result<Self, BtfError> {
        const MAGIC: u32 = 0xeb9f;
        let mut header = Cursor { bytes: section, endian };
        let first = header.word()?;
        let magic = match endian {
            Endian::Little => first & 0xffff,
            Endian::Big => first >> 16,
        };
        if magic != MAGIC {
            return Err(BtfError::Header);
        }
        let [header_bytes, types_at, types_bytes, strings_at, strings_bytes] =
            [header.word()?, header.word()?, header.word()?, header.word()?, header.word()?];
        let body = usize::try_from(header_bytes).ok().and_then(|start| section.get(start..));
        let body = body.ok_or(BtfError::Truncated)?;
        let strings = range(body, strings_at, strings_bytes)?;
        let mut types = Cursor { bytes: range(body, types_at, types_bytes)?, endian };
        let mut btf = Self::default();
        while !types.bytes.is_empty() {
            if btf.types.len() == MAX_TYPES {
                return Err(BtfError::TooMany);
            }
            btf.types.push(read_type(&mut types, strings)?);
        }
        Ok(btf)
    }

    /// The variables of a section such as `.maps` or `.rodata`.
    pub(crate) fn section(&self, name: &str) -> &[Part] {
        let found = self.types.iter().find(|entry| entry.kind == Kind::Section && entry.name == name);
        found.map_or(&[], |entry| &entry.parts)
    }

    /// The variable of a name.
    pub(crate) fn variable(&self, name: &str) -> Option<u32> {
        let is_it = |entry: &Type| matches!(entry.kind, Kind::Variable { .. }) && entry.name == name;
        let at = self.types.iter().position(is_it)?;
        u32::try_from(at + 1).ok()
    }

    /// The name of the structure that a function takes as its only argument, by pointer, where it returns a number.
    pub(crate) fn argument(&self, function: &str) -> Option<&str> {
        let prototype = self.types.iter().filter(|entry| entry.name == function).find_map(|entry| {
            if let Kind::Function { prototype, .. } = entry.kind { Some(prototype) } else { None }
        })?;
        if !self.names_parameters() {
            return None;
        }
        let (id, Kind::Prototype { returns }, _) = self.resolve(prototype) else { return None };
        let (_, Kind::Int { named: false, .. }, _) = self.resolve(returns) else { return None };
        let [only] = self.members(id) else { return None };
        let (_, Kind::Pointer { target }, _) = self.resolve(only.target) else { return None };
        let (id, Kind::Struct { .. }, _) = self.resolve(target) else { return None };
        Some(self.name(id))
    }

    /// Whether all parameters of functions have names. Naked ones have none, and the kernel then takes none of the types
    /// (`btf_func_check` of `kernel/bpf/btf.c`); libbpf names those of external functions.
    fn names_parameters(&self) -> bool {
        let own = self.types.iter().filter_map(|entry| {
            if let Kind::Function { prototype, external: false } = entry.kind {
                Some(prototype)
            } else {
                None
            }
        });
        let mut parameters = own.flat_map(|prototype| self.members(prototype));
        // The last one of a function that takes any number is of no type.
        parameters.all(|parameter| !parameter.name.is_empty() || parameter.target == 0)
    }

    /// The name of a type or variable.
    pub(crate) fn name(&self, id: u32) -> &str {
        self.entry(id).map_or("", |entry| &entry.name)
    }

    /// The members of a structure, or the parameters of a prototype.
    pub(crate) fn members(&self, id: u32) -> &[Part] {
        self.entry(id).map_or(&[], |entry| &entry.parts)
    }

    /// The type behind variables, typedefs and qualifiers, and whether one of them says `const`.
    pub(crate) fn resolve(&self, id: u32) -> (u32, Kind, bool) {
        let (mut id, mut constant) = (id, false);
        for _ in 0..MAX_DEPTH {
            match self.entry(id).map(|entry| entry.kind) {
                Some(Kind::Alias { target, constant: here }) => (id, constant) = (target, constant | here),
                Some(Kind::Variable { target }) => id = target,
                Some(kind) => return (id, kind, constant),
                None => break,
            }
        }
        (id, Kind::Other, constant)
    }

    /// The size of a type in bytes, where it has one.
    pub(crate) fn bytes(&self, id: u32) -> Option<u32> {
        let (_, kind, _) = self.resolve(id);
        match kind {
            Kind::Int { bytes, .. } | Kind::Struct { bytes } => Some(bytes),
            Kind::Pointer { .. } => Some(8),
            Kind::Array { element, count } => {
                // Arrays of arrays are rare where sizes matter here; one level more is enough for them.
                if let Kind::Array { element, count: inner } = self.resolve(element).1 {
                    self.scalar_bytes(element)?.checked_mul(inner)?.checked_mul(count)
                } else {
                    self.scalar_bytes(element)?.checked_mul(count)
                }
            }
            Kind::Alias { .. }
            | Kind::Variable { .. }
            | Kind::Section
            | Kind::Function { .. }
            | Kind::Prototype { .. }
            | Kind::Other => None,
        }
    }

    fn scalar_bytes(&self, id: u32) -> Option<u32> {
        match self.resolve(id).1 {
            Kind::Int { bytes, .. } | Kind::Struct { bytes } => Some(bytes),
            Kind::Pointer { .. } => Some(8),
            Kind::Array { .. }
            | Kind::Alias { .. }
            | Kind::Variable { .. }
            | Kind::Section
            | Kind::Function { .. }
            | Kind::Prototype { .. }
            | Kind::Other => None,
        }
    }

    fn entry(&self, id: u32) -> Option<&Type> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.types.get(index)
    }
}

/// The numbers of `BTF_KIND_*`.
fn read_type(cursor: &mut Cursor<'_>, strings: &[u8]) -> Result<Type, BtfError> {
    let name = text(strings, cursor.word()?)?;
    let info = cursor.word()?;
    let size_or_type = cursor.word()?;
    let count = info & 0xffff;
    let mut parts = Vec::new();
    let kind = match info >> 24 & 0x1f {
        1 => int(cursor.word()?, size_or_type),
        2 => Kind::Pointer { target: size_or_type },
        3 => {
            let (element, _, count) = (cursor.word()?, cursor.word()?, cursor.word()?);
            Kind::Array { element, count }
        }
        4 | 5 => {
            for _ in 0..count {
                let (name, target, offset) = (cursor.word()?, cursor.word()?, cursor.word()?);
                parts.push(Part { name: text(strings, name)?, target, offset });
            }
            Kind::Struct { bytes: size_or_type }
        }
        6 => skip(cursor, count, 2, numbers(size_or_type))?,
        19 => skip(cursor, count, 3, numbers(size_or_type))?,
        7 | 16 => Kind::Other,
        8 | 9 | 11 | 18 => Kind::Alias { target: size_or_type, constant: false },
        10 => Kind::Alias { target: size_or_type, constant: true },
        // BTF_FUNC_EXTERN
        12 => Kind::Function { prototype: size_or_type, external: count == 2 },
        13 => {
            for _ in 0..count {
                let (name, target) = (cursor.word()?, cursor.word()?);
                parts.push(Part { name: text(strings, name)?, target, offset: 0 });
            }
            Kind::Prototype { returns: size_or_type }
        }
        14 => skip(cursor, 1, 1, Kind::Variable { target: size_or_type })?,
        15 => {
            for _ in 0..count {
                let (target, offset, _) = (cursor.word()?, cursor.word()?, cursor.word()?);
                parts.push(Part { name: String::new(), target, offset });
            }
            Kind::Section
        }
        17 => skip(cursor, 1, 1, Kind::Other)?,
        kind => return Err(BtfError::Kind { kind }),
    };
    Ok(Type { name, kind, parts })
}

fn int(encoding: u32, bytes: u32) -> Kind {
    let flags = encoding >> 24;
    Kind::Int { bytes, signed: flags & 1 != 0, boolean: flags & 4 != 0, named: false }
}

/// An enumeration.
fn numbers(bytes: u32) -> Kind {
    Kind::Int { bytes, signed: false, boolean: false, named: true }
}

fn skip(cursor: &mut Cursor<'_>, count: u32, words: u32, kind: Kind) -> Result<Kind, BtfError> {
    for _ in 0..count * words {
        cursor.word()?;
    }
    Ok(kind)
}
