// SPDX-License-Identifier: Apache-2.0
//! `ratelimit`: the rate that is measured is the one that was asked for.
