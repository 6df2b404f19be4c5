// SPDX-License-Identifier: Apache-2.0
//! Files of tests: what they say, and what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use maps::Map;
use package::{Config, HookPoint, Manifest, ProceedSet, ProgramKind, ProgramName, ProgramSpec};
use packet::{Packet, Pattern};
use serde::Deserialize;
use serde_json::Value;
use wire::{TestContext, TestPlace, TestRead, TestStep, TestWish, base64};

use super::input::{self, Input, bad_packet};
use super::values;
use crate::failure::{Failure, Outcome};

/// A file of tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    #[serde(default, rename = "test")]
    tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    program: Option<ProgramName>,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    maps: BTreeMap<String, Vec<Value>>,
    #[serde(default, rename = "packet")]
    packets: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(rename = "in")]
    input: Input,
    #[serde(default = "once")]
    repeat: NonZeroU32,
    #[serde(default)]
    context: TestContext,
    verdict: Option<Verdict>,
    out: Option<String>,
    mark: Option<u32>,
    priority: Option<u32>,
    #[serde(default)]
    expect: BTreeMap<String, Entries>,
}

fn once() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// What is expected of the verdict.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected the name of a verdict, or a table of verdicts with how many runs return each"
)]
pub(super) enum Verdict {
    /// Each run ends with it.
    Each(String),
    /// So many runs end with each.
    Counts(BTreeMap<String, u32>),
}

/// What is expected of a map.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of entries, each with `key`, and `value` or `absent = true`; or a table with such a list, `only`"
)]
pub(super) enum Entries {
    /// These are there, whatever else is.
    These(Vec<Entry>),
    /// These are all.
    Only(Only),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Only {
    pub(super) only: Vec<Entry>,
}

/// An entry that is expected, or that is expected not to be there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) key: Option<Value>,
    pub(super) value: Option<Value>,
    #[serde(default)]
    pub(super) absent: bool,
}

/// A test that can be run.
#[derive(Debug)]
pub(super) struct Case {
    /// The file that it is in.
    pub(super) file: String,
    pub(super) name: String,
    pub(super) wish: TestWish,
    pub(super) expected: Vec<Expected>,
    /// The maps of its program.
    pub(super) maps: Vec<Map>,
}

/// What is expected of a packet.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) verdict: Option<Verdict>,
    pub(super) out: Option<Pattern>,
    pub(super) mark: Option<u32>,
    pub(super) priority: Option<u32>,
    /// In the order in which maps are read.
    pub(super) maps: Vec<(String, Entries)>,
}

/// What tests are of.
pub(super) struct Subject<'a> {
    pub(super) manifest: &'a Manifest,
    /// The bytes of a file of the package.
    pub(super) file: &'a dyn Fn(&str) -> Option<&'a [u8]>,
    /// Where the daemon finds the package.
    pub(super) reference: &'a str,
}

impl Subject<'_> {
    /// Reads a file of tests.
    pub(super) fn cases(&self, path: &str, text: &str) -> Result<Vec<Case>, Failure> {
        let file: TestFile = toml::from_str(text).map_err(|error| {
            Failure::new(format!("`{path}` is no file of tests: {}", error.to_string().trim_end()))
                .with_hint("docs/testing.md describes files of tests")
        })?;
        let (mut names, mut cases, mut failures) = (BTreeSet::new(), Vec::new(), Vec::new());
        for test in file.tests {
            let name = test.name.clone();
            if !names.insert(name.clone()) {
                failures.push(Failure::new(format!("`{path}` has two tests called `{name}`")));
                continue;
            }
            match self.case(path, test) {
                Ok(case) => cases.push(case),
                Err(failure) => failures.push(failure.within(&format!("`{path}`, test `{name}`"))),
            }
        }
        let Some(first) = failures.first() else { return Ok(cases) };
        let all = Failure::new(failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        Err(match first.hint() {
            Some(hint) => all.with_hint(hint),
            None => all,
        })
    }

    fn case(&self, path: &str, test: Test) -> Result<Case, Failure> {
        let program = self.program(test.program.as_ref())?;
        let point = point_of(program)?;
        if test.packets.is_empty() {
            return Err(Failure::new("it has no packet").with_hint("add `[[test.packet]]` with `in`"));
        }
        let interfaces = self.manifest.interfaces(|path| (self.file)(path).unwrap_or_default())?;
        let found = interfaces.into_iter().find(|(object, _)| *object == program.object);
        let maps = found.map(|(_, interface)| interface.maps).unwrap_or_default();
        for (name, entries) in &test.maps {
            values::check_entries(values::find(&maps, name)?, entries)?;
        }
        let (mut steps, mut expected) = (Vec::new(), Vec::new());
        for (number, step) in test.packets.into_iter().enumerate() {
            let made = self.step(step, point, &maps);
            let (step, wanted) = made.map_err(|failure| failure.within(&format!("packet {}", number + 1)))?;
            steps.push(step);
            expected.push(wanted);
        }
        let wish = TestWish {
            package: self.reference.to_owned(),
            hook: point,
            program: Some(program.function.clone()),
            config: test.config,
            place: TestPlace::Alone,
            maps: test.maps,
            steps,
        };
        Ok(Case { file: path.to_owned(), name: test.name, wish, expected, maps })
    }

    fn program(&self, named: Option<&ProgramName>) -> Result<&ProgramSpec, Failure> {
        let programs = &self.manifest.programs;
        let known: Vec<String> = programs.iter().map(|program| format!("`{}`", program.function)).collect();
        let hint = format!("the package has {}", known.join(", "));
        match (named, programs.as_slice()) {
            (Some(name), _) => self
                .manifest
                .program(name)
                .ok_or_else(|| Failure::new(format!("there is no program `{name}`")).with_hint(hint)),
            (None, [only]) => Ok(only),
            (None, _) => Err(Failure::new("it does not say which `program` it is of").with_hint(hint)),
        }
    }

    fn step(&self, step: Step, point: HookPoint, maps: &[Map]) -> Result<(TestStep, Expected), Failure> {
        let (bytes, repeat) = (input::bytes(&step.input, self.file)?, step.repeat.get());
        if !(TestWish::LEAST_BYTES..=TestWish::MOST_BYTES).contains(&bytes.len()) {
            let (least, most) = (TestWish::LEAST_BYTES, TestWish::MOST_BYTES);
            return Err(Failure::new(format!(
                "it has {} bytes, and a kernel takes {least} to {most}",
                bytes.len()
            )));
        }
        if let Some(verdict) = &step.verdict {
            check_verdict(verdict, point, repeat)?;
        }
        if point == HookPoint::Xdp && (step.mark.is_some() || step.priority.is_some()) {
            return Err(Failure::new("`mark` and `priority` are of packets of TC"));
        }
        let out = match step.out.as_deref() {
            None => None,
            Some("unchanged") => Some(Pattern::from(Packet::of_bytes(&bytes))),
            Some(text) => Some(text.parse().map_err(|bad| bad_packet("out", text, &bad))?),
        };
        let wanted: Vec<(String, Entries)> = step.expect.into_iter().collect();
        let read = wanted.iter().map(|(name, entries)| reading(values::find(maps, name)?, entries));
        let read = read.collect::<Result<_, Failure>>()?;
        let (mark, priority) = (step.mark, step.priority);
        let expected = Expected { verdict: step.verdict, out, mark, priority, maps: wanted };
        let packet = base64(&bytes);
        Ok((TestStep { packet, repeat, context: step.context, read }, expected))
    }
}

