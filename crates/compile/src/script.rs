// SPDX-License-Identifier: Apache-2.0
//! What the build script of a program for user space does, where that is a crate in the folder of its package.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use bindings::Language;
use package::Manifest;

use crate::{Uncompiled, bindings_of, objects};

/// Writes a module `maps` with the bindings of the package whose folder that is into `maps.rs` in the folder that Cargo names, for
///
/// ```text
/// include!(concat!(env!("OUT_DIR"), "/maps.rs"));
/// ```
///
/// It is called by a build script (`build.rs`): warnings and what it depends on are told to Cargo.
///
/// # Errors
/// When there is no such package, it does not compile, or the file cannot be written.
pub fn bindings_for_build(folder: &Path) -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "it is how Cargo tells a build script where to write")]
    let output = std::env::var("OUT_DIR")?;
    let path = folder.join("package.toml");
    let manifest = Manifest::parse(&fs::read_to_string(&path)?)?;
    depends_on(&path);
    for source in manifest.programs.iter().filter_map(|program| program.source.as_ref()) {
        depends_on(&folder.join(source));
    }
    for header in manifest.build.iter().flat_map(|build| build.headers.keys()) {
        depends_on(&folder.join(header));
    }
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        if file.extension().is_some_and(|end| end == "h") {
            depends_on(&file);
        }
    }
    let warn = |text: &str| tell(&format!("warning={}", text.replace('\n', " ")));
    let objects = objects(folder, BTreeMap::new(), &manifest, warn).map_err(with_hint)?;
    let text = bindings_of(&manifest, &objects, (Language::Rust, None))?;
    fs::write(Path::new(&output).join("maps.rs"), format!("pub(crate) mod maps {{\n{text}}}\n"))?;
    Ok(())
}

fn with_hint(error: Uncompiled) -> Box<dyn Error> {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}").into(),
        None => error.into(),
    }
}

fn depends_on(path: &Path) {
    tell(&format!("rerun-if-changed={}", path.display()));
}

#[expect(clippy::print_stdout, reason = "it is how a build script speaks to Cargo")]
fn tell(instruction: &str) {
    println!("cargo::{instruction}");
}
