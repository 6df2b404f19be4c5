// SPDX-License-Identifier: Apache-2.0
//! The OCI registry (distribution specification 1.1).

use std::sync::Arc;

use axum::Router;

use crate::Hub;

/// The routes below `/v2/`.
pub(crate) fn routes() -> Router<Arc<Hub>> {
    Router::new()
}
