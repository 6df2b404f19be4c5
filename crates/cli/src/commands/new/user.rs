// SPDX-License-Identifier: Apache-2.0
//! The program for user space of a new package, and what makes it.

use bindings::Language;

use super::{File, filled};

const MAKEFILE: &str = include_str!("../../../templates/Makefile.in");

/// What is different between languages.
struct Parts {
    /// The source, and its text.
    source: (&'static str, &'static str),
    /// The bindings, which `make` makes.
    bindings: &'static str,
    /// The line that compiles both.
    compile: &'static str,
    /// What is said to `l3af gen` besides.
    flags: &'static str,
}

fn parts(language: Language) -> Parts {
    match language {
        Language::Rust => Parts {
            source: ("user/main.rs", include_str!("../../../templates/user/main.rs.in")),
            bindings: "user/maps.rs",
            compile: "rustc --edition 2024 -O -C strip=symbols -o $@ user/main.rs",
            flags: "",
        },
        Language::C => Parts {
            source: ("user/main.c", include_str!("../../../templates/user/main.c.in")),
            bindings: "user/maps.h",
            compile: "cc -O2 -Wall -Wextra -o $@ user/main.c",
            flags: "",
        },
        Language::Go => Parts {
            source: ("user/main.go", include_str!("../../../templates/user/main.go.in")),
            bindings: "user/maps.go",
            compile: "GO111MODULE=off CGO_ENABLED=0 go build -o $@ $^",
            flags: " --package main",
        },
        // A module and a program in one executable file, since a package has one.
        Language::Python => Parts {
            source: ("user/__main__.py", include_str!("../../../templates/user/main.py.in")),
            bindings: "user/maps.py",
            compile: "python3 -m zipapp user -p /usr/bin/python3 -o $@",
            flags: "",
        },
    }
}

/// What the manifest and the README say of it.
pub(super) fn told(language: Option<Language>) -> (&'static str, String) {
    let Some(language) = language else { return ("", String::new()) };
    let Parts { source: (path, _), bindings, .. } = parts(language);
    let listed = format!(
        "| `{path}` | a program for user space, which the daemon runs |\n\
         | `Makefile` | makes `{bindings}` of the maps (`l3af gen`), the program, and the package |\n"
    );
    ("\n[user]\ncommand = \"tell-counts\"\n", listed)
}

/// What is made and not written.
pub(super) fn ignored(language: Option<Language>) -> String {
    language.map(|language| format!("tell-counts\n{}\n", parts(language).bindings)).unwrap_or_default()
}

/// Its source, and a Makefile.
pub(super) fn files(language: Language, name: &str) -> Vec<File> {
    let Parts { source: (path, text), bindings, compile, flags } = parts(language);
    let sources = format!("{path} {bindings}");
    let prefix = bindings::prefix(name);
    let words = [
        ("name", name),
        ("prefix", &prefix),
        ("sources", &sources),
        ("compile", compile),
        ("bindings", bindings),
        ("language", language.as_str()),
        ("flags", flags),
    ];
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: filled(text, &words) };
    vec![file("Makefile", MAKEFILE), file(path, text)]
}
