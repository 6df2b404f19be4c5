// SPDX-License-Identifier: Apache-2.0
//! Types in words, for objects that do not describe theirs: `{ rate: u64, burst: u32, name: char[16] }`.
//!
//! Fields lie as C lays them out: each at a multiple of its alignment, and the whole as long as a multiple of the greatest.

use thiserror::Error;

use super::{Array, BadType, Field, Fields, Integer, Names, Order, Place, Shape, Type};
use crate::Number;

/// Words that are no type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadGrammar {
    /// Something else should be there.
    #[error("at character {at}: expected {expected}, found {found}")]
    Unexpected {
        /// Where, counted from 1.
        at: usize,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// No type has this name.
    #[error("there is no type `{name}`; there are {}", known())]
    Unknown {
        /// The name.
        name: String,
    },
    /// There is more in each other than anybody writes.
    #[error("it is more than {MAX_DEPTH} deep")]
    TooDeep,
    /// Its parts do not fit together.
    #[error(transparent)]
    Bad(#[from] BadType),
}

const MAX_DEPTH: usize = 16;
/// Types of one word: numbers by size, sign and order, which are aligned to their size; the others by size and alignment.
const WORDS: [(&str, Word); 24] = [
    ("u8", Word::Int(1, false, Order::Host)),
    ("u16", Word::Int(2, false, Order::Host)),
    ("u32", Word::Int(4, false, Order::Host)),
    ("u64", Word::Int(8, false, Order::Host)),
    ("u128", Word::Int(16, false, Order::Host)),
    ("i8", Word::Int(1, true, Order::Host)),
    ("i16", Word::Int(2, true, Order::Host)),
    ("i32", Word::Int(4, true, Order::Host)),
    ("i64", Word::Int(8, true, Order::Host)),
    ("i128", Word::Int(16, true, Order::Host)),
    ("be16", Word::Int(2, false, Order::Network)),
    ("be32", Word::Int(4, false, Order::Network)),
    ("be64", Word::Int(8, false, Order::Network)),
    ("bool", Word::Is(Shape::Bool, 1, 1)),
    ("f16", Word::Is(Shape::Float, 2, 2)),
    ("f32", Word::Is(Shape::Float, 4, 4)),
    ("f64", Word::Is(Shape::Float, 8, 8)),
    ("ipv4", Word::Is(Shape::Ipv4, 4, 4)),
    ("ipv6", Word::Is(Shape::Ipv6, 16, 4)),
    ("mac", Word::Is(Shape::Mac, 6, 1)),
    ("pointer", Word::Is(Shape::Pointer, 8, 8)),
    ("spin_lock", Word::Is(Shape::Kernel, 4, 4)),
    ("timer", Word::Is(Shape::Kernel, 16, 8)),
    ("port", Word::Int(2, false, Order::Network)),
];

fn known() -> String {
    let names: Vec<String> = WORDS.iter().map(|(name, _)| format!("`{name}`")).collect();
    format!(
        "{}, `char[N]`, `bytes[N]`, `[T; N]`, `{{ name: T }}`, `union {{ name: T }}`, `enum T {{ NAME = 1 }}`",
        names.join(", ")
    )
}

enum Word {
    Int(usize, bool, Order),
    Is(Shape, usize, usize),
}

/// A type, and what its place is a multiple of.
struct Aligned {
    is: Type,
    align: usize,
}

impl std::str::FromStr for Type {
    type Err = BadGrammar;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { text, at: 0 };
        let found = parser.parse(0)?;
        parser.skip_space();
        if parser.rest().is_empty() { Ok(found.is) } else { Err(parser.unexpected("nothing more")) }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn parse(&mut self, depth: usize) -> Result<Aligned, BadGrammar> {
        if depth > MAX_DEPTH {
            return Err(BadGrammar::TooDeep);
        }
        if self.takes("[") {
            return self.array(depth);
        }
        if self.takes("{") {
            return self.fields(depth, false);
        }
        let name = self.word("a type")?;
        match name {
            "char" | "bytes" => {
                self.expect("[", "`[`")?;
                let bytes = self.count()?;
                self.expect("]", "`]`")?;
                let shape = if name == "char" { Shape::Text } else { Shape::Bytes };
                Ok(Aligned { is: Type::new(shape, bytes)?, align: 1 })
            }
            "union" => {
                self.expect("{", "`{`")?;
                self.fields(depth, true)
            }
            "enum" => self.names(),
            _ => scalar(name),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Aligned, BadGrammar> {
        let Aligned { is: element, align } = self.parse(depth + 1)?;
        self.expect(";", "`;`")?;
        let count = self.count()?;
        self.expect("]", "`]`")?;
        let too_large = BadType::Size { what: "an array", bytes: usize::MAX };
        let bytes = element.bytes().checked_mul(count).ok_or(too_large)?;
        Ok(Aligned { is: Type::new(Shape::Array(Box::new(Array { count, element })), bytes)?, align })
    }

    fn fields(&mut self, depth: usize, union: bool) -> Result<Aligned, BadGrammar> {
        let (mut fields, mut end, mut align) = (Vec::new(), 0_usize, 1_usize);
        while !self.takes("}") {
            let name = self.word("the name of a field")?.to_owned();
            self.expect(":", "`:`")?;
            let Aligned { is, align: own } = self.parse(depth + 1)?;
            let offset = if union { 0 } else { end.next_multiple_of(own) };
            end = end.max(offset.saturating_add(is.bytes()));
            align = align.max(own);
            fields.push(Field { name, shown: None, place: Place::Bytes { offset }, is });
            if !self.takes(",") {
                self.expect("}", "`,` or `}`")?;
                break;
            }
        }
        let fields = Fields { fields };
        let shape = if union { Shape::Union(fields) } else { Shape::Struct(fields) };
        // Where it is too long for this, it is too long for a type as well.
        let bytes = end.checked_next_multiple_of(align).unwrap_or(usize::MAX);
        Ok(Aligned { is: Type::new(shape, bytes)?, align })
    }

    fn names(&mut self) -> Result<Aligned, BadGrammar> {
        let found = scalar(self.word("`u8`, `u16`, `u32`, `u64` or one with a sign")?)?;
        let Shape::Integer(Integer { signed, .. }) = *found.is.shape() else {
            return Err(self.unexpected("a whole number in front"));
        };
        self.expect("{", "`{`")?;
        let mut names = Vec::new();
        while !self.takes("}") {
            let name = self.word("a name")?.to_owned();
            self.expect("=", "`=`")?;
            names.push((name, self.number()?));
            if !self.takes(",") {
                self.expect("}", "`,` or `}`")?;
                break;
            }
        }
        let shape = Shape::Enum(Names { names, signed, open: false });
        Ok(Aligned { is: Type::new(shape, found.is.bytes())?, align: found.align })
    }

    fn count(&mut self) -> Result<usize, BadGrammar> {
        self.skip_space();
        let before = self.at;
        let number = self.number()?;
        usize::try_from(number.magnitude()).ok().filter(|_| !number.is_negative()).ok_or_else(|| {
            self.at = before;
            self.unexpected("how many")
        })
    }

    fn number(&mut self) -> Result<Number, BadGrammar> {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        let number = rest[..end].parse().ok().ok_or_else(|| self.unexpected("a whole number"))?;
        self.at += end;
        Ok(number)
    }

    fn word(&mut self, expected: &'static str) -> Result<&'a str, BadGrammar> {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            return Err(self.unexpected(expected));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn expect(&mut self, sign: &str, expected: &'static str) -> Result<(), BadGrammar> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn takes(&mut self, sign: &str) -> bool {
        self.skip_space();
        let there = self.rest().starts_with(sign);
        if there {
            self.at += sign.len();
        }
        there
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn unexpected(&self, expected: &'static str) -> BadGrammar {
        let found = self.rest().chars().next();
        let found = found.map_or_else(|| "the end".to_owned(), |found| format!("`{found}`"));
        BadGrammar::Unexpected { at: self.text[..self.at].chars().count() + 1, expected, found }
    }
}

fn scalar(name: &str) -> Result<Aligned, BadGrammar> {
    let known = WORDS.into_iter().find(|(known, _)| *known == name);
    let (_, word) = known.ok_or_else(|| BadGrammar::Unknown { name: name.to_owned() })?;
    let (shape, bytes, align) = match word {
        Word::Int(bytes, signed, order) => {
            (Shape::Integer(Integer { signed, order, ..Integer::default() }), bytes, bytes)
        }
        Word::Is(shape, bytes, align) => (shape, bytes, align),
    };
    Ok(Aligned { is: Type::new(shape, bytes)?, align })
}
