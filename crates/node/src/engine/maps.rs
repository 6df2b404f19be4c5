// SPDX-License-Identifier: Apache-2.0
//! The maps of what runs: which there are, and what their keys and values are (`docs/map-interface.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kernel::{Change, NotChanged, OpenMap};
use maps::{Endian, Entry, Faults, Map, MapKind, Role, Type};
use package::{InterfaceError, MemberName, ProgramName};
use plan::{Hook, Member, Probe};
use thiserror::Error;
use trust::Verified;
use wire::{Fault, MapChange, MapChanged, MapPlace, MapView, Maps};

use super::Engine;
use crate::Rejected;
use crate::map_metrics::Counted;

/// The byte order of this machine, which is that of every program that it runs.
pub(crate) const HERE: Endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };

/// A map that somebody asked for.
#[derive(Debug)]
pub(crate) struct Held {
    /// What it is.
    pub(crate) map: Map,
    pub(crate) open: OpenMap,
}

/// A map cannot be read or written as somebody asks.
#[derive(Debug, Error)]
pub enum BadMapCall {
    /// Members of that name are in several chains.
    #[error("several chains have a member `{member}`: {}", places.join(", "))]
    SeveralPlaces {
        /// The member.
        member: MemberName,
        /// The hooks.
        places: Vec<String>,
    },
    /// There is no such map.
    #[error("`{member}` has no map `{map}`; it has {}", list(.known))]
    NoMap {
        /// The member.
        member: MemberName,
        /// What was asked for.
        map: String,
        /// The maps that it has.
        known: Vec<String>,
    },
    /// It does not run, so that there are none.
    #[error("the map `{map}` of `{member}` is not in the kernel: it does not run")]
    NotLoaded {
        /// The member.
        member: MemberName,
        /// The map.
        map: String,
    },
    /// It is not read or written by entries.
    #[error("the map `{map}` is of the kind `{kind}`, which has no entries of keys and values")]
    NoEntries {
        /// The map.
        map: String,
        /// Its kind.
        kind: MapKind,
    },
    /// It is not for others to write.
    #[error("the map `{map}` is {what}")]
    NotYours {
        /// The map.
        map: String,
        /// Whose it is.
        what: &'static str,
        /// Whether it may be written over nevertheless.
        may_be_forced: bool,
    },
    /// Its events are for the user program of its package.
    #[error("the events of the map `{map}` are read by the user program of its package")]
    ReadByUserProgram {
        /// The map.
        map: String,
    },
    /// Somebody else reads its events.
    #[error("somebody else reads the events of the map `{map}`, and each is told once")]
    Taken {
        /// The map.
        map: String,
    },
    /// There is no entry.
    #[error("the map `{map}` has no entry `{key}`")]
    NoEntry {
        /// The map.
        map: String,
        /// The key.
        key: String,
    },
    /// A key or a value is none.
    #[error("the map `{map}` does not hold that: {faults}")]
    BadValue {
        /// The map.
        map: String,
        /// All that is wrong.
        faults: Faults,
    },
    /// A key is not even text that could be one.
    #[error("the map `{map}` has no such key: {reason}")]
    BadKey {
        /// The map.
        map: String,
        /// What is wrong.
        reason: String,
    },
    /// An entry was given twice.
    #[error("entry {number} is about the key of one before it")]
    Twice {
        /// Which, from 0: those to set first, then those to delete.
        number: usize,
    },
    /// The package does not say what is in its maps.
    #[error("what is in the maps of `{member}` is not known")]
    Unknown {
        /// The member.
        member: MemberName,
        /// Why not.
        #[source]
        source: InterfaceError,
    },
    /// The kernel cannot be asked.
    #[error("the map `{map}` cannot be read")]
    Unread {
        /// The map.
        map: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The kernel refuses an entry.
    #[error("the map `{map}` is not changed")]
    NotChanged {
        /// The map.
        map: String,
        /// Why not.
        #[source]
        source: NotChanged,
    },
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl BadMapCall {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::NoMap { .. } | Self::NoEntry { .. } => 404,
            Self::SeveralPlaces { .. }
            | Self::NotLoaded { .. }
            | Self::ReadByUserProgram { .. }
            | Self::Taken { .. } => 409,
            Self::NoEntries { .. }
            | Self::NotYours { .. }
            | Self::BadValue { .. }
            | Self::BadKey { .. }
            | Self::Twice { .. }
            | Self::Unknown { .. }
            | Self::NotChanged { .. } => 422,
            Self::Unread { .. } => 500,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::SeveralPlaces { places, .. } => {
                places.first().map(|place| format!("name one, for example `--hook {place}`"))
            }
            Self::NoMap { .. } | Self::NoEntries { .. } => {
                Some("`l3af maps` lists the maps, with what they hold".to_owned())
            }
            Self::NotLoaded { .. } => Some("`l3af status` says why it does not run".to_owned()),
            Self::NotYours { may_be_forced: true, .. } => {
                Some("`--force` writes over it nevertheless".to_owned())
            }
            Self::NotYours { may_be_forced: false, .. } => {
                Some("parameters are set in the document, under `config`".to_owned())
            }
            Self::BadValue { .. } | Self::BadKey { .. } => {
                Some("docs/map-interface.md says how keys and values are written".to_owned())
            }
            Self::ReadByUserProgram { .. } => Some("`l3af logs` shows what that makes of them".to_owned()),
            Self::Taken { .. }
            | Self::NoEntry { .. }
            | Self::Twice { .. }
            | Self::Unknown { .. }
            | Self::Unread { .. }
            | Self::NotChanged { .. } => None,
        }
    }

