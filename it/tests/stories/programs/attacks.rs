// SPDX-License-Identifier: Apache-2.0
//! Packets that attack: a generated corpus, against every package for packets.
