// SPDX-License-Identifier: Apache-2.0
//! The packages of `programs/`, on real traffic.

mod attacks;
mod connlimit;
mod ddos_guard;
mod flow_exporter;
mod load_balancer;
mod probes;
mod ratelimit;
mod together;
mod traffic_mirror;
