// SPDX-License-Identifier: Apache-2.0
//! See `it::fuzz::btf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| it::fuzz::btf(bytes));
