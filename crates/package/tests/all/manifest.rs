// SPDX-License-Identifier: Apache-2.0
//! Manifests that cannot be used, and why.

use package::{Manifest, Platform};
use proptest::prelude::*;

pub(crate) const MANIFEST: &str = r#"
[package]
name = "small"
publisher = "example"
version = "1.2.3"
description = "Does a little"
category = "tests"
subcategory = "small"
license = "GPL-2.0-only OR BSD-2-Clause"
documentation = "README.md"
[kernel]
min = "5.10"
[[platform]]
os = "linux"
architecture = "arm64"
[[platform]]
os = "linux"
architecture = "amd64"
[[program]]
function = "first"
object = "small.bpf.o"
hook = "xdp"
[[program]]
function = "outgoing"
object = "small.bpf.o"
hook = "tc-egress"
proceed = ["ok"]
"#;

fn refusal(from: &str, to: &str) -> String {
    assert!(MANIFEST.contains(from), "{from}");
    Manifest::parse(&MANIFEST.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn a_manifest_is_read() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    assert_eq!(manifest.platforms[0], Platform::new("linux", "amd64").unwrap());
    let outgoing = manifest.program(&"outgoing".parse().unwrap()).unwrap();
    assert_eq!(outgoing.proceed.as_ref().unwrap().names(), ["ok"]);
    assert_eq!(manifest.objects().len(), 1);
}

#[test]
fn a_rule_that_is_broken_on_purpose_has_a_reason() {
    let silenced = |why: &str| {
        let lint = format!("[lint]\nallow = [{{ rule = \"map-large\", why = \"{why}\" }}]\n[kernel]");
        Manifest::parse(&MANIFEST.replace("[kernel]", &lint))
    };
    let manifest = silenced("there are many").unwrap();
    assert_eq!(manifest.silences[0].rule, "map-large");
    assert_eq!(manifest.silences[0].why, "there are many");
    insta::assert_snapshot!(silenced(" ").unwrap_err(), @"`lint.allow.why` in `package.toml` is empty");
}

#[test]
fn a_manifest_that_cannot_be_used_says_which_key_is_wrong() {
    insta::assert_snapshot!(refusal("\"Does a little\"", "\" \""), @"`package.description` in `package.toml` is empty");
    insta::assert_snapshot!(refusal("GPL-2.0-only OR", "GNU OR"), @"`license` in `package.toml`, `GNU OR BSD-2-Clause`, is not an SPDX licence expression: unknown term");
    insta::assert_snapshot!(refusal("README.md", "../README.md"), @"`package.documentation` in `package.toml`, `../README.md`, is not the path of a file in the package");
    insta::assert_snapshot!(refusal("small.bpf.o", "/small.bpf.o"), @"`program.object` in `package.toml`, `/small.bpf.o`, is not the path of a file in the package");
    insta::assert_snapshot!(refusal("\"outgoing\"", "\"first\""), @"`package.toml` has two programs with the function `first`");
    insta::assert_snapshot!(refusal("arm64", "amd64"), @"`package.toml` names the platform `linux/amd64` twice");
    insta::assert_snapshot!(refusal("[\"ok\"]", "[\"pass\"]"), @"`proceed` of the program `outgoing` in `package.toml`: `pass` is not a verdict of the hook `tc-egress`; those are `unspec`, `ok`, `reclassify`, `shot`, `pipe`, `stolen`, `queued`, `repeat`, `redirect`, `trap`");
    insta::assert_snapshot!(refusal("\"small\"\npublisher", "\"Small\"\npublisher"), @r#"
    `package.toml` is not a manifest: TOML parse error at line 3, column 8
      |
    3 | name = "Small"
      |        ^^^^^^^
    `Small` is not a package name: it must be 1 to 63 lower-case letters, digits and dashes, and neither begin nor end with a dash
    "#);
    assert!(refusal("[kernel]", "[kernels]").contains("unknown field `kernels`"));
    assert!(refusal("\"arm64\"", "\"mips\"").contains("`linux/mips` is not a platform"));
    assert!(refusal("\"1.2.3\"", "\"1.2\"").contains("unexpected end of input"));
}

#[test]
fn a_package_without_programs_or_platforms_is_refused() {
    let cut =
        |from: &str| Manifest::parse(&MANIFEST[..MANIFEST.find(from).unwrap()]).unwrap_err().to_string();
    insta::assert_snapshot!(cut("[[program]]"), @"`package.toml` has no `[[program]]`");
    insta::assert_snapshot!(cut("[[platform]]"), @"`package.toml` has no `[[platform]]`");
    let tags: Vec<String> = (0..11).map(|number| format!("\"t{number}\"")).collect();
    let tags = format!("tags = [{}]\nlicense", tags.join(","));
    insta::assert_snapshot!(refusal("license", &tags), @"`tags` in `package.toml` has 11 entries, more than 10");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text: String) {
        drop(Manifest::parse(&text));
    }
}
