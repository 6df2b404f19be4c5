// SPDX-License-Identifier: Apache-2.0
//! Who gets in, and what they may do there.

mod clients;
mod described;
mod first;
mod limits;
mod members;
mod record;
mod token_server;
mod tokens;

use it::{Hub, Person};

/// Every scope there is.
const ALL: [&str; 4] = ["repository:*:pull,push,delete", "api:read", "api:write", "admin"];

/// A hub where one has to log in, with its administrator, and what that one shows.
fn scene() -> (Hub, Person, String) {
    let hub = Hub::start_with("[access]\n").unwrap();
    let boss = hub.administrator().unwrap();
    let token = hub.token(&boss, &ALL).unwrap();
    (hub, boss, token)
}
