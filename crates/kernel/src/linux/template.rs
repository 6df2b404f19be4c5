// SPDX-License-Identifier: Apache-2.0
//! What libbpf made of a program, kept so that it can be loaded again by one call.
//!
//! It is a memory of bytes and of nothing that the kernel might have changed: maps are opened by their pins each time,
//! or made anew. What needs more than that is not kept, and goes through libbpf each time.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use libbpf_rs::{MapCore as _, Object as Loaded};
use package::Object;
use plan::{Code, CodeDigest, ReadOnlyData};

use super::blank::Blank;
use super::load::{Loading, Ready, Splicing};
use super::{Spelling, code, exclusive, sys};
use crate::insn::{CALL, Insn, LOAD_64, MAP_FD, MAP_VALUE, SUBPROGRAM_ADDRESS, SUBPROGRAM_CALL};
use crate::splice::{Way, splice};

/// A program that can be loaded again.
pub(super) struct Template {
    relocated: sys::Relocated,
    licence: CString,
    object: Object,
    maps: Vec<Blank>,
    /// Which instructions name which of the maps.
    names: Vec<(usize, usize)>,
}

impl Template {
    /// Keeps a program that was just loaded from this object; none where a later load needs more than this.
    pub(super) fn of(
        object: &[u8],
        loaded: &Loaded,
        relocated: sys::Relocated,
        maps: Vec<Blank>,
    ) -> Option<Self> {
        let object = Object::parse(object).ok().filter(|object| object.externs.is_empty())?;
        if !maps.iter().all(Blank::is_plain) {
            return None;
        }
        let at = |name: &str| maps.iter().position(|map| map.name == name);
        let descriptors = loaded.maps().map(|map| Some((map.as_fd().as_raw_fd(), at(map.name().to_str()?)?)));
        let names = names(&relocated.insns, &descriptors.collect::<Option<_>>()?)?;
        let licence = CString::new(object.license.clone().unwrap_or_default()).ok()?;
        Some(Self { relocated, licence, object, maps, names })
    }

    /// How many instructions it has.
    pub(super) fn length(&self) -> usize {
        self.relocated.insns.len()
    }

    /// Loads it as a member: by one call of the verifier where its maps are there.
    pub(super) fn load(
        &self,
        loading: &Loading<'_>,
        way: Way,
        splicing: &Splicing<'_>,
        untouched: CodeDigest,
    ) -> io::Result<Ready> {
        let opened = self.open_maps(loading)?;
        let mut insns = self.relocated.insns.clone();
        for (at, map) in &self.names {
            insns[*at].imm = opened[map].as_raw_fd();
        }
        let how = splicing.how(loading.point, loading.buffers, way);
        let spliced = splice(&insns, &how).map_err(io::Error::other)?;
        let program = self.relocated.load(Spelling::of(loading.point).kind, &self.licence, &spliced)?;
        let has_constants = self.maps.iter().any(Blank::is_constant);
        let code = Code {
            digest: code::attest(program.as_fd(), &spliced.insns)?,
            untouched: Some(untouched),
            read_only_data: has_constants.then(|| exclusive::unless_kernel_cannot(ReadOnlyData::Spliced)),
        };
        let constants = self.maps.iter().enumerate().filter(|(_, map)| map.is_constant());
        for (at, _) in constants {
            sys::bind_map(program.as_fd(), opened[&at].as_fd())?;
        }
        let kept = opened.iter().map(|(at, map)| (&self.maps[*at], map)).filter(|(map, _)| !map.is_bound());
        loading
            .source
            .pin_maps(kept.map(|(map, opened)| (map.name.as_str(), opened.as_fd())), &self.object.layout)?;
        Ok(Ready { program, arrays: Vec::new(), code })
    }

    /// Opens or makes the maps that this load needs: its constants, what the instructions name, and all others where
    /// some of them may be missing.
    fn open_maps(&self, loading: &Loading<'_>) -> io::Result<BTreeMap<usize, OwnedFd>> {
        let is_whole = loading.source.has_all_maps();
        let named: BTreeSet<usize> = self.names.iter().map(|(_, map)| *map).collect();
        let needed = |(at, map): &(usize, &Blank)| !is_whole || map.is_constant() || named.contains(at);
        let maps = self.maps.iter().enumerate().filter(needed);
        maps.map(|(at, map)| Ok((at, self.open_map(loading, map)?))).collect()
    }

    fn open_map(&self, loading: &Loading<'_>, map: &Blank) -> io::Result<OwnedFd> {
        let pinned = loading.source.pin_of(&map.name).filter(|path| !map.is_bound() && path.exists());
        match pinned {
            Some(path) => sys::open_pin(&path),
            None => map.create(self.relocated.types(), |bytes| loading.source.configure(bytes)),
        }
    }
}

/// Which instructions name which maps; none where one names something that is not of the object.
fn names(insns: &[Insn], by_descriptor: &BTreeMap<i32, usize>) -> Option<Vec<(usize, usize)>> {
    let mut names = Vec::new();
    let mut second_half = false;
    for (at, insn) in insns.iter().enumerate() {
        match (insn.code, insn.src) {
            _ if second_half => {}
            (LOAD_64, MAP_FD | MAP_VALUE) => names.push((at, *by_descriptor.get(&insn.imm)?)),
            (LOAD_64, source) if source != 0 && source != SUBPROGRAM_ADDRESS => return None,
            (CALL, source) if source != 0 && source != SUBPROGRAM_CALL => return None,
            _ => {}
        }
        second_half = !second_half && insn.code == LOAD_64;
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(source: u8, imm: i32, second: i32) -> [Insn; 2] {
        let first = Insn { code: LOAD_64, dst: 1, src: source, offset: 0, imm };
        [first, Insn { code: 0, dst: 0, src: 0, offset: 0, imm: second }]
    }

    fn found(insns: &[Insn]) -> Option<Vec<(usize, usize)>> {
        names(insns, &BTreeMap::from([(7, 3)]))
    }

    #[test]
    fn maps_are_found_by_their_descriptors() {
        let insns = [load(0, 7, 7), load(MAP_FD, 7, 0), load(MAP_VALUE, 7, 12)].concat();
        assert_eq!(found(&insns), Some(vec![(2, 3), (4, 3)]));
    }

    #[test]
    fn the_second_half_of_a_number_is_no_instruction() {
        let mut insns = load(0, 1, 7);
        insns[1].code = LOAD_64;
        insns[1].src = MAP_FD;
        assert_eq!(found(&insns), Some(Vec::new()));
    }

    #[test]
    fn what_is_not_of_the_object_is_not_kept() {
        assert_eq!(found(&load(MAP_FD, 8, 0)), None);
        // The address of a variable of the kernel, a map by its index, and a call of a function of the kernel.
        assert_eq!(found(&load(3, 1234, 0)), None);
        assert_eq!(found(&load(5, 0, 0)), None);
        assert_eq!(found(&[Insn { code: CALL, dst: 0, src: 2, offset: 0, imm: 1234 }]), None);
    }
}
