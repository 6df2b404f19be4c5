// SPDX-License-Identifier: Apache-2.0
//! `connlimit`: real connections, counted as they come and go.
