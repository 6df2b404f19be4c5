// SPDX-License-Identifier: Apache-2.0
//! The package crate from outside: what is packed is read, and what attacks is refused.

mod archive;
mod manifest;
mod object;
mod package;
