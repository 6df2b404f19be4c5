// SPDX-License-Identifier: Apache-2.0
//! Bindings in C: a header. Structures lie as in the kernel, with padding that has names, and the compiler holds sizes and places
//! against the interface.

mod bounds;
mod functions;
mod layout;
mod maps;

use ::maps::{Endian, Number, Place};

use self::bounds::{Bounds, bounds, literal};
use self::functions::{Accessors, plain};
use self::layout::{Layout, Slot, Within};
use crate::Source;
use crate::model::{Content, Definition, Form, Model, Part, told};
use crate::names::{Case, Taken};
use crate::page::{Page, head};

/// Keywords, and what compilers and the headers above define as macros.
const WORDS: &[&str] = &[
    "asm", "auto", "bool", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
    "enum", "errno", "extern", "false", "float", "for", "goto", "i386", "if", "inline", "int", "linux",
    "long", "register", "restrict", "return", "short", "signed", "sizeof", "static", "stderr", "stdin",
    "stdout", "struct", "switch", "true", "typedef", "typeof", "union", "unix", "unsigned", "void",
    "volatile", "while",
];

/// The file.
pub(crate) fn write(source: &Source<'_>, model: &Model<'_>) -> String {
    let prefix = crate::prefix(source.name);
    let mut taken = Taken::but(WORDS);
    let called: Vec<String> = model.maps.iter().map(|bound| maps::name(bound, &prefix, &mut taken)).collect();
    let layout = Layout::of(model, &prefix, &mut taken);
    let guard = format!("{}_MAPS_H", Case::Upper.join(&[source.name]));
    let mut page = Page::new("\t");
    comment(&mut page, 0, &head(source));
    page.line(0, format!("#ifndef {guard}"));
    page.line(0, format!("#define {guard}"));
    page.line(0, "");
    page.raw(include_str!("../runtime/c.in"));
    page.line(0, "");
    let order = if source.endian == Endian::Little { "LITTLE" } else { "BIG" };
    page.line(
        0,
        format!("_Static_assert(__BYTE_ORDER__ == __ORDER_{order}_ENDIAN__, \"another byte order\");"),
    );
    for (index, definition) in model.definitions.iter().enumerate() {
        page.line(0, "");
        match &definition.content {
            Content::Struct(parts) => {
                structure(&mut page, &layout, (index, definition), (parts, Within::Struct));
            }
            Content::Union(parts) => {
                structure(&mut page, &layout, (index, definition), (parts, Within::Union));
            }
            Content::Enum(names) | Content::Flags(names) => {
                enumeration(&mut page, &layout, (index, definition), (names, &mut taken));
            }
        }
    }
    for (bound, name) in model.maps.iter().zip(&called) {
        maps::map(&mut page, &layout, bound, name);
    }
    page.line(0, "");
    page.line(0, format!("#endif /* {guard} */"));
    page.into_text()
}

fn comment(page: &mut Page, depth: usize, paragraphs: &[String]) {
    if !paragraphs.is_empty() {
        page.line(depth, "/*");
        page.comment(depth, " *", paragraphs);
        page.line(depth, " */");
    }
}

