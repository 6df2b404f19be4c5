// SPDX-License-Identifier: Apache-2.0
//! See `it::fuzz::payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| it::fuzz::payload(bytes));
