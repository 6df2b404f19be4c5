// SPDX-License-Identifier: Apache-2.0
//! What a package says of itself.

use std::collections::BTreeSet;

use lint::RULES;

use crate::scene::{BIG, CLEAN, DEBUG, NEWEST, READS, SIZES, Scene, UNTYPED};

#[test]
fn a_package_that_says_all_breaks_no_rule() {
    assert_eq!(Scene::clean().findings(), []);
}

/// For each rule a package that breaks it. All of them are few steps from the package that breaks none.
fn spoiled() -> Vec<(&'static str, Scene)> {
    let mut all = spoiled_objects();
    all.extend(spoiled_words());
    all
}

/// Rules that objects break, and what is said of them.
fn spoiled_objects() -> Vec<(&'static str, Scene)> {
    let clean = Scene::clean;
    let sizes = || Scene::around(SIZES, &[("chained", "xdp"), ("second", "xdp")]);
    let newest = || Scene::around(NEWEST, &[("newest", "xdp")]);
    let reads = || Scene::around(READS, &[("read_at_fixed", "kprobe"), ("decide", "lsm")]);
    vec![
        ("helper-too-new", sizes()),
        ("helper-unknown", sizes()),
        ("instruction-too-new", newest()),
        ("kernel-function", newest()),
        ("kernel-function-too-new", newest()),
        ("map-kind-too-new", sizes()),
        ("program-kind-too-new", newest()),
        ("wrong-endian", clean().with("a.bpf.o", BIG)),
        ("gpl-helper", sizes()),
        ("gpl-program", newest()),
        ("license-contradicts", clean().saying("GPL-2.0-only OR BSD-2-Clause", "Apache-2.0")),
        ("license-missing", clean().with("a.bpf.o", &unlicensed())),
        ("config-bounds", clean().saying("max = 1000\n", "")),
        ("config-default", clean().saying("default = 10\n", "")),
        ("config-field-undescribed", clean().saying("description = \"How many at most\"\n", "")),
        ("config-unit", clean().saying("unit = \"/s\"\n", "")),
        ("event-type", clean().saying("event = \"{ at_ns: u64 }\"\n", "")),
        ("map-role", clean().saying("role = \"state\"\n", "")),
        ("map-undescribed", clean().saying("description = \"Who sent something\"\n", "")),
        ("metric-undescribed", clean().saying("description = \"All that came\"\n", "")),
        ("metric-unit", clean().saying("unit = \"packets\"\n", "label = \"kind\"\n")),
        ("parameter-undescribed", clean().with("README.md", b"# clean")),
        ("array-key", sizes()),
        ("hash-filled-by-packets", sizes()),
        ("hash-of-one", sizes()),
        ("lru-small", sizes()),
        ("map-empty", sizes()),
        ("map-large", sizes()),
        ("map-unused", sizes()),
        ("ringbuf-size", sizes()),
        ("fixed-access", reads()),
        ("fixed-read", reads()),
        ("untyped-read", reads()),
        ("absolute-path", clean().with("a.bpf.o", DEBUG)),
        ("debug-information", clean().with("a.bpf.o", DEBUG)),
        ("hand-chaining", sizes()),
        ("no-btf", Scene::around(UNTYPED, &[("clean", "xdp")])),
        ("trace-print", sizes()),
    ]
}

/// Rules that documents and manifests break.
fn spoiled_words() -> Vec<(&'static str, Scene)> {
    let clean = Scene::clean;
    let user = |rest: &str| {
        let user = format!("[user]\ncommand = \"run\"\n{rest}\n[[platform]]");
        Scene::clean().with("run", b"").saying("[[platform]]", &user)
    };
    let silenced = |rule: &str| {
        let lint = format!("[lint]\nallow = [{{ rule = \"{rule}\", why = \"so\" }}]\n[build]");
        Scene::clean().saying("[build]", &lint)
    };
    vec![
        ("build-unpinned", clean().saying("[build]\nclang = 19\n", "")),
        ("license-file", clean().without("LICENSE")),
        ("no-source", clean().saying("source = \"https://example.org/clean\"\n", "")),
        ("no-source-file", clean().saying("source = \"a.bpf.c\"\n", "")),
        ("no-tags", clean().saying("tags = [\"count\"]\n", "")),
        ("no-tests", clean().without_tests()),
        ("program-undocumented", Scene::around(SIZES, &[("chained", "xdp"), ("second", "xdp")])),
        (
            "readme-headings",
            clean().with("README.md", &[b"# slot\n## Limits\n".as_slice(), &[b'x'; 400]].concat()),
        ),
        (
            "readme-limits",
            clean().with("README.md", &[b"# slot\n## A\n## B\n".as_slice(), &[b'x'; 400]].concat()),
        ),
        ("readme-short", clean().with("README.md", b"# slot\n## Limits")),
        ("user-capability", user("memory = \"1MiB\"\ncapabilities = [\"bpf\", \"sys_admin\"]")),
        ("user-memory", user("")),
        ("user-root", user("memory = \"1MiB\"\nroot = true")),
        ("silence-unknown", silenced("no-such-rule")),
        ("silence-useless", silenced("map-large")),
    ]
}

