// SPDX-License-Identifier: Apache-2.0
//! The packages of probes: what they tell is what happens.
