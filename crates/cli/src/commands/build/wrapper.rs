// SPDX-License-Identifier: Apache-2.0
//! From a program that knows nothing of chains to one of the scheme of l3afd v1: the text of a source, with the chaining that
//! authors used to write by hand.
//!
//! The function of the program becomes one that a generated program calls, and which tail-calls the next where the verdict lets
//! the chain go on. Parameters become constants: l3afd v1 pins every map of an object but `.bss`, by its name, and no pin has a
//! dot in its name, so that nothing may be left in `.rodata`.

use std::fmt::Write as _;
use std::ops::Range;

use package::{HookPoint, ProceedSet, ProgramName};
use thiserror::Error;

/// A program that is wrapped.
pub(super) struct Member<'a> {
    pub(super) function: &'a ProgramName,
    pub(super) hook: HookPoint,
    /// The verdicts after which the chain goes on.
    pub(super) proceed: &'a ProceedSet,
}

/// A parameter that becomes a constant: its name, and its value where it is another than its source says.
pub(super) struct Fixed<'a> {
    pub(super) name: &'a str,
    pub(super) digits: Option<String>,
}

/// A source that cannot be wrapped.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum NotWrapped {
    /// The program is not defined in a way that is understood.
    #[error("the source has no `SEC(\"...\")` in front of the definition of `{function}`, or several")]
    Definition {
        /// Its function.
        function: ProgramName,
    },
    /// A parameter is not declared in a way that is understood.
    #[error("the source has no declaration `const volatile ... {name}`")]
    Declaration {
        /// Its name.
        name: String,
    },
    /// A parameter that is to have another value stands in one declaration with others, or has no value there.
    #[error("the declaration of `{name}` is not `const volatile TYPE {name} = VALUE;`")]
    Value {
        /// Its name.
        name: String,
    },
}

impl Member<'_> {
    /// The function that l3afd attaches. It tells the direction, as l3afd wants it of names.
    pub(super) fn entry(&self) -> String {
        match self.hook {
            HookPoint::Xdp => format!("xdp_{}", self.function),
            HookPoint::TcIngress => format!("tc_ingress_{}", self.function),
            HookPoint::TcEgress => format!("tc_egress_{}", self.function),
        }
    }

    /// The map with the next program.
    pub(super) fn next(&self) -> String {
        format!("{}_next_prog", self.entry())
    }

    fn section(&self) -> &'static str {
        match self.hook {
            HookPoint::Xdp => "xdp",
            HookPoint::TcIngress | HookPoint::TcEgress => "tc",
        }
    }

    fn context(&self) -> &'static str {
        match self.hook {
            HookPoint::Xdp => "xdp_md",
            HookPoint::TcIngress | HookPoint::TcEgress => "__sk_buff",
        }
    }

    /// The map, and the program that calls the author's.
    fn generated(&self) -> String {
        let (entry, next, function) = (self.entry(), self.next(), self.function);
        let (section, context) = (self.section(), self.context());
        let mut cases = String::new();
        for verdict in self.hook.verdicts().iter().filter(|verdict| self.proceed.contains(verdict.value())) {
            let _ = writeln!(cases, "\tcase {}: /* {} */", verdict.value(), verdict.name());
        }
        if !cases.is_empty() {
            let _ = writeln!(cases, "\t\tl3afd_tail_call(context, &{next}, 0);");
        }
        format!(
            "\n/* The next program of the chain, at key 0; l3afd writes it. */\n\
             struct {{\n\tint (*type)[3]; /* BPF_MAP_TYPE_PROG_ARRAY */\n\tint (*max_entries)[1];\n\
             \tunsigned int *key;\n\tunsigned int *value;\n\tint (*pinning)[1]; /* LIBBPF_PIN_BY_NAME */\n\
             }} {next} __attribute__((section(\".maps\"), used));\n\n\
             __attribute__((section(\"{section}\"), used)) int {entry}(struct {context} *context)\n{{\n\
             \tint verdict = {function}(context);\n\n\
             \t/* Where there is no next program, the call does nothing. */\n\
             \tswitch (verdict) {{\n{cases}\t}}\n\treturn verdict;\n}}\n"
        )
    }
}

