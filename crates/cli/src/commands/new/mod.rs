// SPDX-License-Identifier: Apache-2.0
//! `l3af new`: from a name and a hook to a folder with a package that builds and runs.
//!
//! Everything that is written is a file in `templates/`, with words in double braces that are replaced.

mod hooks;
mod user;

use std::fs;
use std::path::Path;

use self::hooks::Hook;
use crate::arguments::new::NewPackage;
use crate::failure::{Failure, Outcome};
use crate::output;

/// The part of the kernel's interface that packages of this repository have, too.
const KERNEL: &str = include_str!("../../../../../programs/include/vmlinux.h");
const MANIFEST: &str = include_str!("../../../templates/package.toml.in");
const README: &str = include_str!("../../../templates/README.md.in");
const TESTS: &str = include_str!("../../../templates/tests.toml.in");
const LICENSE: &str = include_str!("../../../templates/LICENSE.in");

const TESTS_LISTED: &str =
    "| `tests/counts.toml` | packets that `l3af test` has it meet, and what must come of them |\n";

/// A file of the new folder.
struct File {
    path: String,
    text: String,
}

pub(crate) fn run(arguments: &NewPackage) -> Outcome {
    let folder = Path::new(arguments.name.as_ref());
    let taken = folder.is_file() || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        return Err(Failure::new(format!("there is something in `{}` already", folder.display()))
            .with_hint("choose another name, or another folder to begin it in"));
    }
    for file in files(arguments) {
        let path = folder.join(&file.path);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(&path, file.text)
        };
        write().map_err(|error: std::io::Error| {
            Failure::new(format!("cannot write `{}`: {error}", path.display()))
        })?;
    }
    let next = if arguments.user.0.is_some() { "make" } else { "l3af build ." };
    output::note(&format!("made `{0}`\nhint: cd {0} && {next}", folder.display()));
    Ok(())
}

/// All files of a new package.
fn files(arguments: &NewPackage) -> Vec<File> {
    let hook = Hook::of(arguments.hook);
    let (name, publisher) = (arguments.name.to_string(), arguments.publisher.to_string());
    let kind = arguments.hook.to_string();
    let language = arguments.user.0;
    let (manifest_part, listed) = user::told(language);
    let build = if language.is_some() { "make" } else { "l3af build ." };
    let (build, listed) = match hook.verdict {
        Some(_) => (format!("{build}\nsudo l3af test ."), format!("{TESTS_LISTED}{listed}")),
        None => (build.to_owned(), listed),
    };
    let place = if hook.place.is_empty() { String::new() } else { format!("\n{}\n", hook.place) };
    let attach = if hook.attach.is_empty() { String::new() } else { format!("attach = {}\n", hook.attach) };
    let words = [
        // It has a name in it.
        ("where", place.as_str()),
        ("name", &name),
        ("publisher", &publisher),
        ("description", hook.description()),
        ("subcategory", hook.subcategory),
        ("kernel", hook.kernel),
        ("function", hook.function),
        ("hook", &kind),
        ("attach", &attach),
        ("maps", hook.maps),
        ("user", manifest_part),
        ("build", &build),
        ("verdict", hook.verdict.unwrap_or_default()),
        ("run", hook.run),
        ("files", &listed),
    ];
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: filled(text, &words) };
    let mut files = vec![
        file(&format!("{name}.bpf.c"), hook.source),
        file("vmlinux.h", KERNEL),
        file("package.toml", MANIFEST),
        file("README.md", README),
        file("LICENSE", LICENSE),
        file(".gitignore", &format!("*.oci\n*.key\n{}", user::ignored(language))),
    ];
    files.extend(hook.verdict.map(|_| file("tests/counts.toml", TESTS)));
    files.extend(language.into_iter().flat_map(|language| user::files(language, &name)));
    files
}

/// A template with its words replaced.
fn filled(template: &str, words: &[(&str, &str)]) -> String {
    words
        .iter()
        .fold(template.to_owned(), |text, (name, word)| text.replace(&format!("{{{{{name}}}}}"), word))
}

#[cfg(test)]
mod tests {
    use bindings::Language;
    use package::{HookPoint, Manifest, ProbeKind, ProgramKind};

    use super::*;
    use crate::arguments::new::User;

