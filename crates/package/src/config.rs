// SPDX-License-Identifier: Apache-2.0
//! What a document says of a program: values for its parameters, and what its maps hold.
//!
//! A parameter is a constant that may be given another value before its object is loaded. An author writes
//! `const volatile __u32 limit = 100;`. The compiler puts the value into `.rodata` and describes it in BTF; the kernel then
//! treats it as a constant, so that a parameter costs nothing per packet.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values in the JSON of the map interface (`docs/map-interface.md`), by the names of parameters and maps. Whether they fit is
/// found out when the object is known.
pub type Config = BTreeMap<String, Value>;
