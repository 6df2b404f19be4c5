// SPDX-License-Identifier: Apache-2.0
//! Handles of maps in C: a structure and functions for each.

use super::comment;
use super::layout::Layout;
use crate::model::{Access, Bound, told_of};
use crate::names::{Case, Taken};
use crate::page::{Page, quoted};

/// What functions and types of a map are called, behind its name.
const OWN: [&str; 16] = [
    "key_t",
    "value_t",
    "event_t",
    "shape",
    "open",
    "open_pinned",
    "lookup",
    "update",
    "delete",
    "next",
    "push",
    "pop",
    "peek",
    "read",
    "write",
    "next_event",
];

/// The name of a map. All that begins with it and is called as its functions are is taken, too.
pub(super) fn name(bound: &Bound<'_>, prefix: &str, taken: &mut Taken) -> String {
    let words: Vec<&str> = bound.words.iter().map(String::as_str).collect();
    let name = taken.give(Case::Snake.join(&[&[prefix], words.as_slice()].concat()));
    for own in OWN {
        taken.give(format!("{name}_{own}"));
    }
    name
}

/// A map under its name.
pub(super) fn map(page: &mut Page, layout: &Layout, bound: &Bound<'_>, name: &str) {
    page.line(0, "");
    comment(page, 0, &told_of(bound.map));
    let parts = [("key", &bound.key), ("value", &bound.value), ("event", &bound.event)];
    for (what, form) in parts {
        if let Some(form) = form.as_ref().filter(|_| what != "key" || !bound.access.is_section()) {
            page.line(0, format!("typedef {};", layout.declare(form, &format!("{name}_{what}_t"))));
        }
    }
    if bound.access != Access::Nothing {
        open(page, bound, name);
    }
    for operation in operations(bound.access) {
        let checks = match operation.checks {
            Checks::Nothing => Vec::new(),
            Checks::Value => checked(layout, bound, name),
            Checks::Values => checked_each(layout, bound, name),
        };
        if !operation.said.is_empty() {
            page.line(0, "");
            page.line(0, format!("/* {} */", operation.said));
        }
        let call = format!("return {};", operation.call);
        function(page, &operation.signature.replace('@', name), name, &[checks, vec![call]].concat());
    }
    if bound.access == Access::Ring {
        ring(page, bound, name);
    }
}

/// What is held against bounds before something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    Nothing,
    Value,
    Values,
}

/// A function of a map. In its signature, `@` stands for the name of the map.
#[derive(Debug, Clone, Copy)]
struct Operation {
    said: &'static str,
    signature: &'static str,
    checks: Checks,
    call: &'static str,
}

const fn operation(
    said: &'static str,
    signature: &'static str,
    checks: Checks,
    call: &'static str,
) -> Operation {
    Operation { said, signature, checks, call }
}

#[rustfmt::skip]
const TABLE: [Operation; 4] = [
    operation("", "lookup(const struct @ *of, const @_key_t *key, @_value_t *value)", Checks::Nothing,
        "l3af_element(BPF_MAP_LOOKUP_ELEM, of->map.fd, key, value, BPF_ANY)"),
    operation("", "update(const struct @ *of, const @_key_t *key, const @_value_t *value, uint64_t flags)", Checks::Value,
        "l3af_element(BPF_MAP_UPDATE_ELEM, of->map.fd, key, value, flags)"),
    DELETE,
    NEXT,
];
#[rustfmt::skip]
const PER_CPU: [Operation; 4] = [
    operation("There must be as many values as l3af_processors() says.",
        "lookup(const struct @ *of, const @_key_t *key, @_value_t *values, int count)", Checks::Nothing,
        "l3af_per_cpu(BPF_MAP_LOOKUP_ELEM, of->map.fd, key, values, sizeof(*values), count)"),
    operation("", "update(const struct @ *of, const @_key_t *key, const @_value_t *values, int count)", Checks::Values,
        "l3af_per_cpu(BPF_MAP_UPDATE_ELEM, of->map.fd, key, (void *)values, sizeof(*values), count)"),
    DELETE,
    NEXT,
];
const DELETE: Operation = operation(
    "",
    "delete(const struct @ *of, const @_key_t *key)",
    Checks::Nothing,
    "l3af_element(BPF_MAP_DELETE_ELEM, of->map.fd, key, NULL, BPF_ANY)",
);
const NEXT: Operation = operation(
    "The key behind another, or the first where that is NULL or gone; -ENOENT behind the last.",
    "next(const struct @ *of, const @_key_t *last, @_key_t *next)",
    Checks::Nothing,
    "l3af_element(BPF_MAP_GET_NEXT_KEY, of->map.fd, last, next, 0)",
);
#[rustfmt::skip]
const QUEUE: [Operation; 3] = [
    operation("", "push(const struct @ *of, const @_value_t *value)", Checks::Value,
        "l3af_element(BPF_MAP_UPDATE_ELEM, of->map.fd, NULL, value, BPF_ANY)"),
    operation("", "pop(const struct @ *of, @_value_t *value)", Checks::Nothing,
        "l3af_element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, of->map.fd, NULL, value, 0)"),
    operation("", "peek(const struct @ *of, @_value_t *value)", Checks::Nothing,
        "l3af_element(BPF_MAP_LOOKUP_ELEM, of->map.fd, NULL, value, 0)"),
];
#[rustfmt::skip]
const READ: Operation = operation("", "read(const struct @ *of, @_value_t *value)", Checks::Nothing,
    "l3af_element(BPF_MAP_LOOKUP_ELEM, of->map.fd, &(uint32_t){ 0 }, value, 0)");
