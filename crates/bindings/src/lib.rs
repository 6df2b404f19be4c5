// SPDX-License-Identifier: Apache-2.0
//! Bindings: the maps of a package, typed, in the language of whoever writes a program for user space.
//!
//! [`generate`] makes one file out of map interfaces: types for keys, values and events, and a handle for each map. It does
//! no I/O, and the same interfaces give the same bytes. `docs/bindings.md` says what is made of what.

mod c;
mod go;
mod model;
mod names;
mod page;
mod python;
mod rust;

use std::fmt;
use std::str::FromStr;

use maps::{Endian, Interface};

/// What bindings are made of.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What the package or the object is called.
    pub name: &'a str,
    /// What it is called in full, with its version.
    pub release: &'a str,
    /// Its objects, by path, with what their maps hold.
    pub objects: &'a [(String, Interface)],
    /// The byte order of its objects.
    pub endian: Endian,
    /// The name of the Go package, where it is to be another than that of the package.
    pub go_package: Option<&'a str>,
}

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Rust 1.82 or newer, a module.
    Rust,
    /// C11, a header.
    C,
    /// Go 1.19 or newer, a file of a package.
    Go,
    /// Python 3.9 or newer, a module.
    Python,
}

/// Text that is no language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLanguage {
    given: String,
}

impl fmt::Display for UnknownLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are no bindings for `{}`; there are for `rust`, `c`, `go` and `python`", self.given)
    }
}

impl std::error::Error for UnknownLanguage {}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::C, Self::Go, Self::Python];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Go => "go",
            Self::Python => "python",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        let found = Self::ALL.into_iter().find(|language| language.as_str() == text);
        found.ok_or_else(|| UnknownLanguage { given: text.to_owned() })
    }
}

/// What all that is in bindings in C is called begins with, and `_`.
pub fn prefix(name: &str) -> String {
    names::Case::Snake.join(&[name])
}

/// The text of a file with the bindings.
pub fn generate(source: &Source<'_>, language: Language) -> String {
    let model = model::Model::of(source);
    match language {
        Language::Rust => rust::write(source, &model),
        Language::C => c::write(source, &model),
        Language::Go => go::write(source, &model),
        Language::Python => python::write(source, &model),
    }
}
