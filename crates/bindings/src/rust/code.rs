// SPDX-License-Identifier: Apache-2.0
//! Types, expressions and statements of Rust: what reads a value from `from` and writes it to `to`.

use maps::{Number, Place};

use crate::model::{Form, Part, Real, Whole};
use crate::page::Page;

/// What definitions are called.
pub(super) struct Code {
    pub(super) names: Vec<String>,
}

/// The name of an integer.
pub(super) fn integer(bytes: usize, signed: bool) -> String {
    format!("{}{}", if signed { 'i' } else { 'u' }, bytes * 8)
}

/// A number of so many bytes. Numbers below zero are bits where the type has no sign.
pub(super) fn literal(number: Number, bytes: usize, signed: bool) -> String {
    let bits = u32::try_from(bytes * 8).unwrap_or(u32::MAX);
    Number::of_bits(number.to_word(), bits, signed).to_string()
}

/// Where a field lies, in words.
pub(super) fn placed(part: &Part<'_>) -> String {
    match part.place {
        Place::Bytes { offset } => format!("At byte {offset}"),
        Place::Bits { bit_offset, bits } => format!("At bit {bit_offset}, {bits} of them"),
    }
}

impl Code {
    /// The type of a value.
    pub(super) fn of(&self, form: &Form) -> String {
        match form {
            Form::Integer(whole) => integer(whole.bytes, whole.signed),
            Form::Bool(_) => "bool".to_owned(),
            Form::Float(real) => format!("f{}", real.bytes * 8),
            Form::Text(bytes) => format!("Text<{bytes}>"),
            Form::Bytes(bytes) | Form::Kernel(bytes) => format!("[u8; {bytes}]"),
            Form::Ipv4 => "Ipv4Addr".to_owned(),
            Form::Ipv6 => "Ipv6Addr".to_owned(),
            Form::Ip => "IpAddr".to_owned(),
            Form::Mac => "Mac".to_owned(),
            Form::Prefix(of) => format!("Prefix<{}>", self.of(of)),
            Form::Names(index, _) | Form::Defined(index, _) => self.names[*index].clone(),
            Form::Array(of, count) => format!("[{}; {count}]", self.of(of)),
        }
    }

    /// The size of its type in Rust, where that is the size of the value.
    pub(super) fn size(&self, form: &Form) -> Option<String> {
        match form {
            Form::Bool(_) | Form::Ip | Form::Kernel(_) => None,
            Form::Defined(index, _) => Some(format!("{}::BYTES", self.names[*index])),
            Form::Array(of, count) => Some(format!("{count} * {}", self.size(of)?)),
            Form::Prefix(of) => Some(format!("4 + {}", self.size(of)?)),
            Form::Integer(_)
            | Form::Float(_)
            | Form::Text(_)
            | Form::Bytes(_)
            | Form::Ipv4
            | Form::Ipv6
            | Form::Mac
            | Form::Names(..) => Some(format!("size_of::<{}>()", self.of(form))),
        }
    }

    /// The expression that reads a value at a place.
    pub(super) fn read(&self, form: &Form, at: &str, depth: usize) -> String {
        match form {
            Form::Integer(whole) => read_integer(*whole, at),
            Form::Bool(bytes) => format!("from[{at}..{at} + {bytes}].iter().any(|byte| *byte != 0)"),
            Form::Float(real) => {
                format!("f{}::from_bits({})", real.bytes * 8, read_integer(bits_of(*real), at))
            }
            Form::Text(_) => format!("Text(take(from, {at}))"),
            Form::Bytes(_) | Form::Kernel(_) => format!("take(from, {at})"),
            Form::Ipv4 => format!("Ipv4Addr::from(take::<4>(from, {at}))"),
            Form::Ipv6 => format!("Ipv6Addr::from(take::<16>(from, {at}))"),
            Form::Ip => format!("ip(take(from, {at}))"),
            Form::Mac => format!("Mac(take(from, {at}))"),
            Form::Prefix(of) => {
                let address = self.read(of, &format!("{at} + 4"), depth);
                format!("Prefix {{ length: u32::from_ne_bytes(take(from, {at})), address: {address} }}")
            }
            Form::Names(index, whole) => format!("{}({})", self.names[*index], read_integer(*whole, at)),
            Form::Defined(index, bytes) => {
                format!("{}::take(&from[{at}..{at} + {bytes}])", self.names[*index])
            }
            Form::Array(of, _) => {
                let inner = self.read(of, &format!("{at} + index_{depth} * {}", of.bytes()), depth + 1);
                format!("std::array::from_fn(|index_{depth}| {inner})")
            }
        }
    }

    /// The expression that reads a field.
    pub(super) fn read_part(&self, part: &Part<'_>) -> String {
        let (start, bits) = match part.place {
            Place::Bytes { offset } => return self.read(&part.form, &offset.to_string(), 0),
            Place::Bits { bit_offset, bits } => (bit_offset, bits),
        };
        let Some(whole) = part.form.number() else { return format!("bits(from, {start}, {bits}) != 0") };
        let read = if whole.signed { "signed_bits" } else { "bits" };
        let number = format!("{read}(from, {start}, {bits}) as {}", integer(whole.bytes, whole.signed));
        if let Form::Names(index, _) = &part.form {
            format!("{}({number})", self.names[*index])
        } else {
            number
        }
    }