#[rustfmt::skip]
const VARIABLES: [Operation; 2] = [
    READ,
    operation("Writes all variables. What the program wrote since they were read is lost.",
        "write(const struct @ *of, const @_value_t *value)", Checks::Value,
        "l3af_element(BPF_MAP_UPDATE_ELEM, of->map.fd, &(uint32_t){ 0 }, value, BPF_ANY)"),
];

fn operations(access: Access) -> &'static [Operation] {
    match access {
        Access::Table => &TABLE,
        Access::PerCpu => &PER_CPU,
        Access::Queue => &QUEUE,
        Access::Variables => &VARIABLES,
        Access::Constants => &[READ],
        Access::Ring | Access::Nothing => &[],
    }
}

fn open(page: &mut Page, bound: &Bound<'_>, name: &str) {
    let (key_bytes, value_bytes) = bound.sizes();
    page.line(0, format!("struct {name} {{"));
    page.line(1, "struct l3af_map map;");
    page.line(0, "};");
    page.line(0, format!("static const struct l3af_shape {name}_shape = {{"));
    page.line(1, format!("{}, {}, {key_bytes}, {value_bytes}", quoted(&bound.map.name), bound.map.kind.0));
    page.line(0, "};");
    page.line(0, "");
    page.line(
        0,
        "/* The one that this program was handed; for a member and at a hook, where they are not NULL. */",
    );
    function(
        page,
        &format!("open(struct {name} *of, const char *member, const char *hook)"),
        name,
        &[format!("return l3af_map_handed(&of->map, member, hook, &{name}_shape);")],
    );
    function(
        page,
        &format!("open_pinned(struct {name} *of, const char *path)"),
        name,
        &[format!("return l3af_map_pinned(&of->map, path, &{name}_shape);")],
    );
}

fn ring(page: &mut Page, bound: &Bound<'_>, name: &str) {
    page.line(0, "");
    page.line(0, "/* The next event, which is there until the next call; NULL where there is none. */");
    let (is, least) = match &bound.event {
        Some(event) => (format!("{name}_event_t"), event.bytes()),
        None => ("void".to_owned(), 0),
    };
    page.line(
        0,
        format!("static inline const {is} *{name}_next_event(struct l3af_ring *ring, size_t *bytes)"),
    );
    page.line(0, "{");
    page.line(1, format!("return (const {is} *)l3af_ring_next(ring, {least}, bytes);"));
    page.line(0, "}");
}

/// What is in front of a write.
fn checked(layout: &Layout, bound: &Bound<'_>, name: &str) -> Vec<String> {
    let lines = bound.value.as_ref().map(|value| layout.check(value, ("(*value)", name), 0));
    let lines = lines.unwrap_or_default();
    if lines.is_empty() {
        return lines;
    }
    let head = "const char *wrong = NULL;".to_owned();
    [vec![head, String::new()], lines, vec!["if (wrong)".to_owned(), "\treturn -ERANGE;".to_owned()]].concat()
}

/// The same for values of all processors.
fn checked_each(layout: &Layout, bound: &Bound<'_>, name: &str) -> Vec<String> {
    let lines = bound.value.as_ref().map(|value| layout.check(value, ("values[index]", name), 0));
    let lines = lines.unwrap_or_default();
    if lines.is_empty() {
        return lines;
    }
    let head =
        ["const char *wrong = NULL;", "", "for (int index = 0; index < count; index++) {"].map(str::to_owned);
    let inner: Vec<String> = lines.into_iter().map(|line| format!("\t{line}")).collect();
    [head.to_vec(), inner, ["}", "if (wrong)", "\treturn -ERANGE;"].map(str::to_owned).to_vec()].concat()
}

fn function(page: &mut Page, signature: &str, name: &str, body: &[String]) {
    page.line(0, format!("static inline int {name}_{signature}"));
    page.line(0, "{");
    for line in body {
        page.line(1, line);
    }
    page.line(0, "}");
}
