// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Makes the bindings of the package that this is the user part of.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    compile::bindings_for_build(Path::new(".."))
}
