// SPDX-License-Identifier: Apache-2.0
//! Downloading what has a digest: what breaks in the middle goes on where it was, within the attempts that there are.
//!
//! It goes on by a range of bytes (RFC 9110 section 14). `If-Range` is not needed: the digest, which is computed over the whole,
//! says whether both parts belong to the same. A registry that gives another part than was asked for begins anew.

use package::Digest;
use reqwest::header::{CONTENT_RANGE, HeaderMap};
use reqwest::{Response, StatusCode};

use super::http::{Call, Fault};
use super::{Progress, Registry, RegistryError};

impl Registry {
    /// Downloads what has this digest; `None` when there is no such thing.
    pub(super) async fn download(
        &self,
        call: &Call<'_>,
        digest: &Digest,
        progress: &Progress,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let mut received = Vec::new();
        let mut attempts = self.attempts();
        loop {
            match self.go_on(call, digest, (&mut received, progress)).await {
                Ok(done) => return Ok(done),
                Err(fault) => attempts.wait(fault).await?,
            }
        }
    }

    /// One attempt. What came so far stays where it breaks.
    async fn go_on(
        &self,
        call: &Call<'_>,
        digest: &Digest,
        (received, progress): (&mut Vec<u8>, &Progress),
    ) -> Result<Option<Vec<u8>>, Fault> {
        let before = received.len();
        let answer = self.ask_for_rest(call, received).await?;
        progress.retreat((before - received.len()) as u64);
        let Some(mut response) = self.successful(call, answer).await? else { return Ok(None) };
        let is_in_parts = !received.is_empty();
        self.receive(call, &mut response, received, |bytes| progress.advance(bytes)).await?;
        let whole = std::mem::take(received);
        match Digest::of(&whole) {
            found if found == *digest => Ok(Some(whole)),
            found => {
                let repository = call.repository.clone();
                let error = RegistryError::WrongDigest { wanted: *digest, found, repository };
                progress.retreat(whole.len() as u64);
                // Where parts do not belong to each other, the whole may be right.
                Err(if is_in_parts { Fault::Passing(error, None) } else { Fault::Lasting(error) })
            }
        }
    }

    /// Asks for what is missing. Where that is not what comes, what came so far is given up for the whole.
    async fn ask_for_rest(&self, call: &Call<'_>, received: &mut Vec<u8>) -> Result<Response, Fault> {
        let begin = received.len() as u64;
        let response = self.send(call, begin).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if begins_at(response.headers()) == Some(begin) => Ok(response),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if begin > 0 => {
                received.clear();
                self.send(call, 0).await
            }
            StatusCode::OK => {
                received.clear();
                Ok(response)
            }
            _ => Ok(response),
        }
    }
}

/// Where a part begins (RFC 9110 section 14.4), as in `bytes 42-1233/1234`.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}
