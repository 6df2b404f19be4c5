// SPDX-License-Identifier: Apache-2.0
//! Types and values that are made up, for properties that hold of all of them.

use maps::{
    Array, Endian, Family, Field, Fields, Integer, Meaning, Names, Number, Order, Place, Prefix, Shape,
    TimeUnit, Type,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

pub(crate) fn endian() -> impl Strategy<Value = Endian> {
    prop_oneof![Just(Endian::Little), Just(Endian::Big)]
}

fn integer() -> impl Strategy<Value = (Integer, usize)> {
    let unit = prop_oneof![Just(TimeUnit::Ns), Just(TimeUnit::Ms), Just(TimeUnit::S), Just(TimeUnit::H)];
    let meaning = unit.prop_flat_map(|unit| {
        prop_oneof![
            4 => Just(Meaning::Number),
            1 => Just(Meaning::Hex),
            1 => Just(Meaning::Duration(unit)),
            1 => Just(Meaning::Unix(unit)),
            1 => Just(Meaning::Boot(unit)),
        ]
    });
    let order = prop_oneof![3 => Just(Order::Host), 1 => Just(Order::Network)];
    (any::<bool>(), order, meaning, 1..=16_usize)
        .prop_map(|(signed, order, meaning, bytes)| (Integer { signed, order, meaning }, bytes))
}

fn names() -> impl Strategy<Value = (Names, usize)> {
    let width = prop_oneof![Just(1_usize), Just(2), Just(4), Just(8)];
    (width, any::<bool>(), prop::collection::vec(any::<i8>(), 1..6)).prop_map(|(bytes, signed, numbers)| {
        let number = |number: i8| {
            if signed {
                Number::from(i64::from(number))
            } else {
                Number::from(u32::from(number.unsigned_abs()))
            }
        };
        let names = numbers.into_iter().enumerate().map(|(at, given)| (format!("N{at}"), number(given)));
        (Names { names: names.collect(), signed, open: true }, bytes)
    })
}

fn scalar() -> impl Strategy<Value = Type> {
    let of = |shape, bytes| Type::new(shape, bytes).unwrap();
    prop_oneof![
        6 => integer().prop_map(move |(integer, bytes)| of(Shape::Integer(integer), bytes)),
        1 => prop_oneof![Just(2_usize), Just(4), Just(8)].prop_map(move |bytes| of(Shape::Float, bytes)),
        1 => names().prop_map(move |(names, bytes)| of(Shape::Enum(names), bytes)),
        1 => names().prop_map(move |(names, bytes)| of(Shape::Flags(names), bytes)),
        1 => (0..9_usize).prop_map(move |bytes| of(Shape::Text, bytes)),
        1 => (0..9_usize).prop_map(move |bytes| of(Shape::Bytes, bytes)),
        1 => Just(of(Shape::Bool, 1)),
        1 => Just(of(Shape::Pointer, 8)),
        1 => Just(of(Shape::Kernel, 4)),
        1 => Just(of(Shape::Ipv4, 4)),
        1 => Just(of(Shape::Ipv6, 16)),
        1 => prop_oneof![Just(4_usize), Just(16)].prop_map(move |bytes| of(Shape::Ip, bytes)),
        1 => Just(of(Shape::Mac, 6)),
        1 => Just(of(Shape::Prefix(Prefix { family: Family::Ipv4 }), 8)),
        1 => Just(of(Shape::Prefix(Prefix { family: Family::Ipv6 }), 20)),
        1 => (5..9_usize).prop_map(move |bytes| of(Shape::Prefix(Prefix { family: Family::Hex }), bytes)),
    ]
}

/// Fields behind each other, with gaps, some of them of bits, some without a name.
fn structure(parts: Vec<(Type, usize, Option<u32>, bool)>, tail: usize) -> Type {
    let mut end = 0;
    let mut fields = Vec::new();
    for (at, (is, gap, bits, named)) in parts.into_iter().enumerate() {
        let number =
            matches!(is.shape(), Shape::Integer(_) | Shape::Enum(_) | Shape::Flags(_)) && is.bytes() <= 8;
        let nested = is.fields().is_some();
        // The names of fields in one without a name must differ from those beside it; numbers of levels see to that.
        let name = if named || !nested { format!("f{at}") } else { String::new() };
        let place = match bits {
            Some(bits) if number => {
                let bits = bits.min(u32::try_from(is.bytes() * 8).unwrap());
                let bit_offset = end * 8 + gap;
                end = (bit_offset + bits as usize).div_ceil(8);
                Place::Bits { bit_offset, bits }
            }
            _ => {
                let offset = end + gap;
                end = offset + is.bytes();
                Place::Bytes { offset }
            }
        };
        fields.push(Field { name, shown: None, place, is });
    }
    let made = |fields: &[Field]| Type::new(Shape::Struct(Fields { fields: fields.to_vec() }), end + tail);
    made(&fields).unwrap_or_else(|_| {
        fields.iter_mut().enumerate().for_each(|(at, field)| field.name = format!("f{at}"));
        made(&fields).unwrap()
    })
}

fn union(parts: Vec<Type>) -> Type {
    let bytes = parts.iter().map(Type::bytes).max().unwrap();
    let field =
        |(at, is)| Field { name: format!("u{at}"), shown: None, place: Place::Bytes { offset: 0 }, is };
    let fields = parts.into_iter().enumerate().map(field).collect();
    Type::new(Shape::Union(Fields { fields }), bytes).unwrap()
}

/// Any type.
pub(crate) fn types() -> impl Strategy<Value = Type> {
    scalar().prop_recursive(3, 24, 5, |inner| {
        let part = (inner.clone(), 0..4_usize, prop::option::weighted(0.3, 1..65_u32), any::<bool>());
        prop_oneof![
            2 => (prop::collection::vec(part, 1..5), 0..4_usize).prop_map(|(parts, tail)| structure(parts, tail)),
            1 => prop::collection::vec(inner.clone(), 1..4).prop_map(union),
            1 => (inner, 0..4_usize).prop_map(|(element, count)| {
                let count = if element.bytes() == 0 { 0 } else { count };
                let bytes = element.bytes() * count;
                Type::new(Shape::Array(Box::new(Array { count, element })), bytes).unwrap()
            }),
        ]
    })
}

/// Makes values out of what chance gives.
pub(crate) struct Dice {
    thrown: Vec<u64>,
    at: usize,
}

impl Dice {
    pub(crate) fn new(thrown: Vec<u64>) -> Self {
        Self { thrown, at: 0 }
    }

    fn throw(&mut self) -> u64 {
        self.at += 1;
        self.thrown.get(self.at % self.thrown.len().max(1)).copied().unwrap_or_default()
    }

    /// A value of a type in the form in which it is read. Of a union it has one field.
    pub(crate) fn value(&mut self, is: &Type, endian: Endian) -> Value {
        match is.shape() {
            Shape::Bool => self.throw().is_multiple_of(2).into(),
            Shape::Kernel => Value::Null,
            Shape::Text => {
                let some = "añb~€ c\"\\x".chars().cycle().skip(usize::try_from(self.throw() % 10).unwrap());
                let mut text: String = some.take(usize::try_from(self.throw() % 9).unwrap()).collect();
                while text.len() > is.bytes() {
                    text.pop();
                }
                text.into()
            }
            Shape::Array(array) => (0..array.count).map(|_| self.value(&array.element, endian)).collect(),
            Shape::Struct(fields) => {
                let mut object = Map::new();
                for field in &fields.fields {
                    self.field(field, endian, &mut object);
                }
                object.into()
            }
            Shape::Union(fields) => {
                let own: Vec<&Field> = fields.fields.iter().filter(|field| !field.is.is_kernel()).collect();
                let mut object = Map::new();
                let chosen = usize::try_from(self.throw()).unwrap() % own.len().max(1);
                if let Some(field) = own.get(chosen) {
                    self.field(field, endian, &mut object);
                }
                object.into()
            }
            Shape::Integer(_)
            | Shape::Float
            | Shape::Enum(_)
            | Shape::Flags(_)
            | Shape::Bytes
            | Shape::Pointer
            | Shape::Ipv4
            | Shape::Ipv6
            | Shape::Ip
            | Shape::Mac
            | Shape::Prefix(_) => {
                let bytes: Vec<u8> = (0..is.bytes()).map(|_| self.throw().to_le_bytes()[0]).collect();
                let mut value = is.decode(&bytes, endian).unwrap();
                // No trie has longer prefixes than its keys.
                if let (Shape::Prefix(_), Some(text)) = (is.shape(), value.as_str()) {
                    value = json!(format!("{}/{}", text.split('/').next().unwrap(), 5));
                }
                value
            }
        }
    }

    fn field(&mut self, field: &Field, endian: Endian, object: &mut Map<String, Value>) {
        let value = match field.place {
            Place::Bits { bits, .. } => {
                // What fits in bits is found by looking at them.
                let only = Field { place: Place::Bits { bit_offset: 0, bits }, ..field.clone() };
                let alone = Type::new(Shape::Struct(Fields { fields: vec![only] }), 8).unwrap();
                let decoded = alone.decode(&self.throw().to_le_bytes(), endian).unwrap();
                decoded.as_object().unwrap().values().next().unwrap().clone()
            }
            Place::Bytes { .. } => self.value(&field.is, endian),
        };
        match (field.shown_name(), value) {
            (Some(_), Value::Null) => {}
            (Some(name), value) => drop(object.insert(name.to_owned(), value)),
            (None, Value::Object(inner)) => object.extend(inner),
            (None, _) => {}
        }
    }
}
