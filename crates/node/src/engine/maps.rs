// SPDX-License-Identifier: Apache-2.0
//! The maps of what runs: which there are, and what their keys and values are (`docs/map-interface.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kernel::{Change, OpenMap};
use maps::{Endian, Entry, Faults, Map, Role, Type};
use package::{Digest, MemberName, ProgramName};
use plan::{Hook, Member, Probe};
use trust::Verified;
use wire::{MapChange, MapChanged, MapPlace, MapView, Maps};

use super::Engine;
use super::bad_map_call::BadMapCall;
use super::interfaces::Interfaces;
use crate::Rejected;
use crate::map_metrics::Counted;

/// The byte order of this machine, which is that of every program that it runs.
pub(crate) const HERE: Endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };

/// How many faults of a change are told, about.
const MOST_FAULTS: usize = 100;

/// A map that somebody asked for.
#[derive(Debug)]
pub(crate) struct Held {
    /// What it is.
    pub(crate) map: Map,
    pub(crate) open: OpenMap,
    /// Whether it holds what the document says.
    pub(crate) is_configured: bool,
}

/// The maps whose events somebody reads, by the numbers that the kernel gave them.
pub(crate) type Readers = Arc<Mutex<BTreeSet<u32>>>;

/// Who reads the events of a map, until this goes.
#[derive(Debug)]
pub(crate) struct Reader {
    readers: Readers,
    id: u32,
}

impl Reader {
    fn begin(readers: &Readers, id: u32) -> Option<Self> {
        let is_free = readers.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        is_free.then(|| Self { readers: Arc::clone(readers), id })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

fn unread(held: &Held, source: std::io::Error) -> BadMapCall {
    BadMapCall::Unread { map: held.map.name.clone(), source }
}

/// Who has maps: a member at a hook, or a probe.
#[derive(Clone, Copy)]
enum Holder<'a> {
    Member(&'a Hook, &'a Member),
    Probe(&'a Probe),
}

impl Holder<'_> {
    fn name(&self) -> &MemberName {
        match self {
            Self::Member(_, member) => &member.spec().name,
            Self::Probe(probe) => &probe.spec().name,
        }
    }

    fn hook(&self) -> Option<String> {
        match self {
            Self::Member(hook, _) => Some(hook.to_string()),
            Self::Probe(_) => None,
        }
    }

    fn program(&self) -> (&Arc<Verified>, &ProgramName) {
        match self {
            Self::Member(_, member) => (member.verified(), &member.spec().function),
            Self::Probe(probe) => (probe.verified(), &probe.spec().function),
        }
    }

    /// The maps that hold what the document says, and the digests of that.
    fn contents(&self) -> &BTreeMap<String, Digest> {
        match self {
            Self::Member(_, member) => &member.spec().contents,
            Self::Probe(probe) => &probe.spec().contents,
        }
    }

    /// The maps of its object, as that and its manifest describe them.
    fn maps(&self, interfaces: &Interfaces) -> Result<Arc<[Map]>, BadMapCall> {
        let (verified, function) = self.program();
        let unknown = |source| BadMapCall::Unknown { member: self.name().clone(), source };
        interfaces.maps(verified, function).map_err(unknown)
    }
}

impl Engine {
    /// The maps of all that runs.
    ///
    /// # Errors
    /// When a package does not say what is in its maps.
    pub(crate) fn maps(&self) -> Result<Maps, Rejected> {
        let mut views = Vec::new();
        for holder in self.holders() {
            let (member, hook) = (holder.name().clone(), holder.hook());
            let maps = holder.maps(&self.interfaces)?;
            views.extend(maps.iter().cloned().map(|map| MapView {
                member: member.clone(),
                hook: hook.clone(),
                map,
            }));
        }
        Ok(Maps { maps: views })
    }

    /// Opens a map that somebody names.
    ///
    /// # Errors
    /// When there is none, or it has no entries.
    pub(crate) fn open_map(&self, place: &MapPlace) -> Result<Held, Rejected> {
        let (_, held) = self.find_map(place)?;
        if held.map.value.is_none() || !held.map.kind.has_entries() {
            return Err(BadMapCall::NoEntries { map: held.map.name, kind: held.map.kind }.into());
        }
        Ok(held)
    }

