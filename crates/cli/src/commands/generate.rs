// SPDX-License-Identifier: Apache-2.0
//! `l3af gen`: from what maps hold to types and handles in a language.

use std::collections::BTreeMap;
use std::path::Path;

use bindings::{Language, Source};
use compile::bindings_of;
use package::{MAX_LAYER_BYTES, Object, Package};

use crate::arguments::generate::Generate;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::package_source::PackageSource;
use crate::subject::bounded;

pub(crate) fn run(arguments: &Generate) -> Outcome {
    if arguments.package.is_some() && arguments.lang != Language::Go {
        return Err(Failure::new(format!("`--package` is for Go, and not for `{}`", arguments.lang)));
    }
    let text = bindings(arguments)?;
    if let Some(path) = &arguments.output {
        return output::write_file(path, text.as_bytes());
    }
    output::data(text.trim_end());
    Ok(())
}

fn bindings(arguments: &Generate) -> Result<String, Failure> {
    let (path, form) = (&arguments.subject, (arguments.lang, arguments.package.as_deref()));
    if path.join("package.toml").is_file() {
        // Its objects are made as `l3af build` makes them. What else it is to have need not be there yet.
        let (manifest, _) = super::build::read_manifest(path)?;
        let objects = compile::objects(path, BTreeMap::new(), &manifest, output::note)?;
        return Ok(bindings_of(&manifest, &objects, form)?);
    }
    match PackageSource::find(path, &arguments.logins)? {
        Some(source) => {
            let package = source.package()?;
            Ok(bindings_of(&package.manifest, &objects(&package), form)?)
        }
        None => of_object(path, form),
    }
}

/// Every platform was built from one manifest, and the types of one stand for those of all.
fn objects(package: &Package) -> BTreeMap<String, Vec<u8>> {
    let files = package.platforms.first().map(|platform| &platform.files);
    let bytes = |path: &str| files.and_then(|files| files.bytes(path)).unwrap_or_default().to_vec();
    package.manifest.objects().into_iter().map(|path| (path.to_owned(), bytes(path))).collect()
}

fn of_object(path: &Path, (language, go_package): (Language, Option<&str>)) -> Result<String, Failure> {
    let cannot = |error| Failure::new(format!("cannot read `{}`: {error}", path.display()));
    let bytes = bounded(path, MAX_LAYER_BYTES).map_err(cannot)?;
    let unread = |source: package::ObjectError| {
        Failure::new(format!("`{}` is no eBPF object: {source}", path.display()))
            .with_hint("bindings are made of a package, a folder with `package.toml`, or an object (`.o`)")
    };
    let objects = Object::interface(&bytes).map_err(unread)?;
    let endian = Object::parse(&bytes).map_err(unread)?.endian;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = file.split('.').next().unwrap_or(&file).to_owned();
    let objects = [(file.clone(), objects)];
    let source = Source { name: &name, release: &file, objects: &objects, endian, go_package };
    Ok(bindings::generate(&source, language))
}