/// The clean object with another name for the section of its licence.
fn unlicensed() -> Vec<u8> {
    let mut bytes = CLEAN.to_vec();
    let name = b"\0license\0";
    // Its types name it, too.
    while let Some(at) = bytes.windows(name.len()).position(|window| window == name) {
        bytes[at + 1] = b'L';
    }
    bytes
}

#[test]
fn every_rule_is_broken_by_a_package_that_breaks_it() {
    for (rule, scene) in spoiled() {
        let broken = scene.broken();
        assert!(broken.contains(rule), "{rule}: {broken:?}");
    }
    let tried: BTreeSet<&str> = spoiled().into_iter().map(|(rule, _)| rule).collect();
    let known: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(tried, known);
}

#[test]
fn what_is_one_step_from_clean_breaks_one_rule() {
    let one_step = [
        "wrong-endian",
        "license-missing",
        "config-bounds",
        "config-default",
        "config-field-undescribed",
        "config-unit",
        "event-type",
        "map-role",
        "map-undescribed",
        "metric-unit",
        "build-unpinned",
        "license-file",
        "no-source",
        "no-source-file",
        "no-tags",
        "no-tests",
        "readme-headings",
        "readme-limits",
        "readme-short",
        "user-capability",
        "user-memory",
        "user-root",
        "silence-unknown",
        "silence-useless",
    ];
    for (rule, scene) in spoiled().into_iter().filter(|(rule, _)| one_step.contains(rule)) {
        assert_eq!(scene.broken(), BTreeSet::from([rule]));
    }
}

#[test]
fn parameters_may_be_told_in_the_manifest() {
    let told = "[[map]]\nname = \".rodata\"\n[[map.field]]\npath = \"value.slot\"\ndescription = \"Which settings\"\n[[map]]\nname = \"settings\"";
    let silent = Scene::clean().with("README.md", b"# clean");
    assert_eq!(
        silent.by("parameter-undescribed"),
        "a.bpf.o, map `.rodata`, field `value.slot`: nothing says what the parameter does"
    );
    assert_eq!(silent.saying("[[map]]\nname = \"settings\"", told).by("parameter-undescribed"), "");
    // It is told as a word, and not as a part of one.
    assert_ne!(Scene::clean().with("README.md", b"# slots").by("parameter-undescribed"), "");
}

#[test]
fn privileges_that_most_need_are_not_told() {
    let user = "[user]\ncommand = \"run\"\nmemory = \"8MiB\"\ncapabilities = [\"bpf\", \"net_admin\", \"perfmon\"]\n[[platform]]";
    assert_eq!(Scene::clean().with("run", b"").saying("[[platform]]", user).findings(), []);
}

#[test]
fn what_is_silenced_is_told_with_its_reason() {
    let silence = "[lint]\nallow = [{ rule = \"no-source\", why = \"it is secret\" }]\n[build]";
    let spoiled =
        Scene::clean().saying("source = \"https://example.org/clean\"\n", "").saying("[build]", silence);
    assert!(spoiled.broken().is_empty());
    let findings = spoiled.findings();
    insta::assert_snapshot!(serde_json::to_string_pretty(&findings).unwrap(), @r#"
    [
      {
        "rule": "no-source",
        "severity": "warning",
        "place": {
          "file": "package.toml",
          "key": "package"
        },
        "what": "it has neither `source` nor `homepage`",
        "why": "nobody finds where to report an error, or where the sources are kept",
        "hint": "say `package.source`, or `package.homepage`",
        "silenced": "it is secret"
      }
    ]
    "#);
}
