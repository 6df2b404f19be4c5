// SPDX-License-Identifier: Apache-2.0
//! From BTF to a type. What cannot be told is refused, and whoever asked then goes on with the size alone.

use thiserror::Error;

use super::{Array, BadType, Field, Fields, Integer, Names, Order, Place, Shape, Type};
use crate::{Btf, Kind, Member};

/// BTF of which no type can be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unclear {
    /// It describes something that has no value: a function, or a structure that is only declared.
    #[error("`{name}` has no value")]
    NoValue {
        /// The name of the type.
        name: String,
    },
    /// It has more parts, or parts in parts, than anybody reads.
    #[error("it has more than {MAX_PARTS} parts, or parts in each other more than {MAX_DEPTH} deep")]
    TooLarge,
    /// Its parts do not fit together.
    #[error(transparent)]
    Bad(#[from] BadType),
}

/// Structures that hold each other twice would make a tree without end of a few lines.
const MAX_PARTS: usize = 1 << 14;
const MAX_DEPTH: usize = 32;

/// Structures in values that the kernel keeps for itself (`btf_parse_fields` in `kernel/bpf/btf.c`).
const KERNEL_STRUCTURES: [&str; 11] = [
    "bpf_spin_lock",
    "bpf_res_spin_lock",
    "bpf_timer",
    "bpf_wq",
    "bpf_task_work",
    "bpf_list_head",
    "bpf_list_node",
    "bpf_rb_root",
    "bpf_rb_node",
    "bpf_refcount",
    "bpf_dynptr",
];
/// Marks of pointers that the kernel keeps.
const KERNEL_POINTERS: [&str; 4] = ["kptr", "kptr_untrusted", "percpu_kptr", "uptr"];
/// Numbers that are in network order wherever they are.
const NETWORK_ORDER: [&str; 3] = ["__be16", "__be32", "__be64"];

impl Type {
    /// The type with a number in BTF.
    ///
    /// # Errors
    /// When it has no value, is too large, or does not fit together.
    pub fn of_btf(btf: &Btf<'_>, id: u32) -> Result<Self, Unclear> {
        Self::of_btf_within(btf, id, &mut { MAX_PARTS })
    }

    /// The same, of no more parts than are left; those that it takes are gone, whether it is made or not.
    pub(crate) fn of_btf_within(btf: &Btf<'_>, id: u32, parts_left: &mut usize) -> Result<Self, Unclear> {
        let most = MAX_PARTS.min(*parts_left);
        let mut maker = Maker { btf, parts: 0, most };
        let made = maker.make(id, 0);
        *parts_left = parts_left.saturating_sub(maker.parts);
        made
    }

    /// The type with a name in BTF: that of a structure, union, enumeration or typedef, with or without the keyword.
    ///
    /// # Errors
    /// When it has no value, is too large, or does not fit together.
    pub fn named(btf: &Btf<'_>, name: &str) -> Option<Result<Self, Unclear>> {
        Self::named_within(btf, name, &mut { MAX_PARTS })
    }

    /// The same, of no more parts than are left.
    pub(crate) fn named_within(
        btf: &Btf<'_>,
        name: &str,
        parts_left: &mut usize,
    ) -> Option<Result<Self, Unclear>> {
        let (keyword, name) =
            name.trim().split_once(' ').map_or(("", name.trim()), |(word, name)| (word, name.trim()));
        let is_it = |kind: &Kind<'_>| match keyword {
            "struct" => matches!(kind, Kind::Struct { .. }),
            "union" => matches!(kind, Kind::Union { .. }),
            "enum" => matches!(kind, Kind::Enum { .. }),
            "" => matches!(
                kind,
                Kind::Struct { .. } | Kind::Union { .. } | Kind::Enum { .. } | Kind::Typedef { .. }
            ),
            _ => false,
        };
        let (id, ..) = btf.types().find(|(_, known, kind)| *known == name && is_it(kind))?;
        Some(Self::of_btf_within(btf, id, parts_left))
    }
}

struct Maker<'b, 'a> {
    btf: &'b Btf<'a>,
    parts: usize,
    most: usize,
}

