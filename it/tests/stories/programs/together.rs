// SPDX-License-Identifier: Apache-2.0
//! All packages for packets in one chain.
