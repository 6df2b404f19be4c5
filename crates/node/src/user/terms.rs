// SPDX-License-Identifier: Apache-2.0
//! On what terms a process becomes a user program: who it is, and what it may use. The daemon says so in arguments, and the
//! process that it starts carries it out on itself before it executes the program.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Gid, Resource, Rlimit, Uid, setrlimit, umask};
use rustix::thread::{
    CapabilitySet, CapabilitySets, configure_capability_in_ambient_set, remove_capability_from_bounding_set,
    set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use super::handed::Numbers;
use super::identity::Identity;

/// The argument that says so of signals.
const OWN_USER: &str = "signals";

/// Which processes it may signal, besides those that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signals {
    /// None, as far as landlock can fence them (Linux 6.12).
    Fenced,
    /// Those of its own user, who is that of one package alone.
    ToOwnUser,
}

/// Who it is, and what it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) identity: Identity,
    pub(super) signals: Signals,
    /// The most bytes of its address space, where no control group counts its memory.
    pub(super) address_space: Option<u64>,
    /// The most seconds of processors that it takes in all.
    pub(super) cpu_seconds: Option<u64>,
    /// The control group that it belongs to.
    pub(super) cgroup: Option<PathBuf>,
    /// The maps that it is handed.
    pub(super) maps: Numbers,
}

impl Terms {
    /// The arguments that say so.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let (user, capabilities) = match self.identity {
            Identity::Root => ("root".to_owned(), 0),
            Identity::Own { user, capabilities } => (user.to_string(), capabilities),
        };
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let (address_space, cpu_seconds) = (number(self.address_space), number(self.cpu_seconds));
        let cgroup = self.cgroup.clone().unwrap_or_default();
        let mut arguments: Vec<OsString> = vec![
            user.into(),
            format!("{capabilities:x}").into(),
            if self.signals == Signals::Fenced { "" } else { OWN_USER }.into(),
            address_space.into(),
            cpu_seconds.into(),
            cgroup.into(),
            self.maps.len().to_string().into(),
        ];
        let maps = self.maps.iter();
        arguments.extend(maps.flat_map(|(name, number)| [name.clone().into(), number.to_string().into()]));
        arguments
    }

    /// What the arguments say.
    pub(super) fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut text = || arguments.next()?.into_string().ok();
        let (user, capabilities, signals) = (text()?, text()?, text()?);
        let (address_space, cpu_seconds) = (text()?, text()?);
        let signals = match signals.as_str() {
            "" => Signals::Fenced,
            OWN_USER => Signals::ToOwnUser,
            _ => return None,
        };
        let identity = match user.as_str() {
            "root" => Identity::Root,
            number => Identity::Own {
                user: number.parse().ok()?,
                capabilities: u64::from_str_radix(&capabilities, 16).ok()?,
            },
        };
        let number = |text: String| match text.as_str() {
            "" => Some(None),
            number => number.parse::<u64>().ok().map(Some),
        };
        let (address_space, cpu_seconds) = (number(address_space)?, number(cpu_seconds)?);
        let cgroup = arguments.next().map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
        let count: usize = arguments.next()?.to_str()?.parse().ok()?;
        let mut text = || arguments.next()?.into_string().ok();
        let mut map = |_| Some((text()?, text()?.parse().ok()?));
        let maps = (0..count).map(&mut map).collect::<Option<_>>()?;
        Some(Self { identity, signals, address_space, cpu_seconds, cgroup, maps })
    }

    /// Has them hold for this process, which must have one thread, and for what it executes.
    pub(super) fn hold(&self) -> io::Result<()> {
        if let Some(cgroup) = &self.cgroup {
            // 0 is whoever writes it (cgroup v2, `cgroup.procs`).
            fs::write(cgroup.join("cgroup.procs"), "0")
                .map_err(|error| failed("join its control group", &error))?;
        }
        if let Some(bytes) = self.address_space {
            let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
            setrlimit(Resource::As, limit).map_err(|error| failed("limit its memory", &error.into()))?;
        }
        if let Some(seconds) = self.cpu_seconds {
            let limit = Rlimit { current: Some(seconds), maximum: Some(seconds) };
            setrlimit(Resource::Cpu, limit).map_err(|error| failed("limit its time", &error.into()))?;
        }
        umask(Mode::RWXG | Mode::RWXO);
        let identify = || -> Result<(), Errno> {
            set_thread_groups(&[])?;
            match self.identity {
                Identity::Root => Ok(()),
                Identity::Own { user, capabilities } => {
                    become_user(user, CapabilitySet::from_bits_retain(capabilities))
                }
            }
        };
        identify().map_err(|error| failed("give up privileges", &error.into()))
    }
}

fn failed(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what}: {error}"))
}

/// Becomes a user, with nothing but these capabilities, now and whatever it executes.
fn become_user(user: u32, capabilities: CapabilitySet) -> Result<(), Errno> {
    let single = |number: u32| CapabilitySet::from_bits_retain(1 << number);
    for capability in (0..64).map(single).filter(|capability| !capabilities.contains(*capability)) {
        match remove_capability_from_bounding_set(capability) {
            // There are no more.
            Err(Errno::INVAL) => break,
            other => other?,
        }
    }
    // Who stops to be root loses all capabilities otherwise, and those that it is to have with them.
    set_keep_capabilities(true)?;
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    let (effective, permitted, inheritable) = (capabilities, capabilities, capabilities);
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable })?;
    // What a user executes has the ambient capabilities and no others (capabilities(7)).
    for capability in (0..64).map(single).filter(|capability| capabilities.contains(*capability)) {
        configure_capability_in_ambient_set(capability, true)?;
    }
    set_no_new_privs(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_cut_off_say_nothing() {
        let arguments = |words: &[&str]| Terms::read(words.iter().map(OsString::from));
        assert_eq!(arguments(&["61184", "0"]), None);
        assert_eq!(arguments(&["somebody", "0", "", "", "", "", "0"]), None);
        assert_eq!(arguments(&["61184", "0", "all", "", "", "", "0"]), None);
        assert!(arguments(&["61184", "0", "", "", "", "", "0"]).is_some());
        assert_eq!(arguments(&["61184", "0", "", "", "", "", "1", "map member hook"]), None);
        assert_eq!(arguments(&["61184", "x", "", "", ""]), None);
    }

    proptest::proptest! {
        #[test]
        fn terms_are_read_as_they_are_told(user: u32, capabilities: u64, bytes: Option<u64>, cpu_seconds: Option<u64>, folder: Option<u8>, maps: u8, fenced: bool) {
            let cgroup = folder.map(|folder| PathBuf::from(format!("/sys/fs/cgroup/a b/{folder}")));
            let maps: Numbers = (0..maps % 4).map(|map| (format!("map{map} m eth0/xdp"), map.into())).collect();
            for identity in [Identity::Root, Identity::Own { user, capabilities }] {
                let signals = if fenced { Signals::Fenced } else { Signals::ToOwnUser };
                let terms = Terms { identity, signals, address_space: bytes, cpu_seconds, cgroup: cgroup.clone(), maps: maps.clone() };
                assert_eq!(Terms::read(terms.arguments().into_iter()), Some(terms));
            }
        }
    }
}
