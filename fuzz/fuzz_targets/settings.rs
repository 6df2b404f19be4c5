// SPDX-License-Identifier: Apache-2.0
//! See `it::fuzz::settings`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| it::fuzz::settings(bytes));
