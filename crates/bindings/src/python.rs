// SPDX-License-Identifier: Apache-2.0
//! Bindings in Python: a module that imports nothing but the standard library. What lies where is data of it, which the runtime
//! reads and writes by.

use maps::{Endian, Number, Place};

use crate::Source;
use crate::model::{Access, Bound, Content, Definition, Form, Model, Part, Whole, fields, told, told_of};
use crate::names::{Case, Taken};
use crate::page::{Page, head, plain, quoted};

/// What the runtime calls something.
const TYPES: &[&str] = &[
    "ANY",
    "Choice",
    "EXISTING",
    "False",
    "LOCK",
    "Mac",
    "Map",
    "NEW",
    "None",
    "NotHanded",
    "ORDER",
    "OutOfBounds",
    "PerCpu",
    "Place",
    "Prefix",
    "Queue",
    "Record",
    "Ring",
    "Table",
    "True",
    "Constants",
    "Variables",
];
/// Keywords, and what every structure has.
const WORDS: &[&str] = &[
    "and", "as", "assert", "async", "await", "break", "check", "class", "continue", "decode", "def", "del",
    "elif", "else", "encode", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "self", "try", "while", "with", "yield",
];

/// The file.
pub(crate) fn write(source: &Source<'_>, model: &Model<'_>) -> String {
    let mut taken = Taken::but(TYPES);
    let called = |definition: &Definition<'_>| taken.give(Case::Camel.join(&definition.words));
    let code = Code { names: model.definitions.iter().map(called).collect() };
    let mut page = Page::new("    ");
    documented(&mut page, 0, &head(source));
    page.line(0, "");
    let endian = if source.endian == Endian::Little { "little" } else { "big" };
    page.raw(&include_str!("../runtime/python.in").replace("{{endian}}", endian));
    for (index, definition) in model.definitions.iter().enumerate() {
        page.line(0, "");
        page.line(0, "");
        let name = &code.names[index];
        match &definition.content {
            Content::Struct(parts) => structure(&mut page, &code, (name, definition), (parts, "Record")),
            Content::Union(parts) => structure(&mut page, &code, (name, definition), (parts, "Choice")),
            Content::Enum(names) => enumeration(&mut page, (name, definition), (names, "IntEnum")),
            Content::Flags(names) => enumeration(&mut page, (name, definition), (names, "IntFlag")),
        }
    }
    for bound in &model.maps {
        map(&mut page, &code, bound, &mut taken);
    }
    page.into_text()
}

/// Text for whoever asks for help.
fn documented(page: &mut Page, depth: usize, paragraphs: &[String]) {
    let text: Vec<String> = paragraphs.iter().map(|paragraph| plain(paragraph)).collect();
    // A quote at the end would be one of the three behind it.
    let text = text.join("\n\n").replace('"', "'");
    let mut lines = text.lines();
    page.line(depth, format!("\"\"\"{}", lines.next().unwrap_or_default()));
    for line in lines {
        page.line(depth, line);
    }
    page.line(depth, "\"\"\"");
}

