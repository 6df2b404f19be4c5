// SPDX-License-Identifier: Apache-2.0
//! The part of the REST API that is about packages.

mod find;
mod instance;
mod known;
mod opinions;
mod packages;
mod publishers;
mod refused;
mod releases;
mod reports;
mod reviews;
mod takedowns;
mod transfers;

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
        .routes(routes!(opinions::set_price, opinions::remove_price))
        .routes(routes!(opinions::own_rating, opinions::rate, opinions::unrate))
        .routes(routes!(releases::show, releases::delete))
        .routes(routes!(releases::checks, releases::check_again))
        .routes(routes!(releases::yank, releases::unyank))
        .routes(routes!(reviews::of_release, reviews::add))
        .routes(routes!(reviews::waiting))
        .routes(routes!(reviews::keys, reviews::add_key))
        .routes(routes!(reviews::remove_key))
        .routes(routes!(reviews::set_policy))
        .routes(routes!(reports::list, reports::file))
        .routes(routes!(reports::show))
        .routes(routes!(reports::claim, reports::unclaim))
        .routes(routes!(reports::resolve))
        .routes(routes!(takedowns::list, takedowns::take))
        .routes(routes!(takedowns::show, takedowns::lift))
        .routes(routes!(transfers::offer))
        .routes(routes!(transfers::list))
        .routes(routes!(transfers::accept))
        .routes(routes!(transfers::end))
        .routes(routes!(publishers::roots, publishers::register))
        .routes(routes!(instance::show))
        .routes(routes!(instance::accept))
}
