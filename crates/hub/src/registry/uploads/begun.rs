// SPDX-License-Identifier: Apache-2.0
//! Uploads that were begun and have no bytes yet.
//!
//! Most uploads end with the request after the one that begins them, so a hub that is alone with its database remembers here that
//! they began, and writes a row when there are bytes to go on from. When it ends, uploads without bytes are forgotten, which loses
//! nothing that was acknowledged: the client is told that there is no such upload, and begins another.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::registry::name::RepositoryName;

/// So many are remembered, the youngest.
const MOST: usize = 100_000;

/// Uploads that have no bytes yet, by their ids, which count up with time.
#[derive(Default)]
pub(crate) struct Begun(Mutex<BTreeMap<Uuid, Owner>>);

/// Whose an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) name: RepositoryName,
    pub(super) account: Option<String>,
}

impl Begun {
    pub(super) fn add(&self, id: Uuid, owner: Owner) {
        let mut begun = self.locked();
        begun.insert(id, owner);
        if begun.len() > MOST {
            begun.pop_first();
        }
    }

    pub(super) fn is_of(&self, id: Uuid, owner: &Owner) -> bool {
        self.locked().get(&id) == Some(owner)
    }

    /// Forgets one that has bytes now, or is over.
    pub(super) fn forget(&self, id: Uuid) {
        self.locked().remove(&id);
    }

    /// Forgets those that began before.
    pub(crate) fn forget_before(&self, ms: i64) {
        let seconds = u64::try_from(ms / 1000).unwrap_or_default();
        let is_young = |id: &Uuid| id.get_timestamp().is_some_and(|begun| begun.to_unix().0 >= seconds);
        self.locked().retain(|id, _| is_young(id));
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Uuid, Owner>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::{NoContext, Timestamp, Uuid};

    use super::{Begun, MOST, Owner};

    fn at(second: u64) -> Uuid {
        Uuid::new_v7(Timestamp::from_unix(NoContext, second, 0))
    }

    fn owner(name: &str, account: Option<&str>) -> Owner {
        Owner { name: name.parse().expect("a name"), account: account.map(str::to_owned) }
    }

    #[test]
    fn an_upload_is_for_who_began_it_where_it_began() {
        let (begun, id) = (Begun::default(), at(10));
        begun.add(id, owner("acme/one", Some("kim")));
        assert!(begun.is_of(id, &owner("acme/one", Some("kim"))));
        for other in [owner("acme/two", Some("kim")), owner("acme/one", None)] {
            assert!(!begun.is_of(id, &other));
        }
        begun.forget(id);
        assert!(!begun.is_of(id, &owner("acme/one", Some("kim"))));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (begun, owner) = (Begun::default(), owner("acme/one", None));
        let ids: Vec<Uuid> = (0..=MOST as u64).map(at).collect();
        for id in &ids {
            begun.add(*id, owner.clone());
        }
        assert!(!begun.is_of(ids[0], &owner) && begun.is_of(ids[1], &owner));
        begun.forget_before(50_000_000);
        assert!(!begun.is_of(ids[49_999], &owner) && begun.is_of(ids[50_000], &owner));
    }
}