    /// Opens a map to watch it: its entries, or its events, which one at a time may read.
    ///
    /// # Errors
    /// When there is none, or its events are read by somebody else.
    pub(crate) fn watch_map(&self, place: &MapPlace) -> Result<(Held, Option<Reader>), Rejected> {
        let (package, held) = self.find_map(place)?;
        if !held.map.kind.is_of_events() {
            return self.open_map(place).map(|held| (held, None));
        }
        if package.package().manifest.user.is_some() {
            return Err(BadMapCall::ReadByUserProgram { map: held.map.name }.into());
        }
        let taken = BadMapCall::Taken { map: held.map.name.clone() };
        let reader = Reader::begin(&self.readers, held.id().map_err(|source| unread(&held, source))?);
        Ok((held, Some(reader.ok_or(taken)?)))
    }

    fn find_map(&self, place: &MapPlace) -> Result<(Arc<Verified>, Held), Rejected> {
        let MapPlace { member, hook, map: name } = place;
        let named: Vec<Holder<'_>> = self.holders().filter(|holder| holder.name() == member).collect();
        let found: Vec<&Holder<'_>> =
            named.iter().filter(|holder| hook.is_none() || holder.hook() == *hook).collect();
        let holder = match found.as_slice() {
            [] => return Err(Rejected::NoMember { member: member.clone() }),
            [only] => only,
            several => {
                let places = several.iter().map(|holder| holder.hook().unwrap_or_else(|| "probe".to_owned()));
                let (member, places) = (member.clone(), places.collect());
                return Err(BadMapCall::SeveralPlaces { member, places }.into());
            }
        };
        let maps = holder.maps(&self.interfaces)?;
        let known = maps.iter().map(|map| map.name.clone()).collect();
        let map = maps.iter().find(|map| map.name == *name).cloned();
        let no_map = || BadMapCall::NoMap { member: member.clone(), map: name.clone(), known };
        let map = map.ok_or_else(no_map)?;
        let pinned = self.pinned(**holder)?.remove(name);
        let not_loaded = || BadMapCall::NotLoaded { member: member.clone(), map: name.clone() };
        let open = OpenMap::open(&pinned.ok_or_else(not_loaded)?);
        let open = open.map_err(|source| BadMapCall::Unread { map: name.clone(), source })?;
        let sizes = [(&map.key, open.key_bytes()), (&map.value, open.value_bytes())];
        let fits = |(is, bytes): (&Option<Type>, usize)| is.as_ref().is_none_or(|is| is.bytes() == bytes);
        if map.kind.has_entries() && map.key.is_some() && !sizes.into_iter().all(fits) {
            let source = std::io::Error::other("its keys or values are not as large as its package says");
            return Err(BadMapCall::Unread { map: name.clone(), source }.into());
        }
        let is_configured = holder.contents().contains_key(name);
        Ok((Arc::clone(holder.program().0), Held { map, open, is_configured }))
    }

    /// Changes entries of a map: all of them, or none.
    ///
    /// # Errors
    /// When it is not for others to write, a key or a value does not fit, or the kernel refuses.
    pub(crate) fn change_map(&self, place: &MapPlace, change: &MapChange) -> Result<MapChanged, Rejected> {
        let held = self.open_map(place)?;
        if held.is_configured {
            return Err(BadMapCall::Configured { member: place.member.clone(), map: held.map.name }.into());
        }
        held.may_be_written(change.force)?;
        let changes = held.encode(change)?;
        held.open
            .change(&changes)
            .map_err(|source| BadMapCall::NotChanged { map: held.map.name.clone(), source })?;
        Ok(MapChanged { set: change.set.len(), deleted: change.delete.len() })
    }

    /// The maps in which programs count, as far as they are there.
    pub(crate) fn counted_maps(&self) -> Vec<Counted> {
        let mut counted = Vec::new();
        for holder in self.holders() {
            // Only a manifest says so, and objects of packages that say nothing need not be looked into.
            let mut said = holder.program().0.package().manifest.maps.values();
            if !said.any(|said| said.role == Some(Role::Metric)) {
                continue;
            }
            let Ok(maps) = holder.maps(&self.interfaces) else { continue };
            let mut maps = maps
                .iter()
                .filter(|map| map.role == Some(Role::Metric) && map.value.is_some() && map.kind.has_entries())
                .cloned()
                .peekable();
            if maps.peek().is_none() {
                continue;
            }
            let pinned = self.pinned(holder).unwrap_or_default();
            counted.extend(maps.filter_map(|map| {
                let open = OpenMap::open(pinned.get(&map.name)?).ok()?;
                let package = holder.program().0.package().manifest.package.name.clone();
                let (member, hook) = (holder.name().clone(), holder.hook());
                Some(Counted { package, member, hook, held: Held { map, open, is_configured: false } })
            }));
        }
        counted
    }

