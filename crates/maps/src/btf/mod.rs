// SPDX-License-Identifier: Apache-2.0
//! The types of an object, as BTF describes them (`Documentation/bpf/btf.rst` of Linux): all kinds up to 19.
//!
//! It comes from outside. Every offset is checked where it is read, and following types is bounded; what a type *means* for
//! a map is said elsewhere ([`Type`](crate::Type)).

mod read;

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{Endian, Number};

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
    /// A name is none: it is not text, or longer than any compiler makes one.
    #[error("its BTF has a name that is not UTF-8, or longer than {MAX_NAME_BYTES} bytes")]
    Name,
}

const MAX_TYPES: usize = 1 << 20;
/// Names of generics are long; without a limit, each of a million types could make a reader look through megabytes.
const MAX_NAME_BYTES: usize = 4096;
/// How many typedefs and qualifiers may follow each other; the kernel follows as many (`MAX_RESOLVE_DEPTH`).
const MAX_DEPTH: usize = 32;
/// What a pointer takes on every machine that BPF is for.
const POINTER_BYTES: u32 = 8;

/// What a type is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A whole number, a truth value or a character.
    Int {
        /// Where it lies, in bytes.
        bytes: u32,
        /// How many bits of those it has.
        bits: u8,
        /// Where the bits begin, which only bit fields of old compilers say.
        bit_offset: u8,
        /// Whether it can be negative.
        signed: bool,
        /// Whether it is true or false.
        boolean: bool,
        /// Whether it says that it is a character, which clang does not.
        character: bool,
    },
    /// A pointer.
    Pointer {
        /// What it points to.
        target: u32,
    },
    /// An array of one dimension; those of several are arrays of arrays.
    Array {
        /// What it holds.
        element: u32,
        /// How often.
        count: u32,
    },
    /// A structure.
    Struct {
        /// Its size.
        bytes: u32,
        /// Its members, in their order.
        members: Vec<Member<'a>>,
    },
    /// A union.
    Union {
        /// Its size.
        bytes: u32,
        /// Its members, in their order.
        members: Vec<Member<'a>>,
    },
    /// An enumeration, of 32 bits or of another width.
    Enum {
        /// Its size.
        bytes: u32,
        /// Whether its numbers can be negative.
        signed: bool,
        /// Its names, in their order.
        values: Vec<(&'a str, Number)>,
    },
    /// A structure or union that is only declared.
    Forward,
    /// Another name for a type.
    Typedef {
        /// The type.
        target: u32,
    },
    /// A type with `const`.
    Const {
        /// The type.
        target: u32,
    },
    /// A type with `volatile` or `restrict`.
    Qualified {
        /// The type.
        target: u32,
    },
    /// A type that the author marked, with the mark as its name.
    TypeTag {
        /// The type.
        target: u32,
    },
    /// A function.
    Function {
        /// Its prototype.
        prototype: u32,
        /// Whether it is defined elsewhere.
        external: bool,
    },
    /// What functions take and return.
    Prototype {
        /// The type of what is returned.
        returns: u32,
        /// What is taken: names and types. The last one has neither where any number may follow.
        parameters: Vec<(&'a str, u32)>,
    },
    /// A global variable.
    Variable {
        /// Its type.
        target: u32,
    },
    /// A section of an object, with its variables.
    Section {
        /// Its size, which compilers leave to the loader.
        bytes: u32,
        /// Its variables.
        variables: Vec<SectionVariable>,
    },
    /// A floating point number.
    Float {
        /// Its size.
        bytes: u32,
    },
    /// What the author noted on a declaration, with the note as its name.
    DeclarationTag {
        /// What it is noted on.
        target: u32,
        /// On which member or parameter; none is on the whole.
        component: Option<u32>,
    },
}

/// A member of a structure or union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name; empty where it has none.
    pub name: &'a str,
    /// Its type.
    pub target: u32,
    /// Where it begins, in bits.
    pub bit_offset: u32,
    /// How many bits a bit field has; 0 is none.
    pub bits: u8,
}

/// A variable of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionVariable {
    /// The variable.
    pub variable: u32,
    /// Where it lies, which compilers leave to the loader.
    pub offset: u32,
    /// Its size.
    pub bytes: u32,
}

#[derive(Debug, Clone)]
struct Entry<'a> {
    name: &'a str,
    kind: Kind<'a>,
}

/// The types of an object. Their numbers begin at 1; number 0 is `void`.
#[derive(Debug, Clone)]
pub struct Btf<'a> {
    entries: Vec<Entry<'a>>,
    /// The variables by name: objects have many, and each is looked up.
    variables: BTreeMap<&'a str, u32>,
    endian: Endian,
}

