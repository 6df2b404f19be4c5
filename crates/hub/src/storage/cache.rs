// SPDX-License-Identifier: Apache-2.0
//! Small blobs that were read lately, by their digest: what has a digest never changes, so that a copy is as good as the
//! object. Whether anybody may have it is asked of the database all the same.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::ContentDigest;

/// The largest blob that is remembered.
pub(super) const SMALL_BYTES: u64 = 64 * 1024;
/// How many bytes a generation has.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Two generations: when the younger is full, the older is forgotten.
#[derive(Default)]
pub(super) struct Cache(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: BTreeMap<ContentDigest, Bytes>,
    young_bytes: usize,
    old: BTreeMap<ContentDigest, Bytes>,
}

impl Cache {
    /// The bytes of a blob, if they are remembered.
    pub(super) fn find(&self, digest: &ContentDigest) -> Option<Bytes> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = generations.young.get(digest) {
            return Some(bytes.clone());
        }
        let bytes = generations.old.remove(digest)?;
        generations.remember(digest, bytes.clone());
        Some(bytes)
    }

    /// Remembers the bytes of a blob for a while.
    pub(super) fn remember(&self, digest: &ContentDigest, bytes: Bytes) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remember(digest, bytes);
    }
}

impl Generations {
    fn remember(&mut self, digest: &ContentDigest, bytes: Bytes) {
        if self.young_bytes + bytes.len() > MOST_BYTES {
            self.old = mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        // What a digest and its place in the map take counts too, or a million empty blobs would cost nothing.
        self.young_bytes += bytes.len() + mem::size_of::<(ContentDigest, Bytes)>() + digest.hex().len();
        self.young.insert(digest.clone(), bytes);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Cache, MOST_BYTES};
    use crate::{Algorithm, ContentDigest};

    #[test]
    fn what_is_asked_for_is_remembered_and_never_more_than_two_generations() {
        let cache = Cache::default();
        let digest = |number: usize| ContentDigest::of(Algorithm::Sha256, &number.to_le_bytes());
        let bytes = Bytes::from(vec![0; 1024]);
        let most = 2 * MOST_BYTES / bytes.len();
        for number in 0..2 * most {
            cache.remember(&digest(number), bytes.clone());
            assert!(cache.find(&digest(0)).is_some(), "it is asked for all the time");
        }
        let remembered = (0..2 * most).filter(|number| cache.find(&digest(*number)).is_some()).count();
        assert!(remembered <= most, "{remembered}");
    }
}
