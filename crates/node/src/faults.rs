// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a document that can be read: all of it together, each with its place.

use std::fmt;

use wire::Fault;

use crate::Rejected;

/// What is wrong, with the places as JSON pointers (RFC 6901).
#[derive(Debug, Default)]
pub struct Faults(Vec<(String, Rejected)>);

impl Faults {
    /// The value, unless it is wrong; that is noted with its place.
    pub(crate) fn take<T>(&mut self, place: &str, result: Result<T, impl Into<Rejected>>) -> Option<T> {
        result.map_err(|wrong| self.0.push((place.to_owned(), wrong.into()))).ok()
    }

    /// Refuses where anything was noted: as it is where that is one thing, else with all of it.
    pub(crate) fn refuse(mut self) -> Result<(), Rejected> {
        match self.0.len() {
            0 => Ok(()),
            1 => self.0.pop().map_or(Ok(()), |(_, only)| Err(only)),
            _ => Err(Rejected::Several(self)),
        }
    }

    /// What can be done about the first of them.
    pub(crate) fn hint(&self) -> Option<String> {
        self.0.iter().find_map(|(_, rejected)| rejected.hint())
    }

    /// The same for problem details.
    pub(crate) fn told(&self) -> Vec<Fault> {
        let faults = self.0.iter().map(|(place, rejected)| Fault {
            pointer: place.clone(),
            value: None,
            detail: rejected.problem().to_string(),
            line: None,
        });
        faults.collect()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told().iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