impl Maker<'_, '_> {
    fn make(&mut self, id: u32, depth: usize) -> Result<Type, Unclear> {
        self.parts += 1;
        if self.parts > self.most || depth > MAX_DEPTH {
            return Err(Unclear::TooLarge);
        }
        let found = self.btf.resolve(id);
        let none = || Unclear::NoValue { name: self.btf.name(id).to_owned() };
        let size = self.btf.bytes(id).ok_or_else(none)?;
        let bytes = usize::try_from(size).ok().ok_or(Unclear::TooLarge)?;
        let name = self.btf.name(found.id);
        let shape = match found.kind.ok_or_else(none)? {
            Kind::Int { boolean: true, .. } => Shape::Bool,
            Kind::Int { signed, .. } => self.integer(id, *signed),
            Kind::Pointer { target } => self.pointer(*target),
            Kind::Array { element, count } => self.array(*element, *count, depth)?,
            Kind::Struct { .. } if KERNEL_STRUCTURES.contains(&name) => Shape::Kernel,
            Kind::Struct { members, .. } => Shape::Struct(self.fields(members, depth)?),
            Kind::Union { members, .. } => Shape::Union(self.fields(members, depth)?),
            Kind::Enum { signed, values, .. } if values.is_empty() => self.integer(id, *signed),
            Kind::Enum { signed, values, .. } => {
                let names = values.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
                Shape::Enum(Names { names, signed: *signed, open: false })
            }
            // Some machines have wider ones than anybody can write in JSON.
            Kind::Float { .. } if bytes > 8 => Shape::Bytes,
            Kind::Float { .. } => Shape::Float,
            Kind::Forward
            | Kind::Typedef { .. }
            | Kind::Const { .. }
            | Kind::Qualified { .. }
            | Kind::TypeTag { .. }
            | Kind::Function { .. }
            | Kind::Prototype { .. }
            | Kind::Variable { .. }
            | Kind::Section { .. }
            | Kind::DeclarationTag { .. } => return Err(none()),
        };
        Ok(Type::new(shape, bytes)?)
    }

    /// A number; those whose typedefs say so are in network order.
    fn integer(&self, id: u32, signed: bool) -> Shape {
        let mut id = id;
        let mut order = Order::Host;
        for _ in 0..MAX_DEPTH {
            if NETWORK_ORDER.contains(&self.btf.name(id)) {
                order = Order::Network;
            }
            let Some(
                Kind::Typedef { target }
                | Kind::Const { target }
                | Kind::Qualified { target }
                | Kind::TypeTag { target }
                | Kind::Variable { target },
            ) = self.btf.kind(id)
            else {
                break;
            };
            id = *target;
        }
        Shape::Integer(Integer { signed, order, ..Integer::default() })
    }

    fn pointer(&self, target: u32) -> Shape {
        let marked = matches!(self.btf.kind(target), Some(Kind::TypeTag { .. }));
        if marked && KERNEL_POINTERS.contains(&self.btf.name(target)) {
            Shape::Kernel
        } else {
            Shape::Pointer
        }
    }

    fn array(&mut self, element: u32, count: u32, depth: usize) -> Result<Shape, Unclear> {
        let found = self.btf.resolve(element);
        if let Some(Kind::Int { bytes: 1, character, .. }) = found.kind
            && (*character || self.btf.name(found.id) == "char")
        {
            return Ok(Shape::Text);
        }
        let element = self.make(element, depth + 1)?;
        // There is nothing in an array of nothing, however often.
        let count =
            if element.bytes() == 0 { 0 } else { usize::try_from(count).ok().ok_or(Unclear::TooLarge)? };
        Ok(Shape::Array(Box::new(Array { count, element })))
    }

    fn fields(&mut self, members: &[Member<'_>], depth: usize) -> Result<Fields, Unclear> {
        let mut fields = Vec::new();
        for member in members {
            let is = self.make(member.target, depth + 1)?;
            let nested = matches!(is.shape(), Shape::Struct(_) | Shape::Union(_));
            // A number without a name is there to fill up.
            if member.name.is_empty() && !nested {
                continue;
            }
            let place = self.place(member)?;
            fields.push(Field { name: member.name.to_owned(), shown: None, place, is });
        }
        Ok(Fields { fields })
    }

    /// Old compilers say in the number itself that it is a bit field, new ones in the member.
    fn place(&self, member: &Member<'_>) -> Result<Place, Unclear> {
        let start = usize::try_from(member.bit_offset).ok().ok_or(Unclear::TooLarge)?;
        if member.bits > 0 {
            return Ok(Place::Bits { bit_offset: start, bits: member.bits.into() });
        }
        match self.btf.resolve(member.target).kind {
            Some(Kind::Int { bytes, bits, bit_offset, .. })
                if u32::from(*bits) != bytes * 8 || *bit_offset != 0 =>
            {
                Ok(Place::Bits { bit_offset: start + usize::from(*bit_offset), bits: (*bits).into() })
            }
            _ if start.is_multiple_of(8) => Ok(Place::Bytes { offset: start / 8 }),
            _ => Err(BadType::Bits { field: member.name.to_owned(), bits: 0 }.into()),
        }
    }
}