/// The source with its programs wrapped.
pub(super) fn wrapped(
    source: &str,
    file: &str,
    members: &[Member<'_>],
    parameters: &[Fixed<'_>],
) -> Result<String, NotWrapped> {
    let code = masked(source);
    let mut changes = Vec::new();
    for member in members {
        let found = definitions(&code, member.function.as_ref());
        let [section] = found.as_slice() else {
            return Err(NotWrapped::Definition { function: member.function.clone() });
        };
        changes.push((section.clone(), "static inline __attribute__((always_inline))".to_owned()));
    }
    for parameter in parameters {
        changes.extend(constant(&code, parameter)?);
    }
    changes.sort_by_key(|(place, _)| place.start);
    // Several parameters may stand in one declaration.
    changes.dedup();
    let mut text = format!("#line 1 \"{file}\"\n");
    let mut at = 0;
    for (place, with) in changes {
        text.push_str(&source[at..place.start]);
        text.push_str(&with);
        at = place.end;
    }
    text.push_str(&source[at..]);
    text.push_str("\n#line 1 \"l3afd.c\"\nstatic long (*const l3afd_tail_call)(void *context, void *map, unsigned int key) = (void *)12;\n");
    text.extend(members.iter().map(Member::generated));
    Ok(text)
}

/// The text with everything in comments, strings and characters blanked, byte for byte; lines stay.
fn masked(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = String::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = match rest {
            [b'/', b'*', ..] => find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4),
            [b'/', b'/', ..] => find(rest, b"\n").unwrap_or(rest.len()),
            [quote @ (b'"' | b'\''), ..] => literal(rest, *quote),
            _ => 0,
        };
        let kept = usize::from(end == 0);
        code.extend(rest[..kept].iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }));
        code.extend(rest[kept..end.max(kept)].iter().map(|byte| if *byte == b'\n' { '\n' } else { ' ' }));
        at += end.max(kept);
    }
    code
}

/// How long a string or a character is, with its quotes.
fn literal(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != quote && text[at] != b'\n' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The places of `SEC(...)` in front of definitions of a function.
fn definitions(code: &str, function: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for start in words(code, "SEC") {
        let Some(end) = closed(code, start + "SEC".len()) else { continue };
        let Some(stop) = code[end..].find(['(', ';', '{', '=', ',']).map(|stop| end + stop) else { continue };
        let head = code[end..stop].trim_end();
        let is_it = code[stop..].starts_with('(')
            && words(head, function).last().copied() == head.len().checked_sub(function.len());
        let body = closed(code, stop).map(|end| code[end..].trim_start().starts_with('{'));
        if is_it && body == Some(true) {
            found.push(start..end);
        }
    }
    found
}

/// Where the parenthesis ends that begins behind blanks.
fn closed(code: &str, from: usize) -> Option<usize> {
    let open = from + code[from..].find(|letter: char| !letter.is_whitespace())?;
    let mut depth = 0_usize;
    for (at, letter) in code[open..].char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return (at > 0).then_some(open + at + 1);
        }
    }
    None
}

/// What makes a parameter a constant: it is no longer volatile, and only this source knows it. Conditions of the preprocessor may
/// leave one of several declarations.
fn constant(code: &str, parameter: &Fixed<'_>) -> Result<Vec<(Range<usize>, String)>, NotWrapped> {
    let name = parameter.name;
    let mut changes = Vec::new();
    for start in words(code, "const") {
        let Some((marks, semicolon)) = declaration(code, start) else { continue };
        let statement = &code[marks.end..semicolon];
        let Some(own) = words(statement, name).first().copied() else { continue };
        let is_static = code[..start].trim_end().ends_with("static");
        changes.push((marks, if is_static { "const" } else { "static const" }.to_owned()));
        if let Some(digits) = &parameter.digits {
            let behind = statement[own + name.len()..].trim_start();
            if !behind.starts_with('=') || statement.contains(',') {
                return Err(NotWrapped::Value { name: name.to_owned() });
            }
            changes.push((semicolon - behind.len() + 1..semicolon, format!(" {}", spelled(digits))));
        }
    }
    if changes.is_empty() { Err(NotWrapped::Declaration { name: name.to_owned() }) } else { Ok(changes) }
}

/// Where `const volatile` stands, if that begins here outside of functions, and the end of the declaration.
fn declaration(code: &str, start: usize) -> Option<(Range<usize>, usize)> {
    let rest = code[start..].strip_prefix("const")?.trim_start().strip_prefix("volatile")?;
    let end = code.len() - rest.len();
    let is_outside = code[..start].matches('{').count() == code[..start].matches('}').count();
    let semicolon = end + rest.find(';')?;
    (is_outside && rest.starts_with(char::is_whitespace)).then_some((start..end, semicolon))
}

