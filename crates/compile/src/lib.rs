// SPDX-License-Identifier: Apache-2.0
//! What is made of the folder of a package: objects of its C sources, and bindings of what their maps hold.
//!
//! `l3af build`, `l3af gen` and `l3af test --coverage` use it, and the build scripts of our packages' programs for user space
//! ([`bindings_for_build`]). It runs clang and writes into a folder of its own; it reads no more of a package than it is asked for.

mod clang;
mod counted;
mod objects;
mod script;
mod uncompiled;
mod undescribed;

pub use clang::Clang;
pub use counted::{Counted, Function, SECTION};
pub use objects::{bindings_of, objects};
pub use script::bindings_for_build;
pub use uncompiled::Uncompiled;
pub use undescribed::Undescribed;