    fn holders(&self) -> impl Iterator<Item = Holder<'_>> {
        let desired = self.desired.iter();
        desired.flat_map(|desired| {
            let members = desired
                .chains()
                .iter()
                .flat_map(|(hook, chain)| chain.iter().map(move |member| Holder::Member(hook, member)));
            members.chain(desired.probes().values().map(Holder::Probe))
        })
    }

    fn pinned(&self, holder: Holder<'_>) -> Result<BTreeMap<String, PathBuf>, Rejected> {
        let kernel = &self.parts.kernel;
        Ok(match holder {
            Holder::Member(hook, member) => kernel.maps(hook, member.spec())?,
            Holder::Probe(probe) => kernel.probe_maps(probe.spec())?,
        })
    }
}

impl Held {
    fn id(&self) -> std::io::Result<u32> {
        self.open.id()
    }

    /// What its values are.
    pub(crate) fn value(&self) -> &Type {
        self.map.value.as_ref().expect("a map without values is not opened")
    }

    /// The key of the one entry that global variables are (`bpf_map_update_elem` of an array of one).
    const ONLY: [u8; 4] = [0; 4];

    /// The bytes of a key that is given as text; none is for global variables.
    pub(crate) fn key(&self, text: &str) -> Result<Vec<u8>, BadMapCall> {
        let Some(key) = &self.map.key else { return Ok(Self::ONLY.to_vec()) };
        let map = || self.map.name.clone();
        let value =
            key.parse_text(text).map_err(|bad| BadMapCall::BadKey { map: map(), reason: bad.to_string() })?;
        key.encode(&value, HERE)
            .map_err(|faults| BadMapCall::BadValue { map: map(), faults: faults.within("/key") })
    }

    fn may_be_written(&self, is_forced: bool) -> Result<(), BadMapCall> {
        let not_yours = |what, may_be_forced| {
            Err(BadMapCall::NotYours { map: self.map.name.clone(), what, may_be_forced })
        };
        if self.map.variables.is_some() {
            return not_yours("a section of global variables, which a program writes while it runs", false);
        }
        match self.map.role {
            Some(Role::Metric) if !is_forced => not_yours("one in which its program counts", true),
            Some(Role::State) if !is_forced => not_yours("one that its program keeps for itself", true),
            Some(Role::Config | Role::Metric | Role::State | Role::Event) | None => Ok(()),
        }
    }

    /// All changes as bytes.
    fn encode(&self, change: &MapChange) -> Result<Vec<Change>, BadMapCall> {
        let map = || self.map.name.clone();
        let no_keys = || BadMapCall::NoEntries { map: map(), kind: self.map.kind };
        let key = self.map.key.as_ref().ok_or_else(no_keys)?;
        let (mut faults, mut changes) = (None, Vec::with_capacity(change.set.len() + change.delete.len()));
        let mut note = |wrong: Faults, pointer: String| {
            let wrong = wrong.within(&pointer);
            faults = Some(match faults.take() {
                None => wrong,
                Some(before) if Faults::all(&before).len() >= MOST_FAULTS => before,
                Some(before) => before.and(wrong),
            });
        };
        for (number, given) in change.set.iter().enumerate() {
            match self.map.encode(given, HERE) {
                Ok(Entry { key, value }) => changes.push(Change::Set { key, values: vec![value] }),
                Err(wrong) => note(wrong, format!("/set/{number}")),
            }
        }
        for (number, given) in change.delete.iter().enumerate() {
            match key.encode(given, HERE) {
                Ok(key) => changes.push(Change::Delete { key }),
                Err(wrong) => note(wrong, format!("/delete/{number}")),
            }
        }
        if let Some(faults) = faults {
            return Err(BadMapCall::BadValue { map: map(), faults });
        }
        differ(&changes)?;
        Ok(changes)
    }
}

/// Refuses two changes of one entry: only the order would tell which counts.
fn differ(changes: &[Change]) -> Result<(), BadMapCall> {
    let mut keys = BTreeSet::new();
    match changes.iter().position(|change| !keys.insert(change.key())) {
        Some(number) => Err(BadMapCall::Twice { number }),
        None => Ok(()),
    }
}
