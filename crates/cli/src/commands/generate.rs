// SPDX-License-Identifier: Apache-2.0
//! `l3af gen`: from what maps hold to types and handles in a language.

use std::collections::BTreeMap;
use std::path::Path;

use bindings::{Language, Source};
use maps::{Endian, Interface};
use package::{MAX_LAYER_BYTES, Manifest, Object, Package};

use crate::arguments::generate::Generate;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::package_source::PackageSource;
use crate::subject::bounded;

/// What bindings are made of, at hand.
struct Subject {
    name: String,
    release: String,
    objects: Vec<(String, Interface)>,
    endian: Endian,
}

pub(crate) fn run(arguments: &Generate) -> Outcome {
    if arguments.package.is_some() && arguments.lang != Language::Go {
        return Err(Failure::new(format!("`--package` is for Go, and not for `{}`", arguments.lang)));
    }
    let subject = find(arguments)?;
    let source = Source {
        name: &subject.name,
        release: &subject.release,
        objects: &subject.objects,
        endian: subject.endian,
        go_package: arguments.package.as_deref(),
    };
    let text = bindings::generate(&source, arguments.lang);
    if let Some(path) = &arguments.output {
        return output::write_file(path, text.as_bytes());
    }
    output::data(text.trim_end());
    Ok(())
}

fn find(arguments: &Generate) -> Result<Subject, Failure> {
    let path = &arguments.subject;
    if path.join("package.toml").is_file() {
        return of_folder(path);
    }
    match PackageSource::find(path, &arguments.logins)? {
        Some(source) => of_package(&source.package()?),
        None => of_object(path),
    }
}

/// A folder with sources: its objects are made as `l3af build` makes them. What else it is to have need not be there yet.
fn of_folder(folder: &Path) -> Result<Subject, Failure> {
    let (manifest, _) = super::build::read_manifest(folder)?;
    let objects = super::build::objects(folder, BTreeMap::new(), &manifest)?;
    of_manifest(&manifest, &objects)
}

fn of_package(package: &Package) -> Result<Subject, Failure> {
    let manifest = &package.manifest;
    // Every platform was built from one manifest, and the types of one stand for those of all.
    let files = package.platforms.first().map(|platform| &platform.files);
    let bytes = |path: &str| files.and_then(|files| files.bytes(path)).unwrap_or_default().to_vec();
    let objects = manifest.objects().into_iter().map(|path| (path.to_owned(), bytes(path))).collect();
    of_manifest(manifest, &objects)
}

fn of_manifest(manifest: &Manifest, objects: &BTreeMap<String, Vec<u8>>) -> Result<Subject, Failure> {
    let bytes = |path: &str| objects.get(path).map(Vec::as_slice).unwrap_or_default();
    let interfaces = manifest.interfaces(bytes)?;
    let mut orders = Vec::new();
    for path in interfaces.keys() {
        orders.push(Object::parse(bytes(path))?.endian);
    }
    let endian = orders.first().copied().unwrap_or(Endian::Little);
    if orders.iter().any(|order| *order != endian) {
        return Err(Failure::new("the objects of the package are of two byte orders")
            .with_hint("generate bindings from each object by itself: `l3af gen OBJECT`"));
    }
    let info = &manifest.package;
    Ok(Subject {
        name: info.name.to_string(),
        release: format!("{}/{} {}", info.publisher, info.name, info.version),
        objects: interfaces.into_iter().collect(),
        endian,
    })
}

fn of_object(path: &Path) -> Result<Subject, Failure> {
    let cannot = |error| Failure::new(format!("cannot read `{}`: {error}", path.display()));
    let bytes = bounded(path, MAX_LAYER_BYTES).map_err(cannot)?;
    let unread = |source: package::ObjectError| {
        Failure::new(format!("`{}` is no eBPF object: {source}", path.display()))
            .with_hint("bindings are made of a package, a folder with `package.toml`, or an object (`.o`)")
    };
    let interface = Object::interface(&bytes).map_err(unread)?;
    let endian = Object::parse(&bytes).map_err(unread)?.endian;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = file.split('.').next().unwrap_or(&file).to_owned();
    Ok(Subject { name, release: file.clone(), objects: vec![(file, interface)], endian })
}