/// A number in C.
fn spelled(digits: &str) -> String {
    // Decimal constants are signed where nothing else is said (C11 6.4.4.1).
    if digits.parse::<i64>().is_ok() { digits.to_owned() } else { format!("{digits}ULL") }
}

/// Where a word stands.
fn words(code: &str, word: &str) -> Vec<usize> {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let whole = |at: &usize| !code[..*at].ends_with(inner) && !code[at + word.len()..].starts_with(inner);
    code.match_indices(word).map(|(at, _)| at).filter(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
/* SEC(\"xdp\") int filter(struct xdp_md *ctx) { } */
const volatile __u32 most = 100, least; /* ; */
const volatile __u64 window = 5 * 60;
static const char text[] = \"SEC(int filter(\";
#ifdef SLOW
static const volatile __u16 pause = 1;
#else
const volatile __u16 pause = 0;
#endif
int helper(int filter);

SEC(\"xdp\")
int filter(struct xdp_md *ctx)
{
	const volatile __u32 *own = &most;

	return *(const volatile int *)&text;
}
";

    fn wrap(source: &str, parameters: &[Fixed<'_>]) -> Result<String, NotWrapped> {
        let (function, proceed) = ("filter".parse().unwrap(), ProceedSet::default_for(HookPoint::TcEgress));
        let members = [Member { function: &function, hook: HookPoint::TcEgress, proceed: &proceed }];
        wrapped(source, "filter.bpf.c", &members, parameters)
    }

    fn fixed(name: &str, value: Option<u64>) -> Fixed<'_> {
        Fixed { name, digits: value.map(|value| value.to_string()) }
    }

    #[test]
    fn a_program_becomes_a_function_that_a_generated_one_calls() {
        let parameters = [
            fixed("most", None),
            fixed("least", None),
            fixed("window", Some(1 << 63)),
            fixed("pause", Some(7)),
        ];
        insta::assert_snapshot!(wrap(SOURCE, &parameters).unwrap(), @r#"
        #line 1 "filter.bpf.c"
        /* SEC("xdp") int filter(struct xdp_md *ctx) { } */
        static const __u32 most = 100, least; /* ; */
        static const __u64 window = 9223372036854775808ULL;
        static const char text[] = "SEC(int filter(";
        #ifdef SLOW
        static const __u16 pause = 7;
        #else
        static const __u16 pause = 7;
        #endif
        int helper(int filter);

        static inline __attribute__((always_inline))
        int filter(struct xdp_md *ctx)
        {
        	const volatile __u32 *own = &most;

        	return *(const volatile int *)&text;
        }

        #line 1 "l3afd.c"
        static long (*const l3afd_tail_call)(void *context, void *map, unsigned int key) = (void *)12;

        /* The next program of the chain, at key 0; l3afd writes it. */
        struct {
        	int (*type)[3]; /* BPF_MAP_TYPE_PROG_ARRAY */
        	int (*max_entries)[1];
        	unsigned int *key;
        	unsigned int *value;
        	int (*pinning)[1]; /* LIBBPF_PIN_BY_NAME */
        } tc_egress_filter_next_prog __attribute__((section(".maps"), used));

        __attribute__((section("tc"), used)) int tc_egress_filter(struct __sk_buff *context)
        {
        	int verdict = filter(context);

        	/* Where there is no next program, the call does nothing. */
        	switch (verdict) {
        	case -1: /* unspec */
        	case 0: /* ok */
        	case 3: /* pipe */
        		l3afd_tail_call(context, &tc_egress_filter_next_prog, 0);
        	}
        	return verdict;
        }
        "#);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let twice =
            SOURCE.replace("int helper(int filter);", "SEC(\"tc\") int filter(void *ctx) { return 0; }");
        for source in
            ["int filter(struct xdp_md *ctx) { return 0; }", "SEC(\"xdp\") int filter(void *ctx);", &twice]
        {
            let refused = wrap(source, &[]).unwrap_err();
            insta::allow_duplicates! {
                insta::assert_snapshot!(refused, @r#"the source has no `SEC("...")` in front of the definition of `filter`, or several"#);
            }
        }
        insta::assert_snapshot!(wrap(SOURCE, &[fixed("other", None)]).unwrap_err(), @"the source has no declaration `const volatile ... other`");
        insta::assert_snapshot!(wrap(SOURCE, &[fixed("most", Some(1))]).unwrap_err(), @"the declaration of `most` is not `const volatile TYPE most = VALUE;`");
    }
}
