// SPDX-License-Identifier: Apache-2.0
//! The schema of what a manifest adds: it has the keys and words that are read, and no others.

use maps::{Clock, FieldNotes, Format, MapNotes, Role};
use serde::Serialize;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../../../docs/schema/map-notes.json");

fn keys(object: &Value) -> Vec<&String> {
    let mut keys: Vec<&String> = object.as_object().unwrap().keys().collect();
    keys.sort();
    keys
}

fn words<T: Serialize>(all: &[T]) -> Value {
    serde_json::to_value(all).unwrap()
}

#[test]
fn the_schema_has_the_keys_that_are_read_and_no_others() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let field: FieldNotes = serde_json::from_value(json!({
        "path": "value", "name": "a", "description": "b", "unit": "B", "format": "time", "clock": "unix", "default": 1,
        "min": 1, "max": 2, "names": {"a": 1}, "open": true, "label": "c", "buckets": "log2",
    }))
    .unwrap();
    let map: MapNotes = serde_json::from_value(json!({
        "name": "a", "role": "config", "description": "b", "key_type": "u8", "value_type": "u8", "event": "u8",
        "field": [field],
    }))
    .unwrap();
    let written = serde_json::to_value(&map).unwrap();
    assert_eq!(keys(&schema["properties"]), keys(&written));
    assert_eq!(keys(&schema["$defs"]["field"]["properties"]), keys(&written["field"][0]));
    let more: Result<FieldNotes, _> = serde_json::from_value(json!({"path": "value", "more": 1}));
    assert!(more.unwrap_err().to_string().starts_with("unknown field `more`"));
}

#[test]
fn the_schema_has_the_words_that_are_read_and_no_others() {
    use Format::{Be, Bytes, Duration, Flags, Hex, Histogram, Ip, Ipv4, Ipv6, Mac, Port, Prefix, Text, Time};
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let formats = [Hex, Bytes, Text, Ipv4, Ipv6, Ip, Mac, Port, Be, Prefix, Flags, Duration, Time, Histogram];
    assert_eq!(schema["$defs"]["format"]["enum"], words(&formats));
    let clocks = [Clock::Unix, Clock::Monotonic, Clock::Boot];
    assert_eq!(schema["$defs"]["clock"]["enum"], words(&clocks));
    let roles = [Role::Config, Role::State, Role::Metric, Role::Event];
    assert_eq!(schema["$defs"]["role"]["enum"], words(&roles));
}
