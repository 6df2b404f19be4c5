// SPDX-License-Identifier: Apache-2.0
//! The test vectors of the specification, those in files and those among its words, and the reader that knows only that text.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests read files and start python3"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use maps::{Endian, FaultKind, Interface, Type};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::made::types;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    #[serde(rename = "type")]
    is: Value,
    same_as: Option<Value>,
    #[serde(default)]
    values: Vec<ValueVector>,
    #[serde(default)]
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueVector {
    little: Option<String>,
    big: Option<String>,
    bytes: Option<String>,
    value: Value,
    #[serde(default)]
    also: Vec<Value>,
    written: Option<String>,
    #[serde(default)]
    only_read: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    value: Value,
    faults: Vec<(String, FaultKind)>,
    endian: Option<Endian>,
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn files() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(in_repository("crates/maps/testdata/vectors")).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The blocks of the specification in a language.
fn blocks(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(in_repository("docs/map-interface.md")).unwrap();
    let opening = format!("```{language}\n");
    let inside = text.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    inside.collect()
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// Whether two values are the same, however their numbers are written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has = |(name, value)| other.get(name).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(has)
        }
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

fn run(vector: &Vector) {
    let words = vector.is.as_str().map(|words| words.parse().unwrap());
    let is: Type = words.unwrap_or_else(|| serde_json::from_value(vector.is.clone()).unwrap());
    if let Some(same_as) = &vector.same_as {
        assert_eq!(is, serde_json::from_value(same_as.clone()).unwrap());
    }
    for value in &vector.values {
        for (endian, own) in [(Endian::Little, &value.little), (Endian::Big, &value.big)] {
            let Some(digits) = own.as_ref().or(value.bytes.as_ref()) else { continue };
            run_value(&is, value, &hex(digits), endian);
        }
    }
    for refused in &vector.refused {
        let orders = refused.endian.map_or(vec![Endian::Little, Endian::Big], |endian| vec![endian]);
        for endian in orders {
            let faults = is.encode(&refused.value, endian).unwrap_err();
            let told = |fault: &maps::Fault| (fault.pointer.clone(), format!("{:?}", fault.kind));
            let mut told: Vec<_> = faults.all().iter().map(told).collect();
            let named = |(pointer, kind): &(String, FaultKind)| (pointer.clone(), format!("{kind:?}"));
            let mut wanted: Vec<_> = refused.faults.iter().map(named).collect();
            told.sort();
            wanted.sort();
            assert_eq!(told, wanted, "{} as {is}", refused.value);
        }
    }
}

fn run_value(is: &Type, vector: &ValueVector, bytes: &[u8], endian: Endian) {
    let read = is.decode(bytes, endian).unwrap();
    assert!(same(&read, &vector.value), "{is} {endian:?}: {read} is not {}", vector.value);
    if vector.only_read {
        return;
    }
    let wanted = vector.written.as_deref().map_or_else(|| bytes.to_vec(), hex);
    for given in [&vector.value].into_iter().chain(&vector.also) {
        assert_eq!(is.encode(given, endian).unwrap(), wanted, "{is} {endian:?}: {given}");
    }
}

#[test]
fn vectors_in_files_hold() {
    let mut count = 0;
    for file in files() {
        let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        vectors.iter().for_each(run);
        count += vectors.len();
    }
    assert!(count > 50, "there are vectors");
}

#[test]
fn examples_of_the_specification_hold() {
    let mut kinds = [0, 0];
    for block in blocks("json") {
        let value: Value = serde_json::from_str(&block).unwrap();
        if value.get("maps").is_some() {
            let interface: Interface = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&interface).unwrap(), value);
            kinds[0] += 1;
        } else {
            run(&serde_json::from_value(value).unwrap());
            kinds[1] += 1;
        }
    }
    assert!(kinds[0] > 0 && kinds[1] > 10, "there are examples");
    let words = blocks("text").concat();
    for line in words.lines() {
        // Single words stand beside each other; whatever is behind two spaces says what they are.
        let line = line.split("  ").next().unwrap();
        let composite = line.contains(['{', ';']);
        let words = if composite { vec![line] } else { line.split(' ').collect() };
        for word in words {
            word.parse::<Type>().unwrap();
        }
    }
}

/// What is read of made-up bytes, and what is written of that, as vectors.
fn made_up(runner: &mut TestRunner) -> Value {
    let is = types().new_tree(runner).unwrap().current();
    let some = prop::collection::vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], is.bytes().max(1));
    let mut values = Vec::new();
    let mut refused = Vec::new();
    for (endian, name) in [(Endian::Little, "little"), (Endian::Big, "big")] {
        let bytes = &some.new_tree(runner).unwrap().current()[..is.bytes()];
        let value = is.decode(bytes, endian).unwrap();
        match is.encode(&value, endian) {
            Ok(written) => {
                values.push(json!({name: digits(bytes), "value": value, "written": digits(&written)}));
            }
            Err(faults) => {
                values.push(json!({name: digits(bytes), "value": value, "only_read": true}));
                let faults: Vec<Value> =
                    faults.all().iter().map(|fault| json!([fault.pointer, fault.kind])).collect();
                refused.push(json!({"value": value, "faults": faults, "endian": name}));
            }
        }
    }
    json!({"type": is, "values": values, "refused": refused})
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn a_reader_that_knows_only_the_specification_agrees_on_made_up_types() {
    let mut runner = TestRunner::deterministic();
    let vectors: Vec<Value> = (0..500).map(|_| made_up(&mut runner)).collect();
    let mut python = Command::new("python3");
    python.arg(in_repository("crates/maps/testdata/reader.py")).arg("-");
    let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&serde_json::to_vec(&vectors).unwrap()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_reader_that_knows_only_the_specification_agrees() {
    let mut python = Command::new("python3");
    python.arg(in_repository("crates/maps/testdata/reader.py")).arg(in_repository("docs/map-interface.md"));
    let output = python.args(files()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
