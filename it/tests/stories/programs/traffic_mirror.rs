// SPDX-License-Identifier: Apache-2.0
//! `traffic-mirror`: what tshark finds in the tunnel is what was sent.
