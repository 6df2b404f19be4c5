// SPDX-License-Identifier: Apache-2.0
//! A program on trial that was loaded from what an earlier load left in memory.

use std::path::Path;

use package::Digest;

use super::{
    AsFd as _, BTreeMap, Buffers, Candidate, Counting, Keeps, Membership, Refused, Splicing, Trial, maps,
    package_name, root,
};
use crate::linux::known::{Known, Lesson};

impl Trial {
    /// A chain of one member with the defaults of its hook, loaded from memory; none where the program is one that goes
    /// through libbpf each time. Its maps are pinned below `states`, a folder of a bpffs.
    ///
    /// # Errors
    /// When the kernel rejects it.
    pub fn from_memory(candidate: &Candidate<'_>, states: &Path) -> Result<Option<Self>, Refused> {
        let failed = |error| Refused::action("load from memory", error);
        let (package, config, point) = (package_name(), BTreeMap::new(), candidate.point);
        let how = Membership::default_for(point);
        let next = maps::create_slot("l3af_next").map_err(failed)?;
        let counters = maps::create_counters(point).map_err(failed)?;
        let (mut known, object) = (Known::default(), Digest::of(candidate.object));
        let keys = known.keys(point).map_err(failed)?;
        let splicing = Splicing {
            proceed: &how.proceed,
            enforcement: how.enforcement,
            timed: how.timed,
            next: next.as_fd(),
            counters: Some(Counting { cells: counters.as_fd(), keys: keys.as_fd() }),
            sampled: None,
        };
        let (first, second) = (states.join("first"), states.join("second"));
        let mut loading = candidate.loading(&package, &config, Buffers::One)?;
        loading.source.state = Some(&first);
        drop(loading.load_as_known(&splicing, object, &mut known)?);
        let lesson = known.recall(&(object, candidate.function.clone(), point, Buffers::One));
        let Some(Lesson { way, template: Some(template), code }) = lesson else { return Ok(None) };
        // The first load in the second folder makes the maps there, the other one finds them.
        let mut again = candidate.loading(&package, &config, Buffers::One)?;
        again.source.state = Some(&second);
        drop(template.load(&again, way, &splicing, code.clone()).map_err(failed)?);
        let ready = template.load(&again, way, &splicing, code).map_err(failed)?;
        let (entry, slot) = root::load(point, Buffers::One).map_err(failed)?;
        maps::write_descriptor(&slot, ready.program.as_fd()).map_err(failed)?;
        let keeps = Keeps { maps: vec![slot, next], ready: vec![ready], ..Keeps::default() };
        Ok(Some(Self { point, entry, counters: vec![counters], keeps }))
    }
}
