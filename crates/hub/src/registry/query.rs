// SPDX-License-Identifier: Apache-2.0
//! What follows the `?` of a path.

use super::refused::Refused;

/// Names and values, in their order; a name may come more than once.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query, as it was sent.
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The first value of a name.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// How many to list (`n`), `most` at most and where nothing is said.
    pub(super) fn count(&self, most: u32) -> Result<u32, Refused> {
        let Some(given) = self.first("n") else { return Ok(most) };
        let number: u64 = given.parse().map_err(|_bad| Refused::BadCount { given: given.to_owned() })?;
        Ok(u32::try_from(number).map_or(most, |number| number.min(most)))
    }
}
