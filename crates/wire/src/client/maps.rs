// SPDX-License-Identifier: Apache-2.0
//! The calls about maps.

use reqwest::{Method, RequestBuilder, Response};

use super::{CallError, Following, NodeClient};
use crate::{MapChange, MapChanged, MapEnd, MapEntry, MapLine, MapPlace, MapTold, Maps};

/// The entries of a map, one after the other, as the node reads them.
#[derive(Debug)]
pub struct Entries {
    response: Response,
    /// What came and is not taken yet; the last line may be a part of one.
    pending: Vec<u8>,
    /// How much of that was taken.
    taken: usize,
    place: String,
}

impl NodeClient {
    /// The maps of all that runs.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn maps(&self) -> Result<Maps, CallError> {
        self.answer(self.request(Method::GET, "/v1/maps")).await
    }

    /// The entry of a map under a key, as text; with all values where each processor has its own.
    ///
    /// # Errors
    /// When the node does not answer or refuses, or there is no such entry.
    pub async fn map_entry(&self, place: &MapPlace, key: &str, per_cpu: bool) -> Result<MapEntry, CallError> {
        let request = self.map_request(Method::GET, place, "");
        self.answer(request.query(&[("key", key), ("per_cpu", &per_cpu.to_string())])).await
    }

    /// All entries of a map.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn map_entries(&self, place: &MapPlace, per_cpu: bool) -> Result<Entries, CallError> {
        let request = self.map_request(Method::GET, place, "/entries");
        let response = self.response(request.query(&[("per_cpu", per_cpu)])).await?;
        Ok(Entries { response, pending: Vec::new(), taken: 0, place: self.place.clone() })
    }

    /// Changes entries of a map: all, or none.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn change_map(&self, place: &MapPlace, change: &MapChange) -> Result<MapChanged, CallError> {
        self.answer(self.map_request(Method::PATCH, place, "").json(change)).await
    }

    /// What changes in a map, or its events, as they come.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn watch_map(&self, place: &MapPlace) -> Result<Following<MapTold>, CallError> {
        self.follow(self.map_request(Method::GET, place, "/watch")).await
    }

    fn map_request(&self, method: Method, place: &MapPlace, behind: &str) -> RequestBuilder {
        let MapPlace { member, hook, map } = place;
        let request = self.request(method, &format!("/v1/maps/{member}/{map}{behind}"));
        request.query(&hook.iter().map(|hook| ("hook", hook)).collect::<Vec<_>>())
    }
}

impl Entries {
    /// Waits for the next entry; none at the end.
    ///
    /// # Errors
    /// When the connection breaks, what comes is no entry, or not all of them came.
    pub async fn next(&mut self) -> Result<Option<MapEntry>, CallError> {
        let Some(line) = self.line().await? else {
            return Err(self.cut_off("the connection ended before the last entry".to_owned()));
        };
        match line {
            MapLine::Entry(entry) => Ok(Some(entry)),
            MapLine::End(MapEnd { problem: None, .. }) => Ok(None),
            MapLine::End(MapEnd { problem: Some(problem), .. }) => Err(self.cut_off(problem)),
        }
    }

    async fn line(&mut self) -> Result<Option<MapLine>, CallError> {
        loop {
            let pending = &self.pending[self.taken..];
            if let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let garbled = |bad| CallError::Garbled { place: self.place.clone(), source: Box::new(bad) };
                let line = serde_json::from_slice(&pending[..end]).map_err(garbled)?;
                self.taken += end + 1;
                return Ok(Some(line));
            }
            self.pending.drain(..self.taken);
            self.taken = 0;
            let broken = |source| CallError::Broken { place: self.place.clone(), source };
            match self.response.chunk().await.map_err(broken)? {
                Some(piece) => self.pending.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }

    fn cut_off(&self, problem: String) -> CallError {
        CallError::CutOff { place: self.place.clone(), problem }
    }
}
