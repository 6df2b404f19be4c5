// SPDX-License-Identifier: Apache-2.0
//! Types and statements of Go: what reads a value from `from` and writes it to `to`.

use maps::{Number, Place};

use crate::model::{Form, Part, Whole};

/// What definitions are called.
pub(super) struct Code {
    pub(super) names: Vec<String>,
}

/// The name of an integer.
pub(super) fn integer(bytes: usize, signed: bool) -> String {
    match (bytes, signed) {
        (16, _) => "Uint128".to_owned(),
        (_, true) => format!("int{}", bytes * 8),
        (_, false) => format!("uint{}", bytes * 8),
    }
}

impl Code {
    /// The type of a value.
    pub(super) fn of(&self, form: &Form) -> String {
        match form {
            Form::Integer(whole) => integer(whole.bytes, whole.signed),
            Form::Bool(_) => "bool".to_owned(),
            Form::Float(real) => format!("float{}", real.bytes * 8),
            Form::Text(_) => "string".to_owned(),
            Form::Bytes(bytes) | Form::Kernel(bytes) => format!("[{bytes}]byte"),
            Form::Ipv4 | Form::Ipv6 | Form::Ip => "netip.Addr".to_owned(),
            Form::Mac => "Mac".to_owned(),
            Form::Prefix(of) => {
                let Form::Bytes(bytes) = **of else { return "Prefix".to_owned() };
                format!("struct {{ Length uint32; Bytes [{bytes}]byte }}")
            }
            Form::Names(index, _) | Form::Defined(index, _) => self.names[*index].clone(),
            Form::Array(of, count) => format!("[{count}]{}", self.of(of)),
        }
    }

    /// The statements that read a value at a place.
    pub(super) fn read(&self, form: &Form, (value, at): (&str, &str), depth: usize) -> Vec<String> {
        let slice = format!("from[{at}:{at}+{}]", form.bytes());
        let expression = match form {
            Form::Integer(whole) => taken(*whole, &integer(whole.bytes, whole.signed), at),
            Form::Names(index, whole) => taken(*whole, &self.names[*index], at),
            Form::Bool(_) => format!("takeBool({slice})"),
            Form::Float(real) => format!("float{}(takeFloat({slice}))", real.bytes * 8),
            Form::Text(_) => format!("takeText({slice})"),
            Form::Bytes(_) | Form::Kernel(_) | Form::Mac => {
                return vec![format!("copy({value}[:], {slice})")];
            }
            Form::Ipv4 | Form::Ipv6 => format!("takeAddress({slice})"),
            Form::Ip => format!("takeAddress({slice}).Unmap()"),
            Form::Prefix(of) => {
                let field = if matches!(**of, Form::Bytes(_)) { "Bytes" } else { "Address" };
                let inner = self.read(of, (&format!("{value}.{field}"), &format!("{at}+4")), depth);
                return [vec![format!("{value}.Length = order.Uint32(from[{at}:])")], inner].concat();
            }
            Form::Defined(index, _) => format!("take{}({slice})", self.names[*index]),
            Form::Array(of, _) => {
                let place = format!("{at}+index{depth}*{}", of.bytes());
                let inner = self.read(of, (&format!("{value}[index{depth}]"), &place), depth + 1);
                return looped(format!("for index{depth} := range {value} {{"), inner);
            }
        };
        vec![format!("{value} = {expression}")]
    }

    /// The statements that read a field.
    pub(super) fn read_part(&self, part: &Part<'_>, value: &str) -> Vec<String> {
        let (start, bits) = match part.place {
            Place::Bytes { offset } => return self.read(&part.form, (value, &offset.to_string()), 0),
            Place::Bits { bit_offset, bits } => (bit_offset, bits),
        };
        let Some(whole) = part.form.number() else {
            return vec![format!("{value} = takeBits(from, {start}, {bits}) != 0")];
        };
        let (is, signed) = (self.of(&part.form), whole.signed);
        let read = if signed { "takeSignedBits" } else { "takeBits" };
        if is == "Uint128" {
            return vec![format!("{value}.Low = uint64({read}(from, {start}, {bits}))")];
        }
        vec![format!("{value} = {is}({read}(from, {start}, {bits}))")]
    }

    /// The expression of a codec.
    pub(super) fn codec(&self, form: &Form, what: &str) -> String {
        let is = self.of(form);
        let one_line = |lines: Vec<String>| lines.join("\n\t\t\t");
        let put = one_line(write(form, ("v", "0", what), 0));
        let take = one_line(self.read(form, ("v", "0"), 0));
        format!(
            "codec[{is}]{{{},\n\t\tfunc(v {is}, to []byte) error {{\n\t\t\t{put}\n\t\t\treturn nil\n\t\t}},\n\
             \t\tfunc(from []byte) (v {is}) {{\n\t\t\t{take}\n\t\t\treturn v\n\t\t}}}}",
            form.bytes()
        )
    }
}

