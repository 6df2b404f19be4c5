// SPDX-License-Identifier: Apache-2.0
//! The objects of a package, and bindings of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bindings::{Language, Source};
use maps::{Endian, Interface};
use package::{Manifest, Object};

use crate::{Clang, Uncompiled, Undescribed};

/// Every object of a manifest, by its path in the package: given by hand, by the name of its file; compiled; or found in the folder
/// as it is. What is worth a warning is told.
///
/// # Errors
/// When a source does not compile, an object is nowhere, or one is given that the manifest does not name.
pub fn objects(
    folder: &Path,
    mut given: BTreeMap<String, Vec<u8>>,
    manifest: &Manifest,
    tell: fn(&str),
) -> Result<BTreeMap<String, Vec<u8>>, Uncompiled> {
    let mut objects = BTreeMap::new();
    let mut clang = None;
    for program in &manifest.programs {
        let path = program.object.as_str();
        if objects.contains_key(path) {
            continue;
        }
        let bytes = match (given.remove(path.rsplit('/').next().unwrap_or(path)), &program.source) {
            (Some(bytes), _) => bytes,
            (None, Some(source)) => {
                let clang = match &mut clang {
                    Some(found) => found,
                    none => none.insert(Clang::find(manifest.build.as_ref(), tell)?),
                };
                clang.compile(folder, source)?
            }
            (None, None) => {
                let path = folder.join(path);
                fs::read(&path).map_err(|source| Uncompiled::Unread { path, source })?
            }
        };
        objects.insert(path.to_owned(), bytes);
    }
    match given.into_keys().next() {
        Some(name) => Err(Uncompiled::Stray { name }),
        None => Ok(objects),
    }
}

/// Bindings of the maps of a package in a language, with the name of their package where they are in Go. `objects` has the bytes of
/// each object of the manifest, by path.
///
/// # Errors
/// When the objects do not say what is in their maps, or not what the manifest says.
pub fn bindings_of(
    manifest: &Manifest,
    objects: &BTreeMap<String, Vec<u8>>,
    (language, go_package): (Language, Option<&str>),
) -> Result<String, Undescribed> {
    let bytes = |path: &str| objects.get(path).map(Vec::as_slice).unwrap_or_default();
    let interfaces: Vec<(String, Interface)> = manifest.interfaces(bytes)?.into_iter().collect();
    let mut orders = Vec::new();
    for (path, _) in &interfaces {
        orders.push(Object::parse(bytes(path))?.endian);
    }
    let endian = orders.first().copied().unwrap_or(Endian::Little);
    if orders.iter().any(|order| *order != endian) {
        return Err(Undescribed::TwoOrders);
    }
    let info = &manifest.package;
    let source = Source {
        name: info.name.as_ref(),
        release: &format!("{}/{} {}", info.publisher, info.name, info.version),
        objects: &interfaces,
        endian,
        go_package,
    };
    Ok(bindings::generate(&source, language))
}
