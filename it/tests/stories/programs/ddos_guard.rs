// SPDX-License-Identifier: Apache-2.0
//! `ddos-guard`: a flood in a namespace while real connections succeed.
