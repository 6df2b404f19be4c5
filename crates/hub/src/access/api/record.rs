// SPDX-License-Identifier: Apache-2.0
//! The record of changes, through the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::Problem;

use super::super::action::{Action, Resource};
use super::super::caller::Caller;
use super::super::refused::Refused;
use crate::Hub;
use crate::audit::{self, Entry};
use crate::given::{Asked, Listed, Part, usual};

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Entries {
    /// The number of the last entry that is known already.
    #[serde(default)]
    #[param(minimum = 0)]
    after: i64,
    /// How many at most.
    #[serde(default = "usual")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: i64,
}

/// Who changed what, the oldest first
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(Entries),
    responses((status = 200, body = Listed<Entry>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(Entries { after, limit }): Asked<Entries>,
) -> Result<Json<Listed<Entry>>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    if after < 0 {
        return Err(Refused::Invalid("`after` is the number of an entry".to_owned()));
    }
    let part = Part { after: String::new(), limit };
    let mut connection = hub.database.readers().acquire().await?;
    let found = audit::after(&mut connection, after, part.read()?).await?;
    Ok(Json(part.of(found, |entry| entry.number.to_string())))
}
