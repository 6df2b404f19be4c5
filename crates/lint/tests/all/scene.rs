// SPDX-License-Identifier: Apache-2.0
//! A package of which nobody would say anything, to be spoiled.

use std::collections::{BTreeMap, BTreeSet};

use lint::{Beside, Contents, Finding, lint};
use package::Manifest;

pub(crate) const CLEAN: &[u8] = include_bytes!("../../testdata/clean.bpf.o");
pub(crate) const BIG: &[u8] = include_bytes!("../../testdata/clean-big.bpf.o");
pub(crate) const UNTYPED: &[u8] = include_bytes!("../../testdata/untyped.bpf.o");
pub(crate) const DEBUG: &[u8] = include_bytes!("../../testdata/debug.bpf.o");
pub(crate) const SIZES: &[u8] = include_bytes!("../../testdata/sizes.bpf.o");
pub(crate) const READS: &[u8] = include_bytes!("../../testdata/reads.bpf.o");
pub(crate) const NEWEST: &[u8] = include_bytes!("../../testdata/newest.bpf.o");

/// The manifest without its programs.
const HEAD: &str = r#"
[package]
name = "clean"
publisher = "example"
version = "1.2.3"
description = "Counts packets"
category = "tests"
subcategory = "small"
tags = ["count"]
license = "GPL-2.0-only OR BSD-2-Clause"
documentation = "README.md"
source = "https://example.org/clean"
[kernel]
min = "5.10"
[[platform]]
os = "linux"
architecture = "amd64"
[build]
clang = 19
"#;

const PROGRAM: &str = r#"
[[program]]
function = "clean"
object = "a.bpf.o"
source = "a.bpf.c"
hook = "xdp"
"#;

const MAPS: &str = r#"
[[map]]
name = "settings"
role = "config"
description = "How it works on each slot"
[[map.field]]
path = "value.rate"
description = "How many at most"
unit = "/s"
min = 1
max = 1000
default = 10
[[map.field]]
path = "value.window_ns"
description = "For how long"
format = "duration"
min = "1s"
max = "1h"
default = "1min"
[[map]]
name = "packets"
role = "metric"
description = "All that came"
[[map.field]]
path = "value"
unit = "packets"
[[map]]
name = "senders"
role = "state"
description = "Who sent something"
[[map]]
name = "events"
role = "event"
description = "What it saw"
event = "{ at_ns: u64 }"
"#;

const README: &str = "# clean

Counts packets and tells of them. It looks at each packet once, remembers who sent one, and hands over an event for each. What it
does with a packet depends on the settings of its slot; without settings every packet passes.

## Parameters

`slot`: which settings count, 0 to 3; 0 where nothing is given.

## Limits

It remembers 65536 senders and forgets the one that was quiet for the longest time. Events are lost where nobody reads them in time.
Nothing is looked into beyond the frame itself, and no processor waits for another one.
";

/// A package to look over.
#[derive(Clone)]
pub(crate) struct Scene {
    manifest: String,
    files: BTreeMap<String, Vec<u8>>,
    beside: Beside,
}

impl Scene {
    /// The package of which nobody says anything.
    pub(crate) fn clean() -> Self {
        let files = [
            ("a.bpf.o", CLEAN),
            ("a.bpf.c", b"/* source */"),
            ("README.md", README.as_bytes()),
            ("LICENSE", b"text"),
        ];
        Self {
            manifest: [HEAD, PROGRAM, MAPS].concat(),
            files: files.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).into(),
            beside: Beside::Tests,
        }
    }

    /// The same around another object, of which it says what its programs are.
    pub(crate) fn around(object: &[u8], programs: &[(&str, &str)]) -> Self {
        let programs =
            programs.iter().map(|(function, hook)| PROGRAM.replace("clean", function).replace("xdp", hook));
        let manifest = [HEAD.to_owned()].into_iter().chain(programs).collect::<String>();
        Self { manifest, ..Self::clean() }.with("a.bpf.o", object)
    }

    /// With something else in the manifest.
    pub(crate) fn saying(mut self, from: &str, to: &str) -> Self {
        assert!(self.manifest.contains(from), "{from}");
        self.manifest = self.manifest.replace(from, to);
        self
    }

    /// With a file, or another one in its place.
    pub(crate) fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.files.insert(path.to_owned(), bytes.to_vec());
        self
    }

    pub(crate) fn without(mut self, path: &str) -> Self {
        self.files.remove(path).unwrap();
        self
    }

    pub(crate) fn without_tests(mut self) -> Self {
        self.beside = Beside::NoTests;
        self
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        let manifest = Manifest::parse(&self.manifest).unwrap();
        let files = self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        lint(&Contents::package(&manifest, files, self.beside)).unwrap()
    }

    /// The rules that it breaks and that nobody silenced.
    pub(crate) fn broken(&self) -> BTreeSet<&'static str> {
        let findings = self.findings();
        findings
            .iter()
            .filter(|finding| finding.silenced.is_none())
            .map(|finding| finding.rule.name)
            .collect()
    }

    /// What is found by one rule: the place and what.
    pub(crate) fn by(&self, rule: &str) -> String {
        let findings = self.findings();
        let own = findings.iter().filter(|finding| finding.rule.name == rule);
        own.map(|finding| format!("{}: {}", finding.place, finding.what)).collect::<Vec<_>>().join("\n")
    }
}
