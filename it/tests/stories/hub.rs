// SPDX-License-Identifier: Apache-2.0
//! The hub, as its clients see it.

mod access;
mod administration;
mod backup;
mod life;
mod packages;
mod registry;
