// SPDX-License-Identifier: Apache-2.0
//! The maps of a member that outlive its instances: where they are pinned, and when a set of them is complete.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore as _, MapHandle, MapType, Object as Loaded, OpenMapMut};
use package::{Layout, Object, PackageName, ProgramName};
use plan::Constant;

use super::maps::plain;
use super::{maps, sys};

/// libbpf names the maps of global variables after the object: a fixed name keeps them the same.
pub(super) const OBJECT_NAME: &str = "l3af";

/// Where a program comes from, with its parameters and its maps.
pub(super) struct Source<'a> {
    pub(super) package: &'a PackageName,
    pub(super) function: &'a ProgramName,
    pub(super) object: &'a [u8],
    pub(super) constants: &'a BTreeMap<String, Constant>,
    /// Where the maps are pinned that hold what a document says, by name: each is the instance's own.
    pub(super) configured: &'a BTreeMap<String, PathBuf>,
    /// The folder in which the maps are pinned that outlive the instance; none where nothing does.
    pub(super) state: Option<&'a Path>,
    /// The folders of the maps that others use as well, by their names in the object's layout.
    pub(super) shared: &'a BTreeMap<String, PathBuf>,
}

impl Source<'_> {
    /// Gives constants their configured values, and every other map what earlier instances left in it.
    pub(super) fn prepare_map(&self, map: &mut OpenMapMut<'_>) -> io::Result<()> {
        let name = map.name().to_string_lossy().into_owned();
        if name.ends_with(".rodata") {
            return map.initial_value_mut().map_or(Ok(()), |bytes| self.configure(bytes));
        }
        let Some(pinned) = self.pin_of(&name).filter(|path| path.exists()) else { return Ok(()) };
        if is_bound(&name, map.map_type()) {
            return Ok(());
        }
        let kept = MapHandle::from_pinned_path(&pinned).map_err(plain)?;
        map.reuse_fd(kept.as_fd()).map_err(plain)
    }

    /// Writes configured values into the constants of the object.
    pub(super) fn configure(&self, bytes: &mut [u8]) -> io::Result<()> {
        let outside = |name| io::Error::other(format!("parameter `{name}` lies outside of the constants"));
        Constant::write_all(self.constants, bytes).map_err(outside)
    }

    /// Where a map is pinned that outlives this load.
    pub(super) fn pin_of(&self, map: &str) -> Option<PathBuf> {
        if let Some(own) = self.configured.get(map) {
            return Some(own.clone());
        }
        let in_layout =
            map.strip_prefix(OBJECT_NAME).filter(|section| section.starts_with('.')).unwrap_or(map);
        match self.shared.get(in_layout) {
            Some(folder) => Some(folder.join(SHARED)),
            None => Some(self.state?.join(pin_name(map))),
        }
    }

    /// Whether all maps that outlive a load are there.
    pub(super) fn has_all_maps(&self) -> bool {
        self.state.is_some()
            && self.folders().all(|folder| folder.join(LAYOUT).exists())
            && self.configured.values().all(|pin| pin.exists())
    }

    /// The folders in which maps of the instance are pinned.
    fn folders(&self) -> impl Iterator<Item = &Path> {
        self.state.into_iter().chain(self.shared.values().map(PathBuf::as_path))
    }

    /// Pins the maps that outlive this load.
    pub(super) fn pin_state(&self, loaded: &Loaded) -> io::Result<()> {
        if self.state.is_none() {
            return Ok(());
        }
        let object = Object::parse(self.object).map_err(io::Error::other)?;
        let kept = loaded
            .maps()
            .filter(|map| map.autocreate() && !is_bound(&map.name().to_string_lossy(), map.map_type()));
        let kept: Vec<_> = kept.map(|map| (map.name().to_string_lossy().into_owned(), map)).collect();
        self.pin_maps(kept.iter().map(|(name, map)| (name.as_str(), map.as_fd())), &object.layout)
    }

    /// Pins maps that are not pinned yet. In a set that is complete one may be missing that a document configured before, and
    /// that then belonged to an instance.
    pub(super) fn pin_maps<'m>(
        &self,
        maps: impl Iterator<Item = (&'m str, BorrowedFd<'m>)>,
        layout: &Layout,
    ) -> io::Result<()> {
        if self.state.is_none() {
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
/// lead to programs that were loaded with it; those of static probes (`usdt.bpf.h`) tell where arguments lie.
pub(super) fn is_bound(map: &str, kind: MapType) -> bool {
    let fixed = map.contains(".rodata") || map.ends_with(".kconfig") || map.starts_with("__bpf_usdt_");
    fixed || kind == MapType::ProgArray
}

/// Where the layout of a set of maps is pinned. No map has such a name.
pub(super) const LAYOUT: &str = "layout:";

/// Where a map is pinned that has a folder of its own.
const SHARED: &str = "map";

/// The name of the pin of a map of a [`Layout`], where global variables go by their section.
pub(super) fn pin_name_of(map: &str) -> String {
    pin_name(&if map.starts_with('.') { format!("{OBJECT_NAME}{map}") } else { map.to_owned() })
}

/// bpffs refuses dots in names. No map that an author names has a colon, as it comes from a C identifier.
fn pin_name(map: &str) -> String {
    map.replace('.', ":")
}
