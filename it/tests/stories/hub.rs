// SPDX-License-Identifier: Apache-2.0
//! The hub, as its clients see it.

mod access;
mod administration;
mod backup;
mod issuers;
mod life;
mod mirrors;
mod packages;
mod registry;
