// SPDX-License-Identifier: Apache-2.0
//! What is pushed becomes a package here: pending, checked, reviewed, released, yanked.
