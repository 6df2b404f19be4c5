// SPDX-License-Identifier: Apache-2.0
//! What is no package: objects for Linux and for eBPF for Windows, native drivers of Windows, archives. They are signed and
//! verified by the same commands, with the same flags.

use std::fs;
use std::process::Command;

use crate::place::{Ended, Place};

/// What the file is called, since it says nothing of itself.
const NAME: &str = "--publisher example --name filter --version 1.0.0";

/// Runs a tool of others in a place.
fn tool(place: &Place, line: &str, package: &str) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    let output = command.current_dir(place.folder.path()).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}: sudo apt-get install {package}"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A place with an object, `filter.o`.
fn with_object() -> Place {
    let place = Place::new();
    let object = concat!(env!("CARGO_MANIFEST_DIR"), "/../package/testdata/small.bpf.o");
    fs::copy(object, place.path("filter.o")).unwrap();
    place
}

/// A place with a driver that was just built, `driver.sys`, and the same with a signature for Windows, `filter.sys`.
fn with_driver() -> Place {
    let place = Place::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../package/testdata/driver.c");
    fs::copy(source, place.path("driver.c")).unwrap();
    let compile = "clang-19 --target=x86_64-pc-windows-msvc -ffreestanding -O2 -c driver.c -o driver.obj";
    tool(&place, compile, "clang-19");
    let link =
        "lld-link-19 /driver /subsystem:native /entry:DriverEntry /nodefaultlib /out:driver.sys driver.obj";
    tool(&place, link, "lld-19");
    let certify = "openssl req -x509 -newkey rsa:2048 -nodes -keyout windows.key -out windows.crt -subj /O=example/CN=windows \
                   -addext extendedKeyUsage=codeSigning";
    tool(&place, certify, "openssl");
    let sign =
        "osslsigncode sign -h sha256 -certs windows.crt -key windows.key -in driver.sys -out filter.sys";
    tool(&place, sign, "osslsigncode");
    place
}

fn signed(place: &Place, line: &str) {
    let ended = place.l3af(&format!("sign {line} {NAME} --key 1.key"));
    assert!(ended.success, "{}", ended.stderr);
}

