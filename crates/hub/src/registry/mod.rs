// SPDX-License-Identifier: Apache-2.0
//! The OCI registry (distribution specification 1.1).

mod name;
mod publishers;
mod visibility;

use std::sync::Arc;

use axum::Router;

use crate::Hub;

pub use self::name::{BadName, PublisherName};
pub use self::publishers::{Namespace, NotAdded};
pub(crate) use self::visibility::{conceal, reveal};

/// The routes below `/v2/`.
pub(crate) fn routes() -> Router<Arc<Hub>> {
    Router::new()
}
