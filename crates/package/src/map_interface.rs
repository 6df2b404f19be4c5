// SPDX-License-Identifier: Apache-2.0
//! The map interface of objects, and of a package: what its objects say of their maps, and what its manifest adds.

use std::collections::BTreeMap;

use maps::{Btf, Endian, Interface, MapNotes, Misfits, Section, SectionSymbol};
use object::{Object as _, ObjectSection, ObjectSymbol, SymbolKind};
use thiserror::Error;

use crate::object::{Elf, ObjectMap, damaged, endian_of, read_elf};
use crate::{Manifest, Object, ObjectError};

/// More variables no object has in a section.
pub(crate) const MAX_VARIABLES: usize = 1 << 16;

/// A package whose maps are not what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InterfaceError {
    /// An object cannot be read.
    #[error("`{path}` is not an eBPF object")]
    Object {
        /// The object.
        path: String,
        /// Why not.
        #[source]
        source: ObjectError,
    },
    /// No object has a map of which the manifest says something.
    #[error("`package.toml` says of the map `{name}` what is in it, but no object has it; there are {known}")]
    NoMap {
        /// The map.
        name: String,
        /// The maps that there are.
        known: String,
    },
    /// What the manifest says does not fit an object.
    #[error("what `package.toml` says of maps does not fit `{path}`")]
    Misfits {
        /// The object.
        path: String,
        /// All that does not fit.
        #[source]
        source: Misfits,
    },
}

impl Object {
    /// What an object says of its maps by itself.
    ///
    /// # Errors
    /// When the bytes are no object.
    pub fn interface(bytes: &[u8]) -> Result<Interface, ObjectError> {
        let elf = read_elf(bytes)?;
        let types = btf(&elf, endian_of(&elf))?;
        Ok(Interface::of(types.as_ref(), &sections(&elf)?))
    }
}

impl Manifest {
    /// The interfaces of its objects, by path. Whoever asks tells the bytes of each.
    ///
    /// # Errors
    /// When an object cannot be read, or does not have what the manifest says of it.
    pub fn interfaces<'a>(
        &self,
        bytes: impl Fn(&str) -> &'a [u8],
    ) -> Result<BTreeMap<String, Interface>, InterfaceError> {
        let notes = self.map_notes();
        let mut interfaces = BTreeMap::new();
        for path in self.objects() {
            interfaces.insert(path.to_owned(), joined(path, bytes(path), &notes)?);
        }
        let known = |name: &str| interfaces.values().any(|interface| interface.map(name).is_some());
        match notes.into_iter().find(|said| !known(&said.name)) {
            Some(MapNotes { name, .. }) => Err(InterfaceError::NoMap { name, known: names(&interfaces) }),
            None => Ok(interfaces),
        }
    }

    /// The interface of one of its objects, of which the bytes are told.
    ///
    /// # Errors
    /// When it cannot be read, or does not have what the manifest says of it.
    pub fn interface(&self, path: &str, object: &[u8]) -> Result<Interface, InterfaceError> {
        joined(path, object, &self.map_notes())
    }

    /// Whether its objects have what it says of their maps. Objects are looked into only where it says something.
    ///
    /// # Errors
    /// When they do not.
    pub(crate) fn check_interfaces<'a>(
        &self,
        bytes: impl Fn(&str) -> &'a [u8],
    ) -> Result<(), InterfaceError> {
        if self.map_notes().is_empty() { Ok(()) } else { self.interfaces(bytes).map(drop) }
    }

    fn map_notes(&self) -> Vec<MapNotes> {
        self.maps.values().filter_map(crate::MapSpec::notes).collect()
    }
}

/// The interface of an object with what notes add to it. Types that they name are those of the object.
fn joined(path: &str, bytes: &[u8], notes: &[MapNotes]) -> Result<Interface, InterfaceError> {
    let unread = |source| InterfaceError::Object { path: path.to_owned(), source };
    let elf = read_elf(bytes).map_err(unread)?;
    let types = btf(&elf, endian_of(&elf)).map_err(unread)?;
    let described = Interface::of(types.as_ref(), &sections(&elf).map_err(unread)?);
    // A package may have several objects, and a note is about those that have the map.
    let own: Vec<MapNotes> =
        notes.iter().filter(|said| described.map(&said.name).is_some()).cloned().collect();
    let misfits = |source| InterfaceError::Misfits { path: path.to_owned(), source };
    described.with_notes(&own, types.as_ref()).map_err(misfits)
}

fn names(interfaces: &BTreeMap<String, Interface>) -> String {
    let maps = interfaces.values().flat_map(|interface| &interface.maps);
    let mut names: Vec<String> = maps.map(|map| format!("`{}`", map.name)).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The types of an object, where it describes them.
pub(crate) fn btf<'a>(elf: &Elf<'a>, endian: Endian) -> Result<Option<Btf<'a>>, ObjectError> {
    match elf.section_by_name(".BTF") {
        Some(section) => Ok(Some(Btf::parse(section.data().map_err(damaged)?, endian)?)),
        None => Ok(None),
    }
}

/// The maps that an object declares, by name. Those of global variables are not among them.
pub(crate) fn declared(btf: &Btf<'_>) -> Vec<ObjectMap> {
    let maps = Interface::of(Some(btf), &[]).maps.into_iter();
    let size =
        |part: Option<maps::Type>| part.map_or(0, |part| u32::try_from(part.bytes()).unwrap_or(u32::MAX));
    maps.map(|map| ObjectMap {
        name: map.name,
        kind: map.kind.to_string(),
        key_bytes: size(map.key),
        value_bytes: size(map.value),
        max_entries: map.max_entries,
        flags: map.flags,
        pinned_by_name: map.pinned_by_name,
    })
    .collect()
}

/// Sections of global variables, those of constants among them.
fn sections(elf: &Elf<'_>) -> Result<Vec<Section>, ObjectError> {
    let mut found = Vec::new();
    for section in elf.sections() {
        // What has no name that can be read is no section of variables.
        let Ok(name) = section.name() else { continue };
        if [".bss", ".data", ".rodata"].iter().any(|kind| name.starts_with(kind)) {
            let bytes = usize::try_from(section.size()).unwrap_or(usize::MAX);
            found.push(Section { name: name.to_owned(), bytes, symbols: symbols(elf, &section)? });
        }
    }
    Ok(found)
}

/// The variables of a section, in their order. Compilers leave their places in BTF empty; the symbols have them.
pub(crate) fn symbols<'a>(
    elf: &Elf<'a>,
    section: &impl ObjectSection<'a>,
) -> Result<Vec<SectionSymbol>, ObjectError> {
    let mut found = Vec::new();
    for symbol in elf.symbols().filter(|symbol| symbol.section_index() == Some(section.index())) {
        let Ok(name) = symbol.name() else { continue };
        if !name.is_empty() && symbol.kind() == SymbolKind::Data {
            let [offset, bytes] =
                [symbol.address(), symbol.size()].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
            if found.len() == MAX_VARIABLES {
                return Err(ObjectError::TooManyVariables);
            }
            found.push(SectionSymbol { offset, bytes, name: name.to_owned() });
        }
    }
    found.sort_unstable();
    Ok(found)
}
