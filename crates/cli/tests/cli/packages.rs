// SPDX-License-Identifier: Apache-2.0
//! From a folder with sources to a package.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::place::{Place, ended};

#[test]
fn the_same_sources_give_the_same_bytes_in_two_folders() {
    let (one, other) = (Place::new(), Place::new());
    for program in ["ratelimit", "sanity"] {
        let line = format!("build {program} --output {program}.oci");
        let digest = one.l3af(&line).stdout;
        assert!(digest.starts_with("sha256:"), "{digest}");
        assert_eq!(digest, other.l3af(&line).stdout);
        let later = one.command(&line).env("SOURCE_DATE_EPOCH", "1").output().unwrap();
        assert_ne!(digest, ended(later).stdout, "the time is part of the package");
    }
}

#[test]
fn a_package_shows_what_is_in_it() {
    let report = Place::built().l3af("inspect sanity.oci --json").stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["name"], "sanity");
    assert_eq!(report["kernel_min"], "5.10");
    assert_eq!(report["programs"][0]["hook"], "xdp");
    assert_eq!(report["programs"][0]["proceed"][0], "pass");
    let object = &report["objects"]["sanity.bpf.o"];
    assert_eq!(object["license"], "Dual BSD/GPL");
    assert_eq!(object["btf"], true, "the kernel needs types");
    assert_eq!(object["debug_information"], false, "debug information names paths");
    assert_eq!(report["parameters"].as_array().unwrap().len(), 5);
}

#[test]
fn a_header_that_changed_is_refused() {
    let place = Place::new();
    place.edit("include/packet.h", "#define MAX_VLAN_TAGS 2", "#define MAX_VLAN_TAGS 3");
    let refusal = place.refusal("build sanity");
    let manifest = fs::read_to_string(place.path("sanity/package.toml")).unwrap();
    let pinned = manifest.lines().find(|line| line.contains("packet.h")).unwrap();
    let changed = package::Digest::of(&fs::read(place.path("include/packet.h")).unwrap());
    assert!(refusal.contains("`../include/packet.h`"), "{refusal}");
    assert!(refusal.contains(pinned.split('"').nth(3).unwrap()), "{refusal}");
    assert!(refusal.contains(&changed.to_string()), "{refusal}");
}

#[test]
fn a_header_that_is_not_pinned_is_told_with_the_line_that_pins_it() {
    let place = Place::new();
    let manifest = fs::read_to_string(place.path("sanity/package.toml")).unwrap();
    let line = manifest.lines().find(|line| line.contains("packet.h")).unwrap().to_owned();
    place.edit("sanity/package.toml", &line, "");
    let built = place.l3af("build sanity");
    assert!(built.success);
    assert!(built.stderr.contains("warning: `../include/packet.h` is not pinned"), "{}", built.stderr);
    assert!(built.stderr.contains(&line), "{}", built.stderr);
}

#[test]
fn a_compiler_that_is_missing_is_told_with_what_installs_it() {
    let place = Place::new();
    insta::assert_snapshot!(place.without_tools("build sanity"), @r"
    error: there is no clang 19
    hint: sudo apt-get install clang-19 llvm-19
    ");
}

#[test]
fn a_compiler_of_another_version_is_not_used() {
    let place = Place::new();
    let clang = place.path("bin/clang");
    fs::create_dir(place.path("bin")).unwrap();
    fs::write(&clang, "#!/bin/sh\necho 'clang version 14.0.6'\n").unwrap();
    fs::set_permissions(&clang, fs::Permissions::from_mode(0o755)).unwrap();
    insta::assert_snapshot!(place.without_tools("build sanity"), @r"
    error: `package.toml` pins clang 19, and `clang` is clang 14
    hint: sudo apt-get install clang-19 llvm-19
    ");
}

#[test]
fn what_the_compiler_says_is_shown_whole() {
    let place = Place::new();
    place.edit("sanity/sanity.bpf.c", "XDP_DROP", "XDP_DORP");
    let refusal = place.refusal("build sanity");
    assert!(refusal.contains("error: `clang-19` cannot compile `sanity.bpf.c`"), "{refusal}");
    assert!(refusal.contains("use of undeclared identifier 'XDP_DORP'"), "{refusal}");
    assert!(refusal.contains("2 errors generated."), "{refusal}");
    assert!(!place.path("sanity-0.1.0.oci").exists(), "nothing is left behind");
}

#[test]
fn an_object_of_another_tool_chain_is_packed_as_it_is() {
    let place = Place::built();
    let blobs =
        fs::read_dir(place.path("sanity.oci/blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let layer =
        blobs.map(|path| fs::read(path).unwrap()).find(|bytes| bytes.starts_with(&[0x1f, 0x8b])).unwrap();
    let files = package::read_layer(&layer, &package::Limits::default()).unwrap();
    fs::write(place.path("sanity.bpf.o"), files.bytes("sanity.bpf.o").unwrap()).unwrap();
    let built = place.l3af("build sanity --output sanity.oci").stdout;
    let line = "build sanity --output given.oci --object sanity.bpf.o";
    let given = place.command(line).env("PATH", place.path("none")).output().unwrap();
    assert_eq!(ended(given).stdout, built, "no compiler is needed, and the bytes are the same");
    fs::rename(place.path("sanity.bpf.o"), place.path("stray.o")).unwrap();
    insta::assert_snapshot!(place.refusal("build sanity --object stray.o"), @r"
    error: `package.toml` names no object `stray.o`
    hint: an object takes the place of the one with the same file name
    ");
}

#[test]
fn a_folder_without_a_manifest_or_a_package_is_told() {
    let place = Place::new();
    insta::assert_snapshot!(place.refusal("build include"), @r"
    error: cannot read `include/package.toml`: No such file or directory (os error 2)
    hint: `docs/package.md` describes the manifest of a package
    ");
    insta::assert_snapshot!(place.refusal("inspect sanity"), @r"
    error: `sanity` is not an OCI layout: it has no usable `oci-layout`
      because No such file or directory (os error 2)
    ");
}

#[test]
fn a_folder_with_other_things_in_it_is_not_written_into() {
    let place = Place::new();
    insta::assert_snapshot!(place.refusal("build sanity --output include"), @r"
    error: `include` has something in it that is not a package
    hint: choose an empty or new folder with `--output`
    ");
}

#[test]
fn other_tools_read_the_package() {
    let place = Place::built();
    let skopeo = |line: &str| {
        let output = Command::new("skopeo").current_dir(place.folder.path()).args(line.split(' ')).output();
        let ended = ended(output.expect("this test needs skopeo: sudo apt-get install skopeo"));
        assert!(ended.success, "{}", ended.stderr);
        ended.stdout
    };
    let index: serde_json::Value = serde_json::from_str(&skopeo("inspect --raw oci:sanity.oci")).unwrap();
    assert_eq!(index["artifactType"], package::ARTIFACT_TYPE);
    assert_eq!(index["annotations"]["org.opencontainers.image.title"], "sanity");
    skopeo("copy --all oci:sanity.oci dir:copied");
    let labels = skopeo("inspect --config oci:sanity.oci");
    let labels: serde_json::Value = serde_json::from_str(&labels).unwrap();
    assert_eq!(labels["config"]["Labels"]["io.ebpf.programs"], r#"{"sanity":"xdp"}"#);
}
