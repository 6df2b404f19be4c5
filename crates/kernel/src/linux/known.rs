// SPDX-License-Identifier: Apache-2.0
//! What earlier loads taught of programs on this kernel, so that the next load of one is quick.
//!
//! A load that relies on it and is refused is made again without. It begins empty with every start of the daemon.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Weak};

use libbpf_rs::MapHandle;
use package::{Digest, HookPoint, ProgramName};
use plan::{Buffers, CodeDigest, Hook};

use super::fill::Filled;
use super::maps;
use super::samples::Sampling;
use super::template::Template;
use crate::splice::Way;

/// Which program, of which object, for which hooks and packets.
pub(super) type Key = (Digest, ProgramName, HookPoint, Buffers);

/// One program.
#[derive(Clone)]
pub(super) struct Lesson {
    /// The way that worked.
    pub(super) way: Way,
    /// The program itself, where it can be loaded from that.
    pub(super) template: Option<Arc<Template>>,
    /// The digest of its instructions as the author's.
    pub(super) code: CodeDigest,
}

/// All programs that are remembered.
#[derive(Default)]
pub(super) struct Known {
    lessons: BTreeMap<Key, (u64, Lesson)>,
    /// Counts up with every use.
    clock: u64,
    /// The numbers of cells, for all wrapped programs of a hook point.
    keys: BTreeMap<HookPoint, Arc<MapHandle>>,
    /// Where packets are sampled, for as long as somebody listens.
    samplings: BTreeMap<Hook, Weak<Sampling>>,
    /// What the plan that is carried out wrote to maps.
    pub(super) filled: Vec<Filled>,
}

/// The most instructions that are remembered: some tens of megabytes with what belongs to them.
const MOST_INSTRUCTIONS: usize = 1 << 20;

impl Known {
    pub(super) fn recall(&mut self, key: &Key) -> Option<Lesson> {
        self.clock += 1;
        let (used, lesson) = self.lessons.get_mut(key)?;
        *used = self.clock;
        Some(lesson.clone())
    }

    /// Remembers a program, and forgets what was not used for the longest time where it is too much.
    pub(super) fn learn(&mut self, key: Key, lesson: Lesson) {
        self.clock += 1;
        self.lessons.insert(key, (self.clock, lesson));
        while self.instructions() > MOST_INSTRUCTIONS {
            let oldest = self.lessons.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.lessons.remove(&oldest);
        }
    }

    /// The numbers of the cells of a hook point.
    pub(super) fn keys(&mut self, point: HookPoint) -> io::Result<Arc<MapHandle>> {
        if let Some(keys) = self.keys.get(&point) {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(maps::create_keys(point)?);
        self.keys.insert(point, Arc::clone(&keys));
        Ok(keys)
    }

    /// Lets members that are loaded for a hook from now on tell their verdicts there.
    pub(super) fn sample(&mut self, hook: &Hook, sampling: &Arc<Sampling>) {
        self.samplings.retain(|_, sampling| sampling.strong_count() > 0);
        self.samplings.insert(hook.clone(), Arc::downgrade(sampling));
    }

    /// Where members of a hook tell their verdicts; none where nobody listens.
    pub(super) fn sampling(&self, hook: &Hook) -> Option<Arc<Sampling>> {
        self.samplings.get(hook).and_then(Weak::upgrade)
    }

    fn instructions(&self) -> usize {
        /// A program that cannot be loaded from memory takes some room as well.
        const LEAST: usize = 64;
        let length = |lesson: &Lesson| lesson.template.as_ref().map_or(0, |template| template.length());
        self.lessons.values().map(|(_, lesson)| length(lesson).max(LEAST)).sum()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lessons.keys()).finish()
    }
}