/// The hook of a program that can be tested so.
fn point_of(program: &ProgramSpec) -> Result<HookPoint, Failure> {
    match program.hook {
        ProgramKind::Chain(point) => Ok(point),
        ProgramKind::Probe(kind) => {
            let why = format!(
                "`{}` is for `{}`, and only programs for `xdp`, `tc-ingress` and `tc-egress` meet packets",
                program.function,
                kind.as_str()
            );
            Err(Failure::new(why)
                .with_hint("what it does when it is attached, a run of `l3af run` and `l3af get` shows"))
        }
    }
}

fn check_verdict(verdict: &Verdict, point: HookPoint, repeat: u32) -> Outcome {
    let names: Vec<&String> = match verdict {
        Verdict::Each(name) => vec![name],
        Verdict::Counts(counts) => counts.keys().collect(),
    };
    let unknown =
        names.iter().find(|name| name.parse::<i32>().is_err() && ProceedSet::parse(point, &[name]).is_err());
    if let Some(name) = unknown {
        ProceedSet::parse(point, &[name])?;
    }
    if let Verdict::Counts(counts) = verdict
        && counts.values().map(|count| u64::from(*count)).sum::<u64>() != u64::from(repeat)
    {
        return Err(Failure::new(format!("the verdicts do not add up to {repeat} runs"))
            .with_hint("`repeat` says how often the program meets the packet"));
    }
    Ok(())
}

/// What is read of a map for what is expected of it.
fn reading(map: &Map, entries: &Entries) -> Result<TestRead, Failure> {
    let (Entries::These(told) | Entries::Only(Only { only: told })) = entries;
    for (number, entry) in told.iter().enumerate() {
        values::check_entry(map, entry)
            .map_err(|failure| failure.within(&format!("entry {}", number + 1)))?;
    }
    let keys = match entries {
        Entries::These(told) => told.iter().map(|entry| entry.key.clone()).collect::<Option<Vec<_>>>(),
        Entries::Only(_) => None,
    };
    Ok(TestRead { map: map.name.clone(), keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> BTreeSet<String> {
        let refused = toml::from_str::<TestFile>(text).unwrap_err().to_string();
        let (_, known) = refused.split_once("expected ").unwrap();
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_has_the_keys_that_are_read_and_no_others() {
        let schema = include_str!("../../../../../docs/schema/tests.json");
        let schema: Value = serde_json::from_str(schema).unwrap();
        let check = |text: &str, schema: &Value| {
            let written = schema["properties"].as_object().unwrap().keys().cloned();
            assert_eq!(written.collect::<BTreeSet<_>>(), keys(text), "{text}");
            assert_eq!(schema["additionalProperties"], false, "{text}");
        };
        let (test, packet) = (&schema["$defs"]["test"], &schema["$defs"]["packet"]);
        check("[[test]]\nname = \"a\"\nunknown = 1", test);
        check("[[test]]\nname = \"a\"\npacket = [{ in = \"eth\", unknown = 1 }]", packet);
        let context = &packet["properties"]["context"];
        check("[[test]]\nname = \"a\"\npacket = [{ in = \"eth\", context = { unknown = 1 } }]", context);
    }

    #[test]
    fn the_example_of_the_documentation_is_a_file_of_tests() {
        let text = include_str!("../../../../../docs/testing.md");
        let (_, example) = text.split_once("```toml\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        let file: TestFile = toml::from_str(example).unwrap();
        assert_eq!(file.tests.len(), 1);
    }
}
