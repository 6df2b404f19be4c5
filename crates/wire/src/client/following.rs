// SPDX-License-Identifier: Apache-2.0
//! Answers that go on.

use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;

use super::{CallError, NodeClient};
use crate::server_events::ServerEvents;

/// What a node tells as it happens, one after the other.
#[derive(Debug)]
pub struct Following<T> {
    response: Response,
    events: ServerEvents<T>,
    place: String,
}

impl NodeClient {
    /// Asks for an answer that goes on.
    pub(super) async fn follow<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<Following<T>, CallError> {
        let response = self.response(request).await?;
        Ok(Following { response, events: ServerEvents::new(), place: self.place.clone() })
    }
}

impl<T: DeserializeOwned> Following<T> {
    /// Waits for the next one; none when nothing comes any more.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is not what a node sends.
    pub async fn next(&mut self) -> Result<Option<T>, CallError> {
        loop {
            if let Some(next) = self.events.next() {
                return Ok(Some(next));
            }
            let broken = |source| CallError::Broken { place: self.place.clone(), source };
            let Some(piece) = self.response.chunk().await.map_err(broken)? else { return Ok(None) };
            let garbled = |bad| CallError::Garbled { place: self.place.clone(), source: Box::new(bad) };
            self.events.take(&piece).map_err(garbled)?;
        }
    }
}
