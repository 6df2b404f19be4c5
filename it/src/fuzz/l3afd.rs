// SPDX-License-Identifier: Apache-2.0
//! What holds of anything that is read as l3afd v1 has it: artifacts, payloads, a configuration.

use std::str;

use package::{Artifact, File, Package, write_layer};
use wire::l3afd::{self, Configured, Entry, Place, Repository, Settings};

/// Any archive becomes a package or is refused, as does any object in one; what becomes one can be read, and is the same each time.
pub fn artifact(bytes: &[u8]) {
    let object = File { path: "l3af_a/a.bpf.o".to_owned(), bytes: bytes.to_vec(), executable: false };
    let layer = write_layer(&[object].into_iter().collect(), 0).expect("it goes to memory");
    let publisher = "example".parse().expect("it is a name");
    for bytes in [bytes, &layer] {
        let artifact = Artifact { name: "A_b", version: "latest", bytes };
        let Ok(packed) = artifact.pack(&publisher) else { continue };
        Package::read(&packed, &packed.index.digest).expect("what was made can be read");
        assert_eq!(artifact.pack(&publisher).ok(), Some(packed), "it is the same package each time");
    }
}

/// Any payload is read or refused; what a document keeps of it is what was asked for; no name in it leads out of a folder.
pub fn payload(bytes: &[u8]) {
    let Ok(entries) = l3afd::read::<Vec<Entry>>(bytes) else { return };
    let host = entries.first().map(|entry| entry.host_name.clone()).unwrap_or_default();
    let mut configured = Configured::default();
    if configured.update(entries, &host).is_err() {
        return;
    }
    let repository =
        Repository { url: "file:///srv".to_owned(), platform: "noble".to_owned(), host, chaining: true };
    let Ok(document) = configured.document(&repository) else { return };
    assert_eq!(Configured::of(&document), configured, "a document keeps what was asked for");
    for located in configured.programs() {
        let program = located.program;
        let paths = [&program.name, &program.version, &program.artifact, &program.rules_file];
        let commands = [&program.cmd_start, &program.cmd_stop, &program.cmd_status, &program.cmd_update];
        for path in paths.into_iter().chain(commands).chain([&program.entry_function_name]) {
            let leads_out = path.starts_with('/') || path.split('/').any(|part| part == "..");
            assert!(!leads_out, "`{path}` leads out of its folder");
        }
    }
    for reference in document.references() {
        assert!(Place::parse(reference).is_ok(), "`{reference}` leads nowhere");
    }
}

/// Any text is read as a configuration or refused, and asking for a value comes to an end.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(settings) = Settings::parse(text) else { return };
    for key in ["pid-file", "url", "a"] {
        drop(settings.get("l3afd", key));
    }
}
