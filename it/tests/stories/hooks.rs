// SPDX-License-Identifier: Apache-2.0
//! Stories whose end hangs on the kernel: `make test` tells them on a second one too.

pub(crate) mod attach;
pub(crate) mod begun;
pub(crate) mod canary;
pub(crate) mod chain;
pub(crate) mod configured;
pub(crate) mod confined;
pub(crate) mod corpus;
pub(crate) mod dispatched;
pub(crate) mod drift;
pub(crate) mod exclusive;
pub(crate) mod head;
pub(crate) mod hitless;
pub(crate) mod interfaces;
pub(crate) mod kills;
pub(crate) mod map_kinds;
pub(crate) mod maps;
pub(crate) mod mechanism;
pub(crate) mod members;
pub(crate) mod probe_life;
pub(crate) mod probes;
pub(crate) mod ready;
pub(crate) mod share;
pub(crate) mod tc;
pub(crate) mod upgrade;
pub(crate) mod why;
