// SPDX-License-Identifier: Apache-2.0
//! The commands, one module each.

pub(crate) mod apply;
pub(crate) mod build;
pub(crate) mod chain;
mod clang;
mod daemon;
pub(crate) mod detach;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod ps;
pub(crate) mod run;
pub(crate) mod sign;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod verify;
