// SPDX-License-Identifier: Apache-2.0
//! The part of the REST API that is about packages.

mod find;
mod instance;
mod known;
mod packages;
mod publishers;
mod refused;
mod releases;
mod reviews;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Hub;

/// The calls, with their description.
pub(crate) fn routes() -> OpenApiRouter<Arc<Hub>> {
    OpenApiRouter::new()
        .routes(routes!(find::search))
        .routes(routes!(find::facets))
        .routes(routes!(find::categories))
        .routes(routes!(find::on_shelf))
        .routes(routes!(find::tags))
        .routes(routes!(packages::show))
        .routes(routes!(packages::versions))
        .routes(routes!(packages::resolve))
        .routes(routes!(packages::related))
        .routes(routes!(packages::advisories, packages::advise))
        .routes(routes!(releases::show, releases::delete))
        .routes(routes!(releases::checks, releases::check_again))
        .routes(routes!(releases::yank, releases::unyank))
        .routes(routes!(reviews::of_release, reviews::add))
        .routes(routes!(reviews::waiting))
        .routes(routes!(reviews::add_key))
        .routes(routes!(reviews::set_policy))
        .routes(routes!(publishers::roots, publishers::register))
        .routes(routes!(instance::show))
        .routes(routes!(instance::accept))
}