/// What verifying says, with digests and names of keys cut.
fn verify(place: &Place, line: &str) -> String {
    let Ended { success, stdout, stderr } = place.l3af(&format!("verify {line} {NAME} --key 1.pub"));
    assert_eq!(success, stderr.is_empty(), "{stdout}{stderr}");
    let cut = |word: &str| match word.strip_prefix("sha256:") {
        Some(_) => "<digest>".to_owned(),
        None if word.len() == 64 => "<key>".to_owned(),
        None => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(cut).collect::<Vec<_>>().join(" ");
    (stdout + &stderr).lines().map(line).collect::<Vec<_>>().join("\n")
}

fn flip(place: &Place, name: &str, at: usize) {
    let mut bytes = fs::read(place.path(name)).unwrap();
    bytes[at] ^= 1;
    fs::write(place.path(name), bytes).unwrap();
}

#[test]
fn an_object_is_signed_and_verified_under_a_name_that_is_given() {
    let place = with_object();
    signed(&place, "filter.o --platform linux/amd64");
    insta::assert_snapshot!(verify(&place, "filter.o --platform linux/amd64"), @"
    example/filter 1.0.0 for linux/amd64
      file         <digest>
      trusted      signed by `example` in <digest>
      key          <key>
    ");
    // Under another name, nothing says what it is.
    fs::rename(place.path("filter.o"), place.path("other.o")).unwrap();
    insta::assert_snapshot!(verify(&place, "other.o --platform linux/amd64"), @"
    error: package `filter` is not signed
    hint: its publisher signs it with `l3af sign`; ask them for the signed package
    ");
    insta::assert_snapshot!(verify(&place, "other.o --platform linux/amd64 --statement filter.o.l3af.json"), @"
    example/filter 1.0.0 for linux/amd64
      file         <digest>
      trusted      signed by `example` in <digest>
      key          <key>
    ");
    insta::assert_snapshot!(place.refusal("verify other.o --key 1.pub"), @"
    error: `other.o` is no package, and says nothing of its publisher, name and version
    hint: give them with `--publisher`, `--name` and `--version`
    ");
    insta::assert_snapshot!(place.refusal("sign other.o --key 1.key --name other"), @"
    error: `other.o` is no package, and says nothing of its publisher, name and version
    hint: give them with `--publisher`, `--name` and `--version`
    ");
    let statement = fs::read_to_string(place.path("filter.o.l3af.json")).unwrap();
    assert!(statement.starts_with("{\"payload\":\""), "it is a DSSE envelope: {statement}");
}

#[test]
fn an_object_of_another_name_or_version_is_refused() {
    let place = with_object();
    signed(&place, "filter.o --platform linux/amd64");
    let refused =
        |name: &str| place.refusal(&format!("verify filter.o --platform linux/amd64 --key 1.pub {name}"));
    insta::assert_snapshot!(refused("--publisher example --name other --version 1.0.0"), @"
    error: no statement about package `other` holds: it is about package `filter`, and the package's is `other`
    hint: compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each rule
    ");
    insta::assert_snapshot!(refused("--publisher example --name filter --version 1.0.1"), @"
    error: no statement about package `filter` holds: it is about version `1.0.0`, and the package's is `1.0.1`
    hint: compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each rule
    ");
    insta::assert_snapshot!(refused("--publisher other --name filter --version 1.0.0"), @"
    error: no statement about package `filter` holds: it is about publisher `example`, and the package's is `other`
    hint: compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each rule
    ");
}

#[test]
fn an_object_for_one_system_is_not_for_the_other() {
    let place = with_object();
    signed(&place, "filter.o --platform windows/amd64");
    assert!(
        verify(&place, "filter.o --platform windows/amd64")
            .starts_with("example/filter 1.0.0 for windows/amd64")
    );
    insta::assert_snapshot!(verify(&place, "filter.o --platform linux/amd64"), @"
    error: no statement about package `filter` holds: it has 0 entries for linux/amd64, and must have one
    hint: compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each rule
    ");
}

#[test]
fn a_byte_that_was_changed_in_an_object_is_reported() {
    let place = with_object();
    signed(&place, "filter.o --platform linux/amd64");
    flip(&place, "filter.o", 1000);
    insta::assert_snapshot!(verify(&place, "filter.o --platform linux/amd64"), @"
    error: no statement about package `filter` holds: the file `object` is not the one that was signed
    hint: compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each rule
    ");
}

#[test]
fn a_driver_is_verified_and_its_signature_for_windows_is_told() {
    let place = with_driver();
    insta::assert_snapshot!(verify(&place, "filter.sys"), @"
    authenticode signed by `CN=windows,O=example`
    error: package `filter` is not signed
    hint: its publisher signs it with `l3af sign`; ask them for the signed package
    ");
    signed(&place, "filter.sys");
    insta::assert_snapshot!(verify(&place, "filter.sys"), @"
    example/filter 1.0.0 for windows/amd64
      file         <digest>
      trusted      signed by `example` in <digest>
      key          <key>
      authenticode signed by `CN=windows,O=example`
    ");
    signed(&place, "driver.sys");
    insta::assert_snapshot!(verify(&place, "driver.sys"), @"
    example/filter 1.0.0 for windows/amd64
      file         <digest>
      trusted      signed by `example` in <digest>
      key          <key>
      authenticode none
    ");
    insta::assert_snapshot!(verify(&place, "driver.sys --platform linux/amd64"), @"
    error: `driver.sys` is a driver for windows/amd64, not for linux/amd64
    hint: a driver says itself what it is for; leave `--platform` out
    ");
    let told = place.l3af(&format!("verify filter.sys {NAME} --key 1.pub --json")).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["trusted"], &told["authenticode"]),
        (&true.into(), &"signed by `CN=windows,O=example`".into())
    );
}

#[test]
fn a_byte_that_was_changed_in_a_driver_is_reported_in_the_image_and_in_the_signature() {
    let place = with_driver();
    signed(&place, "filter.sys");
    let (driver, whole) =
        ["driver.sys", "filter.sys"].map(|name| fs::read(place.path(name)).unwrap().len()).into();
    let told = |at: usize| {
        flip(&place, "filter.sys", at);
        let refused = verify(&place, "filter.sys");
        let shown = place.l3af("inspect filter.sys").stdout;
        flip(&place, "filter.sys", at);
        let authenticode = shown.lines().find(|line| line.contains("authenticode")).unwrap().to_owned();
        (refused, authenticode)
    };
    let (refused, authenticode) = told(driver - 1);
    insta::assert_snapshot!(refused, @"
    authenticode broken: `CN=windows,O=example` signed <digest> and this image is <digest>
    error: no statement about package `filter` holds: the file `object` is not the one that was signed
    hint: compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each rule
    ");
    assert!(authenticode.contains("broken: `CN=windows,O=example` signed sha256:"), "{authenticode}");
    let (refused, authenticode) = told(whole - 20);
    insta::assert_snapshot!(refused, @"
    authenticode broken: `CN=windows,O=example` did not make this signature
    error: no statement about package `filter` holds: the file `object` is not the one that was signed
    hint: compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each rule
    ");
    assert_eq!(authenticode, "  authenticode broken: `CN=windows,O=example` did not make this signature");
    assert!(verify(&place, "filter.sys").contains("trusted"), "the file is as it was");
}

#[test]
fn an_archive_is_signed_as_it_is() {
    let place = with_object();
    tool(&place, "tar -czf filter.tar.gz filter.o", "tar");
    signed(&place, "filter.tar.gz --platform linux/amd64");
    insta::assert_snapshot!(verify(&place, "filter.tar.gz --platform linux/amd64"), @"
    example/filter 1.0.0 for linux/amd64
      file         <digest>
      trusted      signed by `example` in <digest>
      key          <key>
    ");
    insta::assert_snapshot!(verify(&place, "filter.tar.gz --platform linux/amd64 --format pe"), @"
    error: no statement about package `filter` holds: it is for objects of the format `elf`, and these are `pe`
    hint: compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each rule
    ");
}

/// An image of bpfman: one layer with one object, a configuration, and an index that lists the manifest of each platform.
fn with_image(place: &Place, platforms: &[&str]) {
    let bytes = fs::read(place.path("filter.o")).unwrap();
    let file = package::File { path: "filter.o".to_owned(), bytes, executable: false };
    let layer = package::write_layer(&[file].into_iter().collect(), 0).unwrap();
    let blobs = place.path("image.oci/blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let keep = |kind: &str, bytes: &[u8]| {
        let digest = package::Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        serde_json::json!({ "mediaType": kind, "digest": digest.to_string(), "size": bytes.len() })
    };
    let layer = keep("application/vnd.oci.image.layer.v1.tar+gzip", &layer);
    let images = platforms.iter().map(|architecture| {
        let config = serde_json::json!({ "os": "linux", "architecture": architecture });
        let config = keep("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
        let mut entry = keep(package::MANIFEST_MEDIA_TYPE, manifest.to_string().as_bytes());
        if platforms.len() > 1 {
            entry["platform"] = serde_json::json!({ "os": "linux", "architecture": architecture });
        }
        entry
    });
    let mut images: Vec<serde_json::Value> = images.collect();
    if images.len() > 1 {
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": images });
        images = vec![keep(package::INDEX_MEDIA_TYPE, index.to_string().as_bytes())];
    }
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": images });
    fs::write(place.path("image.oci/index.json"), index.to_string()).unwrap();
    fs::write(place.path("image.oci/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

#[test]
fn an_image_of_bpfman_is_signed_and_verified_under_a_name_that_is_given() {
    let place = with_object();
    with_image(&place, &["amd64"]);
    insta::assert_snapshot!(verify(&place, "image.oci --platform linux/amd64"), @"
    error: package `filter` is not signed
    hint: its publisher signs it with `l3af sign`; ask them for the signed package
    ");
    let ended = place.l3af(&format!("sign image.oci {NAME} --key 1.key"));
    assert!(ended.success, "{}", ended.stderr);
    insta::assert_snapshot!(verify(&place, "image.oci --platform linux/amd64"), @"
    example/filter 1.0.0 for linux/amd64
      image        <digest>
      trusted      signed by `example` in <digest>
      key          <key>
    ");
    insta::assert_snapshot!(verify(&place, "image.oci --platform linux/arm64"), @"
    error: package `filter` is not built for linux/arm64
    hint: add a `[[platform]]` for linux/arm64 to its `package.toml` and build it again
    ");
    insta::assert_snapshot!(place.refusal("verify image.oci --key 1.pub"), @"
    error: `image.oci` is no package, and says nothing of its publisher, name and version
    hint: give them with `--publisher`, `--name` and `--version`
    ");
    let shown = place.l3af("inspect image.oci").stdout;
    assert!(
        shown.starts_with("image.oci: image without a manifest") && shown.contains("says it is signed by"),
        "{shown}"
    );
}

#[test]
fn an_image_for_several_platforms_is_signed_for_each() {
    let place = with_object();
    with_image(&place, &["arm64", "amd64"]);
    let ended = place.l3af(&format!("sign image.oci {NAME} --key 1.key"));
    assert!(ended.success, "{}", ended.stderr);
    for platform in ["linux/amd64", "linux/arm64"] {
        let verified = verify(&place, &format!("image.oci --platform {platform}"));
        assert!(verified.starts_with(&format!("example/filter 1.0.0 for {platform}")), "{verified}");
    }
}

#[test]
fn an_object_shows_what_is_in_it() {
    let place = with_object();
    insta::assert_snapshot!(place.l3af("inspect filter.o").stdout, @"
    filter.o: eBPF object
      file         sha256:2fc86a5798c822719beece3353f65a2cbb3b867049201039ac6bcc08e5840dd6
      format       elf
      licence      Dual BSD/GPL
      types        BTF
      not signed

    PROGRAM   SECTION  INSTRUCTIONS
    first     xdp      36
    outgoing  tc       2
    second    xdp      2

    MAP   KIND  KEY BYTES  VALUE BYTES  ENTRIES
    seen  hash  4          24           8

    PARAMETER  KIND  DEFAULT
    limit      u32   100
    offset     i16   -2
    strict     bool  true
    window     u64   5000000000
    ");
    signed(&place, "filter.o --platform linux/amd64");
    let shown = place.l3af("inspect filter.o --json").stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let key = place.l3af("key show 1.pub").stdout;
    assert_eq!(shown["signatures"][0][0], key.split(' ').next().unwrap());
    assert_eq!((&shown["kind"], &shown["format"]), (&"eBPF object".into(), &"elf".into()));
}

#[test]
fn a_file_that_is_nothing_of_all_this_is_told() {
    let place = with_object();
    fs::write(place.path("notes"), "words").unwrap();
    insta::assert_snapshot!(place.refusal("inspect notes"), @"
    error: `notes` is neither a package nor an object nor an archive
    hint: a package is a folder (OCI layout); an object is ELF for BPF, or a driver of Windows; an archive is `.tar.gz` or `.zip`
    ");
    insta::assert_snapshot!(place.refusal("inspect nothing"), @"error: cannot read `nothing`: No such file or directory (os error 2)");
    fs::copy(env!("CARGO_BIN_EXE_l3af"), place.path("program")).unwrap();
    insta::assert_snapshot!(place.refusal("inspect program"), @"error: `program` is no eBPF object: it is an ELF file for machine 62, not for BPF (247)");
    insta::assert_snapshot!(place.refusal(&format!("sign filter.o --key 1.key {NAME} --format pe")), @"
    error: `filter.o` is of the format `elf`, not `pe`
    hint: `--format` is for archives; leave it out
    ");
}

#[test]
fn a_package_is_the_one_that_was_named() {
    let place = Place::built();
    assert!(place.l3af("sign sanity.oci --key 1.key --publisher l3af --name sanity --version 0.1.0").success);
    assert!(place.l3af("verify sanity.oci --key 1.pub --name sanity").success);
    insta::assert_snapshot!(place.refusal("verify sanity.oci --key 1.pub --name ratelimit"), @"
    error: `sanity.oci` is the package l3af/sanity 0.1.0, not the one that was named
    hint: a package says its publisher, name and version itself; leave them out
    ");
}
