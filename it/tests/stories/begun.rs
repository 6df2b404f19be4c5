// SPDX-License-Identifier: Apache-2.0
//! Packages that `l3af new` begins, with a program for user space: they are made by their own Makefile, and run confined.

use std::fs;
use std::path::Path;
use std::process::Command;

use it::{Ran, binary, ping, repository, run};
use package::{HookPoint, ProbeKind};

use crate::user::{document, only};
use crate::{packages, scene};

/// Begins a package, and makes it.
fn made(name: &str, language: &str) -> String {
    let l3af = |arguments: &[&str]| packages().l3af(arguments).unwrap().success().unwrap();
    l3af(&["new", name, "--hook", "xdp", "--user", language, "--publisher", "l3af"]);
    let folder = packages().path(name);
    let target = repository().canonicalize().unwrap().join("target/go");
    let mut make = Command::new("make");
    make.arg(format!("L3AF={}", binary("l3af").unwrap().display())).current_dir(&folder);
    // Go keeps what it compiled.
    make.env("GOCACHE", target.join("cache")).env("GOPATH", target.join("path"));
    Ran::from(make.output().unwrap()).success().unwrap();
    format!("{folder}/{name}-0.1.0.oci")
}

fn told(language: &str) {
    let package = made(&format!("told-in-{language}"), language);
    packages().l3af(&["sign", &package, "--key", "key"]).unwrap().success().unwrap();
    let (pair, node) = scene();
    assert_eq!(ping(&pair, 1).unwrap(), 1);
    node.apply(&document(&package)).unwrap().success().unwrap();
    let log = only(&node).log;
    node.wait("it tells how often its program ran", || {
        ping(&pair, 1).unwrap();
        let said = fs::read_to_string(&log).unwrap_or_default();
        let mut numbers = said.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok());
        numbers.any(|times| times > 0)
    });
    assert_eq!(only(&node).restarts, 0);
}

#[test]
fn a_new_package_tells_its_counts_in_rust() {
    told("rust");
}

#[test]
fn a_new_package_tells_its_counts_in_c() {
    told("c");
}

#[test]
fn a_new_package_tells_its_counts_in_go() {
    told("go");
}

#[test]
fn a_new_package_tells_its_counts_in_python() {
    told("python");
}

#[test]
fn a_new_package_is_made_whatever_it_is_called() {
    for language in ["rust", "c", "go", "python"] {
        for name in ["9", "a--"].map(|name| format!("{name}{language}")) {
            assert!(Path::new(&made(&name, language)).exists(), "{name}");
        }
    }
}

#[test]
fn what_is_begun_keeps_the_style_of_c_and_passes_the_lints() {
    let folder = tempfile::tempdir().unwrap();
    let chains = HookPoint::ALL.map(HookPoint::as_str).into_iter();
    for hook in chains.chain(ProbeKind::ALL.map(ProbeKind::as_str)) {
        let mut begin = Command::new(binary("l3af").unwrap());
        begin.args(["new", hook, "--hook", hook]).current_dir(folder.path());
        Ran::from(begin.output().unwrap()).success().unwrap();
        let mut linted = Command::new(binary("l3af").unwrap());
        linted.args(["lint", hook]).current_dir(folder.path());
        // Where its sources are kept, its author alone knows.
        let found = Ran::from(linted.output().unwrap());
        let all = format!("{}{}", found.stdout, found.stderr);
        assert!(found.ok && all.contains("has 0 errors, 1 warning"), "{hook}: {all}");
        let style = repository().canonicalize().unwrap().join(".clang-format");
        let sources = [format!("{hook}.bpf.c"), "vmlinux.h".to_owned()];
        for source in sources.map(|source| folder.path().join(hook).join(source)) {
            let line = format!(
                "clang-format-19 --style=file:{} --dry-run -Werror {}",
                style.display(),
                source.display()
            );
            run(&line).unwrap();
        }
    }
}

#[test]
fn nothing_that_is_there_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let begin = |words: &[&str]| {
        let output =
            Command::new(binary("l3af").unwrap()).arg("new").args(words).current_dir(folder.path()).output();
        Ran::from(output.unwrap())
    };
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(begin(&["empty", "--hook", "tc"]).ok);
    let manifest = fs::read_to_string(folder.path().join("empty/package.toml")).unwrap();
    assert!(manifest.contains("hook = \"tc-ingress\""), "{manifest}");
    let again = begin(&["empty", "--hook", "xdp"]);
    assert!(
        !again.ok && again.stderr.contains("there is something in `empty` already\nhint: "),
        "{}",
        again.stderr
    );
    assert_eq!(fs::read_to_string(folder.path().join("empty/package.toml")).unwrap(), manifest);
    for (words, why) in [
        (["Guard", "--hook", "xdp"], "lower-case letters, digits and dashes"),
        (["guard", "--hook", "xpd"], "`xdp`, `tc-ingress`, `tc-egress`, `kprobe`"),
        (["guard", "--user", "cobol"], "`rust`, `c`, `go` and `python`, and `none`"),
    ] {
        let refused = begin(&words);
        assert!(!refused.ok && refused.stderr.contains(why), "{}", refused.stderr);
        assert!(!Path::new(&folder.path().join("guard")).exists());
    }
}
