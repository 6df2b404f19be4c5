// SPDX-License-Identifier: Apache-2.0
//! What administrators do all day: people leave, packages change hands, things are reported and taken down, mail is sent.

mod leaving;
mod mailed;
mod rebuilt;
mod reported;
mod taken_down;
mod transferred;

use it::Hub;
use serde_json::Value;

use super::packages::{Scene, version};

/// Calls the API, and expects a status.
fn call(hub: &Hub, token: &str, (method, path): (&str, &str), body: &Value, status: u16) -> Value {
    let body = (!body.is_null()).then_some(body);
    let reply = hub.call(token, method, &format!("/api/v1/{path}"), body).unwrap();
    assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    reply.json().unwrap_or_default()
}

/// What is wrong, in an answer.
fn title(problem: &Value) -> &str {
    problem["title"].as_str().unwrap_or_default()
}