fn enumeration(
    page: &mut Page,
    (name, definition): (&str, &Definition<'_>),
    (names, kind): (&maps::Names, &str),
) {
    page.line(0, format!("class {name}(enum.{kind}):"));
    let what =
        if kind == "IntFlag" { "Bits." } else { "Names of numbers; a number without a name stays one." };
    documented(page, 1, &[vec![what.to_owned()], told(definition.is)].concat());
    page.line(0, "");
    let bits = u32::try_from(definition.is.bytes() * 8).unwrap_or(u32::MAX);
    let mut taken = Taken::but(&[]);
    for (known, value) in &names.names {
        let signed = names.signed && kind == "IntEnum";
        let value = Number::of_bits(value.to_word(), bits, signed);
        page.line(1, format!("{} = {value}", taken.give(Case::Upper.join(&[known]))));
    }
}

fn structure(
    page: &mut Page,
    code: &Code,
    (name, definition): (&str, &Definition<'_>),
    (parts, base): (&[Part<'_>], &str),
) {
    let fields = fields(parts, Case::Snake, WORDS);
    page.line(0, format!("class {name}({base}):"));
    let bytes = definition.is.bytes();
    documented(page, 1, &[vec![format!("{bytes} bytes.")], told(definition.is)].concat());
    page.line(0, "");
    let slots: Vec<String> = fields.iter().map(|(field, _)| format!("\"{field}\",")).collect();
    page.line(1, format!("__slots__ = ({})", if base == "Record" { slots.join(" ") } else { String::new() }));
    page.line(1, format!("BYTES = {bytes}"));
    for (field, part) in &fields {
        page.comment(1, "#:", &told(part.is));
        page.line(1, format!("{field}: {}", code.of(&part.form)));
    }
    page.line(1, "_FIELDS = {");
    for (field, part) in &fields {
        let (at, codec) = code.part(part);
        page.line(2, format!("\"{field}\": ({at}, {codec}),"));
    }
    page.line(1, "}");
    if !definition.defaults.is_empty() {
        page.line(1, "_DEFAULTS = (");
        for (at, given) in &definition.defaults {
            page.line(2, format!("({at}, bytes({given:?})),"));
        }
        page.line(1, ")");
    }
}

fn map(page: &mut Page, code: &Code, bound: &Bound<'_>, taken: &mut Taken) {
    let base = match bound.access {
        Access::Table => "Table",
        Access::PerCpu => "PerCpu",
        Access::Queue => "Queue",
        Access::Variables => "Variables",
        Access::Constants => "Constants",
        Access::Ring => "Ring",
        Access::Nothing => return events(page, code, bound, taken),
    };
    let name = taken.give(Case::Camel.join(&bound.words));
    page.line(0, "");
    page.line(0, "");
    page.line(0, format!("class {name}({base}):"));
    documented(page, 1, &told_of(bound.map));
    page.line(0, "");
    page.line(1, format!("NAME = {}", quoted(&bound.map.name)));
    page.line(1, format!("KIND = {}", bound.map.kind.0));
    let (key_bytes, value_bytes) = bound.sizes();
    page.line(1, format!("KEY_BYTES = {key_bytes}"));
    page.line(1, format!("VALUE_BYTES = {value_bytes}"));
    for (what, form) in [("KEY", &bound.key), ("VALUE", &bound.value), ("EVENT", &bound.event)] {
        if let Some(form) = form {
            page.line(1, format!("_{what} = {}", code.codec(form)));
        }
    }
}

/// What there is of a map that has no handle: how to read its events.
fn events(page: &mut Page, code: &Code, bound: &Bound<'_>, taken: &mut Taken) {
    let Some(event) = &bound.event else { return };
    let name = Case::Snake.join(&[bound.words.as_slice(), &["event".to_owned()]].concat());
    page.line(0, "");
    page.line(0, "");
    page.line(0, format!("def {}(data: bytes) -> {}:", taken.give(name), code.of(event)));
    documented(page, 1, &[vec!["Reads an event.".to_owned()], told_of(bound.map)].concat());
    page.line(1, format!("if len(data) < {}:", event.bytes()));
    page.line(
        2,
        format!("raise ValueError(f\"there are {{len(data)}} bytes, in place of {}\")", event.bytes()),
    );
    page.line(1, format!("return {}.read(data, 0)", code.codec(event)));
}

/// What definitions are called.
struct Code {
    names: Vec<String>,
}

impl Code {
    /// What a type checker is told of a value.
    fn of(&self, form: &Form) -> String {
        match form {
            Form::Integer(_) => "int".to_owned(),
            Form::Bool(_) => "bool".to_owned(),
            Form::Float(_) => "float".to_owned(),
            Form::Text(_) => "str".to_owned(),
            Form::Bytes(_) | Form::Kernel(_) => "bytes".to_owned(),
            Form::Ipv4 => "ipaddress.IPv4Address".to_owned(),
            Form::Ipv6 => "ipaddress.IPv6Address".to_owned(),
            Form::Ip => "typing.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]".to_owned(),
            Form::Mac => "Mac".to_owned(),
            Form::Prefix(_) => "Prefix".to_owned(),
            Form::Names(index, _) | Form::Defined(index, _) => self.names[*index].clone(),
            Form::Array(of, _) => format!("typing.List[{}]", self.of(of)),
        }
    }

    /// Where a field lies, and how it is read and written.
    fn part(&self, part: &Part<'_>) -> (usize, String) {
        match part.place {
            Place::Bytes { offset } => (offset, self.codec(&part.form)),
            Place::Bits { bit_offset, bits } => {
                (0, format!("_Bits({bit_offset}, {bits}, {})", self.codec(&part.form)))
            }
        }
    }

    fn codec(&self, form: &Form) -> String {
        match form {
            Form::Integer(whole) => integer(*whole),
            Form::Bool(bytes) => format!("_Bool({bytes})"),
            Form::Float(real) => {
                let bound =
                    |number: Option<Number>| number.map_or("None".to_owned(), |number| number.to_string());
                format!("_Float({}, {}, {})", real.bytes, bound(real.min), bound(real.max))
            }
            Form::Text(bytes) => format!("_Text({bytes})"),
            Form::Bytes(bytes) | Form::Kernel(bytes) => format!("_Bytes({bytes})"),
            Form::Ipv4 => "_Address(4)".to_owned(),
            Form::Ipv6 => "_Address(16)".to_owned(),
            Form::Ip => "_Address(16, True)".to_owned(),
            Form::Mac => "_Bytes(6, Mac)".to_owned(),
            Form::Prefix(of) => format!("_Prefix({})", self.codec(of)),
            Form::Names(index, whole) => format!("_Names({}, {})", self.names[*index], integer(*whole)),
            Form::Defined(index, _) => format!("_Defined({})", self.names[*index]),
            Form::Array(of, count) => format!("_Array({}, {count})", self.codec(of)),
        }
    }
}

fn integer(whole: Whole) -> String {
    let signed = if whole.signed { "True" } else { "False" };
    let order = if whole.network { "\"big\"" } else { "ORDER" };
    match (whole.min, whole.max, whole.signed, whole.network) {
        (None, None, false, false) => format!("_Integer({})", whole.bytes),
        (None, None, ..) => format!("_Integer({}, {signed}, {order})", whole.bytes),
        (min, max, ..) => {
            let bound =
                |number: Option<Number>| number.map_or("None".to_owned(), |number| number.to_string());
            format!("_Integer({}, {signed}, {order}, {}, {})", whole.bytes, bound(min), bound(max))
        }
    }
}
