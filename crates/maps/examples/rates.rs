// SPDX-License-Identifier: Apache-2.0
//! Measures how many events a second become JSON text, and how many entries a second become bytes, on one core.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::disallowed_types, reason = "it measures time; the crate itself reads no clock")]

use std::hint::black_box;
use std::time::Instant;

use maps::{Endian, Type};
use serde_json::{Value, json};

const EVENT: &str = "{ at: u64, from: ipv4, to: ipv4, source: port, target: port, verdict: enum u8 { pass = 1, drop = 2 }, \
                     protocol: u8, length: u16, comm: char[16], flags: u32, packets: u64 }";
const ENTRY: &str = "{ rate: u64, burst: u32, action: enum u32 { pass = 1, drop = 2 } }";
const EVENTS: u32 = 2_000_000;
const ENTRIES: u32 = 100_000;

fn main() {
    let event: Type = EVENT.parse().expect("it is a type");
    let value = json!({
        "at": 123_456_789_012_345_u64, "from": "192.0.2.1", "to": "198.51.100.7", "source": 40000, "target": 443,
        "verdict": "drop", "protocol": 6, "length": 1500, "comm": "ksoftirqd/0", "flags": 3, "packets": 12,
    });
    let bytes = event.encode(&value, Endian::Little).expect("it is an event");
    let mut text = Vec::with_capacity(512);
    let start = Instant::now();
    for _ in 0..EVENTS {
        text.clear();
        let view = event.view(black_box(&bytes), Endian::Little).expect("it has the size of one");
        serde_json::to_writer(&mut text, &view).expect("memory takes it");
        black_box(&text);
    }
    let decoded = f64::from(EVENTS) / start.elapsed().as_secs_f64();

    let entry: Type = ENTRY.parse().expect("it is a type");
    let entries: String = (0..ENTRIES)
        .map(|at| json!({"rate": at, "burst": 10, "action": "drop"}).to_string() + "\n")
        .collect();
    let mut room = vec![0; entry.bytes()];
    let start = Instant::now();
    for line in entries.lines() {
        let value: Value = serde_json::from_str(line).expect("it is JSON");
        entry.encode_into(&value, Endian::Little, &mut room).expect("it is an entry");
        black_box(&room);
    }
    let elapsed = start.elapsed();
    println!("decoded {decoded:.0} events/s of {} bytes to {} bytes of JSON", bytes.len(), text.len());
    println!("encoded {ENTRIES} entries from JSON text in {elapsed:?}");
}
