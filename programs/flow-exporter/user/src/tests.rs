// SPDX-License-Identifier: Apache-2.0
//! Whole ways: messages are decoded by a reader of their own, and counts go from tables into messages while the program is killed.

mod decode;
mod encoding;
mod killed;
mod sessions;
