// SPDX-License-Identifier: Apache-2.0
//! See `it::fuzz::packet`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| it::fuzz::packet(bytes));
