// SPDX-License-Identifier: Apache-2.0
//! `load-balancer`: HTTP servers in namespaces, one of which dies.