/// The statements that write a value to a place, or refuse it.
pub(super) fn write(form: &Form, (value, at, what): (&str, &str, &str), depth: usize) -> Vec<String> {
    let slice = format!("to[{at}:{at}+{}]", form.bytes());
    match form {
        Form::Integer(whole) => {
            let mut lines = bounds(value, what, (*whole, whole.min, whole.max));
            lines.push(put(*whole, value, at));
            lines
        }
        Form::Names(_, whole) => vec![put(*whole, value, at)],
        Form::Bool(_) => vec![format!("putBool({slice}, {value})")],
        Form::Float(real) => {
            let whole = Whole { bytes: 8, signed: true, big: false, network: false, min: None, max: None };
            let mut lines = bounds(value, what, (whole, real.min, real.max));
            lines.push(format!("putFloat({slice}, float64({value}))"));
            lines
        }
        Form::Text(_) => tried(&format!("putText({slice}, {value}, \"{what}\")")),
        Form::Bytes(_) | Form::Kernel(_) | Form::Mac => vec![format!("copy({slice}, {value}[:])")],
        Form::Ipv4 | Form::Ipv6 | Form::Ip => tried(&format!("putAddress({slice}, {value}, \"{what}\")")),
        Form::Prefix(of) => {
            let field = if matches!(**of, Form::Bytes(_)) { "Bytes" } else { "Address" };
            let inner = write(of, (&format!("{value}.{field}"), &format!("{at}+4"), what), depth);
            [vec![format!("order.PutUint32(to[{at}:], {value}.Length)")], inner].concat()
        }
        Form::Defined(..) => tried(&format!("{value}.put({slice})")),
        Form::Array(of, _) => {
            let place = format!("{at}+index{depth}*{}", of.bytes());
            let inner = write(of, (&format!("{value}[index{depth}]"), &place, what), depth + 1);
            looped(format!("for index{depth} := range {value} {{"), inner)
        }
    }
}

/// The statements that write a field.
pub(super) fn write_part(part: &Part<'_>, value: &str, what: &str) -> Vec<String> {
    let (start, bits) = match part.place {
        Place::Bytes { offset } => return write(&part.form, (value, &offset.to_string(), what), 0),
        Place::Bits { bit_offset, bits } => (bit_offset, bits),
    };
    let Some(whole) = part.form.number() else {
        return vec![format!("if {value} {{"), format!("\tputBits(to, {start}, {bits}, 1)"), "}".to_owned()];
    };
    if whole.bytes == 16 {
        return vec![format!("putBits(to, {start}, {bits}, {value}.Low)")];
    }
    let (least, most) = Number::range(bits, whole.signed);
    let min = whole.min.or(Some(least).filter(|_| whole.signed));
    let mut lines = bounds(value, what, (whole, min, whole.max.or(Some(most))));
    lines.push(format!("putBits(to, {start}, {bits}, uint64({value}))"));
    lines
}

fn looped(head: String, inner: Vec<String>) -> Vec<String> {
    let inner = inner.into_iter().map(|line| format!("\t{line}"));
    [head].into_iter().chain(inner).chain(["}".to_owned()]).collect()
}

fn tried(call: &str) -> Vec<String> {
    looped(format!("if err := {call}; err != nil {{"), vec!["return err".to_owned()])
}

fn order(whole: Whole) -> &'static str {
    if whole.network { "binary.BigEndian" } else { "order" }
}

fn taken(whole: Whole, is: &str, at: &str) -> String {
    match whole.bytes {
        1 => format!("{is}(from[{at}])"),
        16 => format!("takeUint128(from[{at}:], {})", whole.big),
        bytes => format!("{is}({}.Uint{}(from[{at}:]))", order(whole), bytes * 8),
    }
}

fn put(whole: Whole, value: &str, at: &str) -> String {
    match whole.bytes {
        1 => format!("to[{at}] = byte({value})"),
        16 => format!("putUint128(to[{at}:], {value}, {})", whole.big),
        bytes => format!("{}.PutUint{1}(to[{at}:], uint{1}({value}))", order(whole), bytes * 8),
    }
}

/// Go has no numbers of 128 bits, and so no order among them.
fn bounds(
    value: &str,
    what: &str,
    (whole, min, max): (Whole, Option<Number>, Option<Number>),
) -> Vec<String> {
    if whole.bytes == 16 {
        return Vec::new();
    }
    let (outside, must) = match (min, max) {
        (None, None) => return Vec::new(),
        (Some(min), None) => (format!("{value} < {min}"), format!("at least {min}")),
        (None, Some(max)) => (format!("{value} > {max}"), format!("at most {max}")),
        (Some(min), Some(max)) => {
            (format!("{value} < {min} || {value} > {max}"), format!("from {min} to {max}"))
        }
    };
    looped(format!("if {outside} {{"), vec![format!("return &OutOfBounds{{\"{what}\", \"{must}\"}}")])
}