    /// All that is wrong with what was given.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let Self::BadValue { faults, .. } = self else { return Vec::new() };
        let told = faults.all().iter().map(|fault| Fault {
            pointer: fault.pointer.clone(),
            value: (!fault.given.is_empty()).then(|| fault.given.clone()),
            detail: format!("expected {}", fault.expected),
            line: None,
        });
        told.collect()
    }
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

    /// The maps of its object, as that and its manifest describe them.
    fn maps(&self) -> Result<Vec<Map>, BadMapCall> {
        let (verified, function) = self.program();
        let (manifest, files) = (&verified.package().manifest, &verified.platform().files);
        let unknown = |source| BadMapCall::Unknown { member: self.name().clone(), source };
        let interfaces =
            manifest.interfaces(|path| files.bytes(path).unwrap_or_default()).map_err(unknown)?;
        let object = manifest.program(function).map(|program| program.object.as_str()).unwrap_or_default();
        Ok(interfaces
            .into_iter()
            .find(|(path, _)| path == object)
            .map(|(_, found)| found.maps)
            .unwrap_or_default())
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
            let maps = holder.maps()?;
            views.extend(maps.into_iter().map(|map| MapView {
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
        let maps = holder.maps()?;
        let known = maps.iter().map(|map| map.name.clone()).collect();
        let map = maps.into_iter().find(|map| map.name == *name);
        let no_map = || BadMapCall::NoMap { member: member.clone(), map: name.clone(), known };
        let map = map.ok_or_else(no_map)?;
        let pinned = self.pinned(**holder)?.remove(name);
        let not_loaded = || BadMapCall::NotLoaded { member: member.clone(), map: name.clone() };
        let open = OpenMap::open(&pinned.ok_or_else(not_loaded)?);
        let open = open.map_err(|source| BadMapCall::Unread { map: name.clone(), source })?;
        Ok((Arc::clone(holder.program().0), Held { map, open }))
    }

    /// Changes entries of a map: all of them, or none.
    ///
    /// # Errors
    /// When it is not for others to write, a key or a value does not fit, or the kernel refuses.
    pub(crate) fn change_map(&self, place: &MapPlace, change: &MapChange) -> Result<MapChanged, Rejected> {
        let held = self.open_map(place)?;
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
            let maps = holder.maps().unwrap_or_default().into_iter();
            let mut maps = maps
                .filter(|map| map.role == Some(Role::Metric) && map.value.is_some() && map.kind.has_entries())
                .peekable();
            if maps.peek().is_none() {
                continue;
            }
            let pinned = self.pinned(holder).unwrap_or_default();
            counted.extend(maps.filter_map(|map| {
                let open = OpenMap::open(pinned.get(&map.name)?).ok()?;
                let package = holder.program().0.package().manifest.package.name.clone();
                let (member, hook) = (holder.name().clone(), holder.hook());
                Some(Counted { package, member, hook, held: Held { map, open } })
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
            faults = Some(faults.take().map_or(wrong.clone(), |before: Faults| before.and(wrong)));
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
