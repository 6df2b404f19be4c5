// SPDX-License-Identifier: Apache-2.0
//! What requests of the API bring: JSON, parameters and names in the path, and who sends them. What cannot be read is told as
//! problem details.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::Hub;
use crate::access::{Caller, Refused};
use crate::answer::{problem, refuse};

/// The body, which is JSON.
pub(crate) struct Body<T>(pub(crate) T);

/// What follows `?`.
pub(crate) struct Asked<T>(pub(crate) T);

/// The parts of the path that vary.
pub(crate) struct Named<T>(pub(crate) T);

/// Which part of a list is wanted.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// The value of `next` that came with the part before; left out for the first.
    #[serde(default)]
    pub(crate) after: String,
    /// How many at most.
    #[serde(default = "usual")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(crate) limit: i64,
}

/// A part of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    /// What to ask for `after`; none where this is the end.
    pub(crate) next: Option<String>,
}

/// How many are told where nobody says how many.
pub(crate) fn usual() -> i64 {
    100
}

impl Part {
    /// How many are read: one more than is told, which tells whether there are more.
    ///
    /// # Errors
    /// When more are wanted than are told at once.
    pub(crate) fn read(&self) -> Result<i64, Refused> {
        if (1..=1000).contains(&self.limit) {
            return Ok(self.limit + 1);
        }
        Err(Refused::Invalid("`limit` is 1 to 1000".to_owned()))
    }

    /// The part, of what was read.
    pub(crate) fn of<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> Listed<T> {
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = items.len() > most;
        items.truncate(most);
        let next = if has_more { items.last().map(key) } else { None };
        Listed { items, next }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        const HINT: &str =
            "send JSON as `/api/v1/openapi.json` describes it, with `Content-Type: application/json`";
        // An array is no object, though it could be read as the values of one in their order.
        let object = Json::<Map<String, Value>>::from_request(request, state).await;
        let Json(object) =
            object.map_err(|unread: JsonRejection| unreadable(unread.status(), unread.body_text(), HINT))?;
        serde_json::from_value(Value::Object(object))
            .map(Self)
            .map_err(|error| unreadable(StatusCode::UNPROCESSABLE_ENTITY, error.to_string(), HINT))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        let hint = "`/api/v1/openapi.json` tells which parameters there are";
        read.map(|Query(asked)| Self(asked))
            .map_err(|unread: QueryRejection| unreadable(unread.status(), unread.body_text(), hint))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        // What can be no name names nothing.
        read.map(|Path(named)| Self(named)).map_err(|unread: PathRejection| {
            unreadable(
                StatusCode::NOT_FOUND,
                unread.body_text(),
                "names are lower-case letters, digits, hyphens",
            )
        })
    }
}

impl FromRequestParts<Arc<Hub>> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, Response> {
        let caller = hub.access.caller(&parts.headers).await;
        caller.map_err(|denied| Refused::from(denied).into_response())
    }
}

fn unreadable(status: StatusCode, title: String, hint: &str) -> Response {
    refuse(&problem(status, "unreadable", title, hint.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_tells_whether_there_is_more() {
        let part = Part { after: String::new(), limit: 2 };
        assert_eq!(part.read().unwrap(), 3);
        let listed = part.of(vec![1, 2, 3], i32::to_string);
        assert_eq!((listed.items, listed.next.as_deref()), (vec![1, 2], Some("2")));
        assert_eq!(part.of(vec![1, 2], i32::to_string).next, None);
        assert!(Part { limit: 1001, ..part }.read().is_err());
    }
}