/// What is behind typedefs and qualifiers.
#[derive(Debug, Clone, Copy)]
pub struct Resolved<'b, 'a> {
    /// The number of the type.
    pub id: u32,
    /// What it is; none where the chain ends nowhere, or in `void`.
    pub kind: Option<&'b Kind<'a>>,
    /// Whether one of what was passed says `const`.
    pub constant: bool,
}

impl<'a> Btf<'a> {
    /// Reads a `.BTF` section, whose byte order is that of the object.
    ///
    /// # Errors
    /// When it is damaged, or larger than any that is not made up.
    pub fn parse(section: &'a [u8], endian: Endian) -> Result<Self, BtfError> {
        let entries = read::entries(section, endian)?;
        let mut variables = BTreeMap::new();
        for (id, entry) in (1..).zip(&entries) {
            if matches!(entry.kind, Kind::Variable { .. }) {
                variables.entry(entry.name).or_insert(id);
            }
        }
        Ok(Self { entries, variables, endian })
    }

    /// The byte order of the object.
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// All types, with their numbers, names and kinds.
    pub fn types(&self) -> impl Iterator<Item = (u32, &'a str, &Kind<'a>)> {
        (1..).zip(&self.entries).map(|(id, entry)| (id, entry.name, &entry.kind))
    }

    /// The name of a type or variable; empty where it has none.
    pub fn name(&self, id: u32) -> &'a str {
        self.entry(id).map_or("", |entry| entry.name)
    }

    /// What a type is, as it stands; none for `void` and for numbers that are none of a type.
    pub fn kind(&self, id: u32) -> Option<&Kind<'a>> {
        self.entry(id).map(|entry| &entry.kind)
    }

    /// The variables of a section such as `.maps` or `.rodata`.
    pub fn section(&self, name: &str) -> &[SectionVariable] {
        let mut found = self.entries.iter().filter(|entry| entry.name == name);
        let variables = found.find_map(|entry| {
            if let Kind::Section { variables, .. } = &entry.kind { Some(variables.as_slice()) } else { None }
        });
        variables.unwrap_or_default()
    }

    /// The variable of a name.
    pub fn variable(&self, name: &str) -> Option<u32> {
        self.variables.get(name).copied()
    }

    /// The type behind variables, typedefs and qualifiers.
    pub fn resolve(&self, id: u32) -> Resolved<'_, 'a> {
        let (mut id, mut constant) = (id, false);
        for _ in 0..MAX_DEPTH {
            match self.kind(id) {
                Some(Kind::Const { target }) => (id, constant) = (*target, true),
                Some(
                    Kind::Typedef { target }
                    | Kind::Qualified { target }
                    | Kind::TypeTag { target }
                    | Kind::Variable { target },
                ) => id = *target,
                kind => return Resolved { id, kind, constant },
            }
        }
        Resolved { id, kind: None, constant }
    }

    /// The members of a structure or union, behind typedefs and qualifiers.
    pub fn members(&self, id: u32) -> &[Member<'a>] {
        match self.resolve(id).kind {
            Some(Kind::Struct { members, .. } | Kind::Union { members, .. }) => members,
            _ => &[],
        }
    }

    /// The size of a type in bytes, where it has one.
    pub fn bytes(&self, id: u32) -> Option<u32> {
        let (mut id, mut times) = (id, 1_u32);
        for _ in 0..MAX_DEPTH {
            let one = match self.resolve(id).kind? {
                Kind::Array { element, count } => {
                    (id, times) = (*element, times.checked_mul(*count)?);
                    continue;
                }
                Kind::Int { bytes, .. }
                | Kind::Struct { bytes, .. }
                | Kind::Union { bytes, .. }
                | Kind::Enum { bytes, .. }
                | Kind::Float { bytes } => *bytes,
                Kind::Pointer { .. } => POINTER_BYTES,
                Kind::Forward
                | Kind::Typedef { .. }
                | Kind::Const { .. }
                | Kind::Qualified { .. }
                | Kind::TypeTag { .. }
                | Kind::Function { .. }
                | Kind::Prototype { .. }
                | Kind::Variable { .. }
                | Kind::Section { .. }
                | Kind::DeclarationTag { .. } => return None,
            };
            return one.checked_mul(times);
        }
        None
    }

    fn entry(&self, id: u32) -> Option<&Entry<'a>> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.entries.get(index)
    }
}

#[cfg(test)]
mod tests;