fn enumeration(
    page: &mut Page,
    layout: &Layout,
    (index, definition): (usize, &Definition<'_>),
    (names, taken): (&::maps::Names, &mut Taken),
) {
    let name = &layout.names[index];
    let bytes = definition.is.bytes();
    let signed = names.signed && matches!(definition.content, Content::Enum(_));
    comment(page, 0, &told(definition.is));
    page.line(0, format!("typedef {} {name};", layout::integer(bytes, signed)));
    let bits = u32::try_from(bytes * 8).unwrap_or(u32::MAX);
    for (known, value) in &names.names {
        let constant = taken.give(Case::Upper.join(&[name.as_str(), known]));
        let value = literal(Number::of_bits(value.to_word(), bits, signed));
        page.line(0, format!("#define {constant} (({name}){value})"));
    }
}

fn structure(
    page: &mut Page,
    layout: &Layout,
    (index, definition): (usize, &Definition<'_>),
    (parts, within): (&[Part<'_>], Within),
) {
    let name = &layout.names[index];
    let bytes = definition.is.bytes();
    let slots = layout::slots(parts, bytes, within);
    comment(page, 0, &told(definition.is));
    page.line(0, format!("{name} {{"));
    for slot in &slots {
        if let Slot::Part { part, .. } = slot {
            comment(page, 1, &told(part.is));
        }
        page.line(1, format!("{};", layout.declared(slot)));
    }
    let packed = if layout.aligns[index] == 1 { " __attribute__((packed))" } else { "" };
    page.line(0, format!("}}{packed};"));
    page.line(0, format!("_Static_assert(sizeof({name}) == {bytes}, \"its size\");"));
    for slot in &slots {
        let (at, field) = slot.place();
        page.line(0, format!("_Static_assert(offsetof({name}, {field}) == {at}, \"its place\");"));
    }
    let functions = &layout.functions[index];
    for (place, accessors) in &functions.bits {
        bit_field(page, layout, (name, accessors), &parts[*place]);
    }
    check(page, layout, (index, name), (&slots, parts, within));
    page.line(0, "");
    page.line(0, "/* Zero, but for what its author says otherwise. */");
    page.line(0, format!("static inline {name} {}(void)", functions.default));
    page.line(0, "{");
    page.line(1, format!("{name} value;"));
    page.line(0, "");
    page.line(1, "memset(&value, 0, sizeof(value));");
    for (at, given) in &definition.defaults {
        let list: Vec<String> = given.iter().map(ToString::to_string).collect();
        page.line(
            1,
            format!(
                "memcpy((uint8_t *)&value + {at}, (const uint8_t[]){{ {} }}, {});",
                list.join(", "),
                given.len()
            ),
        );
    }
    page.line(1, "return value;");
    page.line(0, "}");
}

fn bit_field(page: &mut Page, layout: &Layout, (name, accessors): (&str, &Accessors), part: &Part<'_>) {
    let Place::Bits { bit_offset: start, bits } = part.place else { return };
    let signed = part.form.number().is_some_and(|whole| whole.signed);
    let is = match (&part.form, part.form.number()) {
        (Form::Names(index, _), _) => layout.names[*index].clone(),
        (_, Some(whole)) => layout::integer(whole.bytes, whole.signed),
        (_, None) => "bool".to_owned(),
    };
    let read = if signed { "l3af_signed_bits" } else { "l3af_bits" };
    page.line(0, "");
    comment(page, 0, &told(part.is));
    page.line(0, format!("static inline {is} {}(const {name} *of)", accessors.read));
    page.line(0, "{");
    page.line(1, format!("return ({is}){read}(of, {start}, {bits});"));
    page.line(0, "}");
    page.line(0, "");
    page.line(0, format!("/* {bits} bits; those above are left out. */"));
    page.line(0, format!("static inline void {}({name} *of, {is} value)", accessors.write));
    page.line(0, "{");
    page.line(1, format!("l3af_put_bits(of, {start}, {bits}, (uint64_t)value);"));
    page.line(0, "}");
}

/// What may not be written is told in words.
fn check(
    page: &mut Page,
    layout: &Layout,
    (index, name): (usize, &str),
    (slots, parts, within): (&[Slot<'_>], &[Part<'_>], Within),
) {
    page.line(0, "");
    page.line(0, "/* What is wrong with it, in words; NULL where nothing is. */");
    let functions = &layout.functions[index];
    page.line(0, format!("static inline const char *{}(const {name} *value)", functions.check));
    page.line(0, "{");
    page.line(1, "const char *wrong = NULL;");
    page.line(0, "");
    page.line(1, "(void)value;");
    // Nobody knows which part of a union it is.
    if within == Within::Struct {
        let plain = plain(name);
        let bits = functions.bits.iter();
        let bits = bits.flat_map(|(place, accessors)| of_bits(&parts[*place], plain, &accessors.read));
        for line in slots.iter().flat_map(|slot| of_slot(layout, slot, plain)).chain(bits) {
            page.line(1, line);
        }
    }
    page.line(1, "return wrong;");
    page.line(0, "}");
}

fn of_slot(layout: &Layout, slot: &Slot<'_>, plain: &str) -> Vec<String> {
    let Slot::Part { part, field, .. } = slot else { return Vec::new() };
    layout.check(&part.form, (&format!("value->{field}"), &format!("{plain}.{field}")), 0)
}

fn of_bits(part: &Part<'_>, plain: &str, read: &str) -> Vec<String> {
    let Form::Integer(whole) = &part.form else { return Vec::new() };
    let field = Case::Snake.join(&[&part.name]);
    bounds(&format!("{read}(value)"), &format!("{plain}.{field}"), &Bounds::from(whole))
}