    fn made(hook: ProgramKind, user: Option<Language>) -> Vec<File> {
        named("my-guard", hook, user)
    }

    fn named(name: &str, hook: ProgramKind, user: Option<Language>) -> Vec<File> {
        let (name, publisher) = (name.parse().unwrap(), "somebody".parse().unwrap());
        files(&NewPackage { name, hook, user: User(user), publisher })
    }

    /// Whether what is made fits together.
    fn check(kind: ProgramKind, language: Option<Language>) {
        let files = made(kind, language);
        let left: Vec<&str> =
            files.iter().filter(|file| file.text.contains("{{")).map(|file| file.path.as_str()).collect();
        assert!(left.is_empty(), "{kind} {language:?}: {left:?}");
        let text = |path: &str| &files.iter().find(|file| file.path == path).unwrap().text;
        let manifest = Manifest::parse(text("package.toml")).unwrap();
        assert_eq!(manifest.programs[0].hook, kind);
        let function = format!("int {}(", manifest.programs[0].function);
        assert!(text("my-guard.bpf.c").contains(&function), "{kind}");
        assert_eq!(manifest.user.is_some(), language.is_some());
    }

    #[test]
    fn every_hook_and_language_is_a_manifest_without_a_word_left() {
        let chains = HookPoint::ALL.map(ProgramKind::Chain).into_iter();
        for kind in chains.chain(ProbeKind::ALL.map(ProgramKind::Probe)) {
            check(kind, None);
            for language in Language::ALL {
                check(kind, Some(language));
            }
        }
    }

    /// Whether a program calls the map as its bindings do.
    fn calls(name: &str, language: Language) {
        let counts = r#"{"maps": [{"name": "counts", "kind": "percpu_array", "max_entries": 1,
            "key": {"kind": "integer", "bytes": 4}, "value": {"kind": "integer", "bytes": 8}}]}"#;
        let objects = [("one.bpf.o".to_owned(), serde_json::from_str(counts).unwrap())];
        let (endian, go_package) = (maps::Endian::Little, Some("main"));
        let source = bindings::Source { name, release: name, objects: &objects, endian, go_package };
        let bindings = bindings::generate(&source, language);
        let files = named(name, ProgramKind::Chain(HookPoint::Xdp), Some(language));
        let program = files.iter().find(|file| file.path.starts_with("user/")).unwrap();
        let words = |text: &str| -> Vec<String> {
            let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            words
                .filter(|word| word.contains("_counts") || word.contains("Counts"))
                .map(str::to_owned)
                .collect()
        };
        let (called, known) = (words(&program.text), words(&bindings));
        assert!(!called.is_empty(), "{name} {language}");
        for word in called {
            assert!(known.contains(&word), "{name} {language}: there is no `{word}`");
        }
    }

    #[test]
    fn a_program_calls_its_map_as_bindings_do_whatever_the_package_is_called() {
        for language in Language::ALL {
            for name in ["my-guard", "9abc", "a--b"] {
                calls(name, language);
            }
        }
    }

    #[test]
    fn a_new_package_is_a_manifest_and_a_program() {
        let files = made(ProgramKind::Chain(HookPoint::Xdp), Some(Language::Rust));
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        insta::assert_snapshot!(paths.join(" "), @"my-guard.bpf.c vmlinux.h package.toml README.md LICENSE .gitignore tests/counts.toml Makefile user/main.rs");
        insta::assert_snapshot!(files[2].text, @r#"
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
[package]
name = "my-guard"
publisher = "somebody"
version = "0.1.0"
description = "Counts the packets that an interface receives, and lets them pass"
category = "observability"
subcategory = "network"
tags = ["counter", "xdp"]
license = "GPL-2.0-only OR BSD-2-Clause"
documentation = "README.md"

[kernel]
min = "5.10"

[[platform]]
os = "linux"
architecture = "amd64"

[[platform]]
os = "linux"
architecture = "arm64"

[[program]]
function = "on_packet"
object = "my-guard.bpf.o"
source = "my-guard.bpf.c"
hook = "xdp"

[[map]]
name = "counts"
role = "metric"
description = "How often it ran, on each processor"

[[map.field]]
path = "value"
unit = "runs"

[user]
command = "tell-counts"

[build]
clang = 19
"#);
    }
}
