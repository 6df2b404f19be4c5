// SPDX-License-Identifier: Apache-2.0
//! Somebody lets this machine in by a browser elsewhere (RFC 8628).

use std::time::Duration;

use wire::hub::{DeviceAnswer, HubClient, Wish};
use zeroize::Zeroizing;

use super::no_hub;
use crate::failure::Failure;
use crate::output;

/// How much longer than before one waits who asked too early (section 3.5).
const LONGER: Duration = Duration::from_secs(5);

pub(super) async fn token(client: &HubClient, wish: &Wish) -> Result<Zeroizing<String>, Failure> {
    let login = client.begin_device(wish).await.map_err(no_hub)?;
    output::note(&format!("open {} in any browser, and type {}", login.verification_uri, login.user_code));
    if let Some(complete) = &login.verification_uri_complete {
        output::note(&format!("or open {complete}"));
    }
    let mut pause = Duration::from_secs(login.interval);
    // The hub says when it was too long.
    loop {
        tokio::time::sleep(pause).await;
        match client.poll_device(&login).await? {
            DeviceAnswer::Token(token) => return Ok(token),
            DeviceAnswer::Pending => {}
            DeviceAnswer::SlowDown => pause += LONGER,
        }
    }
}
