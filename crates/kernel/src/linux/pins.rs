// SPDX-License-Identifier: Apache-2.0
//! Where things are pinned, and the file system they are pinned in.
//!
//! ```text
//! <pins>/<interface>/discipline/                  there if we made the interface's ingress discipline
//! <pins>/<interface>/<point>/root/{ledger, link or filter/}
//! <pins>/<interface>/<point>/root/{one, many}/{program, slot}    for packets in one buffer, and in several as well
//! <pins>/<interface>/<point>/instances/<member>#<serial>/{program, next, counters, record}
//! <pins>/<interface>/<point>/state/<member>#<object digest>/<map>
//! <pins>/probes-outside-of-chains/                see `probe/mod.rs`
//! ```
//!
//! bpffs refuses dots in names, and `VLAN` interfaces have them. A colon cannot be in an interface name, so it
//! stands for the dot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use package::{Digest, HookPoint, InterfaceName, MemberName};
use plan::{Buffers, Hook, Instance, State};
use rustix::fs::StatFs;
use rustix::mount::{MountFlags, mount};

/// The mark beside a root that it is attached as a filter.
pub(super) const FILTER: &str = "filter";

/// `BPF_FS_MAGIC` of `linux/magic.h`.
const BPF_FS_MAGIC: u32 = 0xcafe_4a11;

/// The folder of all pins.
#[derive(Debug, Clone)]
pub(super) struct Pins(PathBuf);

impl Pins {
    /// Makes sure that the folder exists in a mounted bpffs.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !is_bpffs(path) {
            // The usual place is mounted as a whole; any other folder becomes a mount of its own.
            let usual = Path::new("/sys/fs/bpf");
            let target = if path.starts_with(usual) { usual } else { path };
            fs::create_dir_all(target)?;
            mount("bpf", target, "bpf", MountFlags::empty(), None)?;
        }
        fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn hook(&self, hook: &Hook) -> PathBuf {
        self.0.join(hook.interface.as_ref().replace('.', ":")).join(hook.point.to_string())
    }

    pub(super) fn root(&self, hook: &Hook) -> PathBuf {
        self.hook(hook).join("root")
    }

    /// One of the root programs.
    pub(super) fn entry(&self, hook: &Hook, buffers: Buffers) -> PathBuf {
        self.root(hook).join(match buffers {
            Buffers::One => "one",
            Buffers::Many => "many",
        })
    }

    /// The mark that the interface's ingress discipline was made by us.
    pub(super) fn discipline(&self, hook: &Hook) -> PathBuf {
        self.0.join(hook.interface.as_ref().replace('.', ":")).join("discipline")
    }

    pub(super) fn instances(&self, hook: &Hook) -> PathBuf {
        self.hook(hook).join("instances")
    }

    pub(super) fn instance(&self, hook: &Hook, instance: &Instance) -> PathBuf {
        self.instances(hook).join(instance.to_string())
    }

    pub(super) fn states(&self, hook: &Hook) -> PathBuf {
        self.hook(hook).join("state")
    }

    pub(super) fn state(&self, hook: &Hook, state: &State) -> PathBuf {
        self.states(hook).join(format!("{}#{}", state.member, state.object.hex()))
    }

    /// The hooks that have a folder.
    pub(super) fn hooks(&self) -> io::Result<Vec<Hook>> {
        let mut hooks = Vec::new();
        for folder in names(&self.0)? {
            let Ok(interface) = folder.replace(':', ".").parse::<InterfaceName>() else { continue };
            let points = names(&self.0.join(&folder))?;
            let points = points.iter().filter_map(|point| point.parse::<HookPoint>().ok());
            hooks.extend(points.map(|point| Hook { interface: interface.clone(), point }));
        }
        Ok(hooks)
    }

    /// Removes the folder of a hook, and that of its interface when it was the last.
    pub(super) fn remove_hook(&self, hook: &Hook) -> io::Result<()> {
        remove_tree(&self.hook(hook))?;
        let interface =
            self.hook(hook).parent().map(Path::to_owned).expect("a hook's folder is in its interface's");
        if names(&interface)?.is_empty() {
            fs::remove_dir(interface)?;
        }
        Ok(())
    }
}

/// Reads `<member>#<serial>`.
pub(super) fn parse_instance(name: &str) -> Option<Instance> {
    let (member, serial) = name.split_once('#')?;
    Some(Instance { member: member.parse::<MemberName>().ok()?, serial: serial.parse().ok()? })
}

/// Reads `<member>#<object digest>`.
pub(super) fn parse_state(name: &str) -> Option<State> {
    let (member, hex) = name.split_once('#')?;
    let object = format!("sha256:{hex}").parse::<Digest>().ok()?;
    Some(State { member: member.parse::<MemberName>().ok()?, object })
}

/// The names in a folder, sorted; none when there is no such folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Removes a folder and what is in it; what is not there is no error.
pub(super) fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn is_bpffs(path: &Path) -> bool {
    let magic = |stat: StatFs| u32::try_from(stat.f_type).ok();
    let existing = path.ancestors().find(|ancestor| ancestor.exists());
    existing.and_then(|ancestor| rustix::fs::statfs(ancestor).ok()).and_then(magic) == Some(BPF_FS_MAGIC)
}
