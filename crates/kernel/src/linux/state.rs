// SPDX-License-Identifier: Apache-2.0
//! The maps of a member that outlive its instances: where they are pinned, and when a set of them is complete.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore as _, MapType, Object as Loaded};
use package::{Layout, Object};

use super::load::{Loading, OBJECT_NAME};
use super::{maps, sys};

impl Loading<'_> {
    /// Where a map is pinned that outlives this instance.
    pub(super) fn pin_of(&self, map: &str) -> Option<PathBuf> {
        let in_layout =
            map.strip_prefix(OBJECT_NAME).filter(|section| section.starts_with('.')).unwrap_or(map);
        match self.shared.get(in_layout) {
            Some(folder) => Some(folder.join(SHARED)),
            None => Some(self.state?.join(pin_name(map))),
        }
    }

    /// Whether all maps that outlive an instance are there.
    pub(super) fn has_all_maps(&self) -> bool {
        self.state.is_some() && self.folders().all(|folder| folder.join(LAYOUT).exists())
    }

    /// The folders in which maps of the instance are pinned.
    fn folders(&self) -> impl Iterator<Item = &Path> {
        self.state.into_iter().chain(self.shared.values().map(PathBuf::as_path))
    }

    /// Pins the maps that outlive this instance.
    pub(super) fn pin_state(&self, loaded: &Loaded) -> io::Result<()> {
        if self.state.is_none() || self.has_all_maps() {
            return Ok(());
        }
        let object = Object::parse(self.object).map_err(io::Error::other)?;
        let kept = loaded
            .maps()
            .filter(|map| map.autocreate() && !is_bound(&map.name().to_string_lossy(), map.map_type()));
        let kept: Vec<_> = kept.map(|map| (map.name().to_string_lossy().into_owned(), map)).collect();
        self.pin_maps(kept.iter().map(|(name, map)| (name.as_str(), map.as_fd())), &object.layout)
    }

    /// Pins maps, unless it was done before.
    pub(super) fn pin_maps<'m>(
        &self,
        maps: impl Iterator<Item = (&'m str, BorrowedFd<'m>)>,
        layout: &Layout,
    ) -> io::Result<()> {
        if self.state.is_none() || self.has_all_maps() {
            return Ok(());
        }
        for folder in self.folders() {
            fs::create_dir_all(folder)?;
        }
        for (name, map) in maps {
            if let Some(path) = self.pin_of(name).filter(|path| !path.exists()) {
                sys::pin(map, &path)?;
            }
        }
        // The layout is pinned last: a set of maps that has it is complete.
        for folder in self.folders().filter(|folder| !folder.join(LAYOUT).exists()) {
            maps::pin(&maps::create_record(layout)?, &folder.join(LAYOUT))?;
        }
        Ok(())
    }
}

/// Whether a map belongs to one instance. Constants hold its configuration, and the kernel freezes them; program arrays
/// lead to programs that were loaded with it.
pub(super) fn is_bound(map: &str, kind: MapType) -> bool {
    map.contains(".rodata") || map.ends_with(".kconfig") || kind == MapType::ProgArray
}

/// Where the layout of a set of maps is pinned. No map has such a name.
pub(super) const LAYOUT: &str = "layout:";

/// Where a map is pinned that has a folder of its own.
const SHARED: &str = "map";

/// The name of the pin of a map of a [`Layout`](package::Layout), where global variables go by their section.
pub(super) fn pin_name_of(map: &str) -> String {
    pin_name(&if map.starts_with('.') { format!("{OBJECT_NAME}{map}") } else { map.to_owned() })
}

/// bpffs refuses dots in names. No map that an author names has a colon, as it comes from a C identifier.
fn pin_name(map: &str) -> String {
    map.replace('.', ":")
}
