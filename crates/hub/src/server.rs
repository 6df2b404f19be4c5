// SPDX-License-Identifier: Apache-2.0
//! Listens, and leads each request to what answers it.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::{Hub, registry};

/// Answers requests until `end` is ready.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    hub: Arc<Hub>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new().route("/healthz", get(async || "ok\n")).merge(registry::routes());
    axum::serve(listener, routes.with_state(hub)).with_graceful_shutdown(end).await
}
