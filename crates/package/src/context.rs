// SPDX-License-Identifier: Apache-2.0
//! What a program takes, as its types say it: the kernel knows contexts by the names of their structures.

use maps::{Btf, Kind};

/// The name of the structure that a function takes as its only argument, by pointer, where it returns a number.
pub(crate) fn argument<'a>(btf: &Btf<'a>, function: &str) -> Option<&'a str> {
    let prototype = btf.types().filter(|(_, name, _)| *name == function).find_map(|(_, _, kind)| {
        if let Kind::Function { prototype, .. } = kind { Some(*prototype) } else { None }
    })?;
    if !names_parameters(btf) {
        return None;
    }
    let Some(Kind::Prototype { returns, parameters }) = btf.resolve(prototype).kind else { return None };
    let Some(Kind::Int { .. }) = btf.resolve(*returns).kind else { return None };
    let [(_, only)] = parameters.as_slice() else { return None };
    let Some(Kind::Pointer { target }) = btf.resolve(*only).kind else { return None };
    let context = btf.resolve(*target);
    matches!(context.kind, Some(Kind::Struct { .. } | Kind::Union { .. })).then(|| btf.name(context.id))
}

/// Whether all parameters of functions have names. Naked ones have none, and the kernel then takes none of the types
/// (`btf_func_check` of `kernel/bpf/btf.c`); libbpf names those of external functions.
fn names_parameters(btf: &Btf<'_>) -> bool {
    let own = btf.types().filter_map(|(_, _, kind)| {
        if let Kind::Function { prototype, external: false } = kind { Some(*prototype) } else { None }
    });
    let mut parameters = own.flat_map(|prototype| match btf.kind(prototype) {
        Some(Kind::Prototype { parameters, .. }) => parameters.as_slice(),
        _ => &[],
    });
    // The last one of a function that takes any number is of no type.
    parameters.all(|(name, target)| !name.is_empty() || *target == 0)
}