    /// The functions of a trait that read and write a key or a value.
    pub(super) fn codec(&self, page: &mut Page, kind: &str, name: &str, form: &Form) {
        page.line(1, format!("type {kind} = {};", self.of(form)));
        page.line(1, format!("fn put_{name}({name}: &Self::{kind}, to: &mut [u8]) {{"));
        page.line(2, write(form, (&format!("(*{name})"), "0"), 0));
        page.line(1, "}");
        page.line(1, format!("fn take_{name}(from: &[u8]) -> Self::{kind} {{"));
        page.line(2, self.read(form, "0", 0));
        page.line(1, "}");
    }
}

/// The statement that writes a value to a place.
pub(super) fn write(form: &Form, (value, at): (&str, &str), depth: usize) -> String {
    match form {
        Form::Integer(whole) => format!("put(to, {at}, {value}.to_{}_bytes());", order(*whole)),
        Form::Bool(bytes) => {
            let is = integer(*bytes, false);
            format!("put(to, {at}, {is}::from({value}).to_ne_bytes());")
        }
        Form::Float(_) => format!("put(to, {at}, {value}.to_ne_bytes());"),
        Form::Text(_) | Form::Mac => format!("put(to, {at}, {value}.0);"),
        Form::Bytes(_) | Form::Kernel(_) => format!("put(to, {at}, {value});"),
        Form::Ipv4 | Form::Ipv6 => format!("put(to, {at}, {value}.octets());"),
        Form::Ip => format!("put(to, {at}, ip_bytes({value}));"),
        Form::Prefix(of) => {
            let address = write(of, (&format!("{value}.address"), &format!("{at} + 4")), depth);
            format!("put(to, {at}, {value}.length.to_ne_bytes()); {address}")
        }
        Form::Names(_, whole) => format!("put(to, {at}, {value}.0.to_{}_bytes());", order(*whole)),
        Form::Defined(_, bytes) => format!("{value}.put(&mut to[{at}..{at} + {bytes}]);"),
        Form::Array(of, _) => {
            let place = format!("{at} + index_{depth} * {}", of.bytes());
            let inner = write(of, (&format!("item_{depth}"), &place), depth + 1);
            format!("for (index_{depth}, &item_{depth}) in {value}.iter().enumerate() {{ {inner} }}")
        }
    }
}

/// The statements that refuse what may not be written.
pub(super) fn check(form: &Form, (value, what): (&str, &str), depth: usize) -> Vec<String> {
    match form {
        Form::Integer(whole) => bounds(value, what, (whole.min, whole.max), ""),
        Form::Float(Real { min, max, .. }) => bounds(value, what, (*min, *max), ".0"),
        Form::Defined(..) => vec![format!("{value}.check()?;")],
        Form::Array(of, _) => {
            let inner = check(of, (&format!("item_{depth}"), what), depth + 1);
            if inner.is_empty() {
                return inner;
            }
            vec![format!("for &item_{depth} in {value}.iter() {{ {} }}", inner.join(" "))]
        }
        Form::Bool(_)
        | Form::Text(_)
        | Form::Bytes(_)
        | Form::Kernel(_)
        | Form::Ipv4
        | Form::Ipv6
        | Form::Ip
        | Form::Mac
        | Form::Prefix(_)
        | Form::Names(..) => Vec::new(),
    }
}

/// The statement that writes a field.
pub(super) fn write_part(part: &Part<'_>, value: &str) -> String {
    let (start, bits) = match part.place {
        Place::Bytes { offset } => return write(&part.form, (value, &offset.to_string()), 0),
        Place::Bits { bit_offset, bits } => (bit_offset, bits),
    };
    let number = if matches!(part.form, Form::Names(..)) { format!("{value}.0") } else { value.to_owned() };
    format!("put_bits(to, {start}, {bits}, {number} as u64);")
}

/// The statements that refuse what a field may not be.
pub(super) fn check_part(part: &Part<'_>, value: &str, what: &str) -> Vec<String> {
    let mut lines = check(&part.form, (value, what), 0);
    let (Place::Bits { bits, .. }, Form::Integer(whole) | Form::Names(_, whole)) = (part.place, &part.form)
    else {
        return lines;
    };
    let number = if matches!(part.form, Form::Names(..)) { format!("{value}.0") } else { value.to_owned() };
    let (min, max) = Number::range(bits, whole.signed);
    let min = Some(min).filter(|_| whole.signed);
    lines.extend(bounds(&number, what, (min, Some(max)), ""));
    lines
}

/// The integer that has the bits of a floating point number.
fn bits_of(real: Real) -> Whole {
    Whole { bytes: real.bytes, signed: false, big: false, network: false, min: None, max: None }
}

/// Whole numbers are in the order of their machine, for which the file is checked, unless they say that they are not.
fn order(whole: Whole) -> &'static str {
    if whole.network { "be" } else { "ne" }
}

fn read_integer(whole: Whole, at: &str) -> String {
    format!("{}::from_{}_bytes(take(from, {at}))", integer(whole.bytes, whole.signed), order(whole))
}

fn bounds(value: &str, what: &str, (min, max): (Option<Number>, Option<Number>), point: &str) -> Vec<String> {
    let (outside, must) = match (min, max) {
        (None, None) => return Vec::new(),
        (Some(min), None) => (format!("{value} < {min}{point}"), format!("at least {min}")),
        (None, Some(max)) => (format!("{value} > {max}{point}"), format!("at most {max}")),
        (Some(min), Some(max)) => {
            (format!("{value} < {min}{point} || {value} > {max}{point}"), format!("from {min} to {max}"))
        }
    };
    vec![format!("if {outside} {{ return Err(OutOfBounds {{ what: \"{what}\", must: \"{must}\" }}); }}")]
}
