// SPDX-License-Identifier: Apache-2.0
//! `flow-exporter`: what nfcapd and tshark read of it is what was sent.
