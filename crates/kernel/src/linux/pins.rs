// SPDX-License-Identifier: Apache-2.0
//! Where things are pinned, and the file system they are pinned in.
//!
//! ```text
//! <pins>/<interface>/discipline/                  there if we made the interface's ingress discipline
//! <pins>/<interface>/<point>/root/{ledger, link or filter/}
//! <pins>/<interface>/<point>/root/{one, many}/{program, slot}    for packets in one buffer, and in several as well
//! <pins>/<interface>/<point>/instances/<member>#<serial>/{program, next, counters, record, array:<name>, configured:<map>}    as far as it has them
//! <pins>/<interface>/<point>/dispatchers/<serial>/{program, links/<number>, counters, record}
//! <pins>/<interface>/<point>/state/<member>#<object digest>/<map>
//! <pins>/<interface>/<point>/incumbent/{program, link, stub, next, counters}     of somebody else whose place we have
//! <pins>/<interface>/<point>/shared/<map>#<layout digest>/{map, layout}    what the members of a chain share
//! <pins>/maps-of-packages/<publisher>#<package>/<map>#<layout digest>/     what the programs of a package share
//! <pins>/maps-of-deployments/<deployment>/<map>#<layout digest>/           what the programs of a deployment share
//! <pins>/maps-of-deployments/<deployment>#<object>/<section>#<layout digest>/    the global variables of one of its objects
//! <pins>/maps-of-the-node/<map>#<layout digest>/                           what all share
//! <pins>/network-namespaces/<namespace>/<interface>/…            interfaces in other network namespaces
//! <pins>/probes-outside-of-chains/                see `probe/mod.rs`
//! ```
//!
//! bpffs refuses dots in names, and `VLAN` interfaces have them. A colon cannot be in an interface name, so it
//! stands for the dot. Folders that are not interfaces have names that are too long for one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use package::{Digest, HookPoint, Interface, InterfaceName, MemberName, NetworkNamespace};
use plan::{Buffers, Entry, Extent, Hook, Instance, SharedMap, State};
use rustix::fs::StatFs;
use rustix::mount::{MountFlags, mount};

/// The mark beside a root that it is attached as a filter.
pub(super) const FILTER: &str = "filter";

/// The folder of other network namespaces.
const NAMESPACES: &str = "network-namespaces";
/// The folder of maps that the programs of a package share.
const PACKAGES: &str = "maps-of-packages";
/// The folder of maps that the programs of a deployment share.
const DEPLOYMENTS: &str = "maps-of-deployments";
/// The folder of maps that all share.
const NODE: &str = "maps-of-the-node";
/// The folder in that of a hook of maps that its members share.
const CHAIN: &str = "shared";

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
        self.interface(&hook.interface).join(hook.point.to_string())
    }

    fn interface(&self, interface: &Interface) -> PathBuf {
        let place = match &interface.namespace {
            Some(namespace) => self.0.join(NAMESPACES).join(escape(namespace.as_ref())),
            None => self.0.clone(),
        };
        place.join(interface.name.as_ref().replace('.', ":"))
    }

    pub(super) fn root(&self, hook: &Hook) -> PathBuf {
        self.hook(hook).join("root")
    }

    /// The program of an entry.
    pub(super) fn entry_program(&self, hook: &Hook, entry: &Entry) -> PathBuf {
        let folder = match entry {
            Entry::Root(buffers) => self.entry(hook, *buffers),
            Entry::Dispatcher(serial) => self.dispatcher(hook, *serial),
            Entry::Alone(instance) | Entry::Head(instance) => self.instance(hook, instance),
        };
        folder.join("program")
    }

    /// One of the root programs.
    pub(super) fn entry(&self, hook: &Hook, buffers: Buffers) -> PathBuf {
        self.root(hook).join(match buffers {
            Buffers::One => "one",
            Buffers::Many => "many",
        })
    }

    /// A map that several members use.
    pub(super) fn shared(&self, shared: &SharedMap) -> PathBuf {
        let folder = match &shared.extent {
            Extent::Package { publisher, name } => self.0.join(PACKAGES).join(format!("{publisher}#{name}")),
            Extent::Chain(hook) => self.hook(hook).join(CHAIN),
            Extent::Deployment(name) => self.0.join(DEPLOYMENTS).join(name.as_ref()),
            Extent::Object(name, object) => self.0.join(DEPLOYMENTS).join(format!("{name}#{}", object.hex())),
            Extent::Node => self.0.join(NODE),
        };
        folder.join(format!("{}#{}", shared.map.replace('.', ":"), shared.layout.hex()))
    }

    /// Where shared maps are pinned, by name.
    pub(super) fn all_of(&self, shared: &[SharedMap]) -> BTreeMap<String, PathBuf> {
        shared.iter().map(|shared| (shared.map.clone(), self.shared(shared))).collect()
    }

    /// The maps of these hooks, of packages and of the node that have a folder.
    pub(super) fn all_shared(&self, hooks: &[Hook]) -> io::Result<Vec<SharedMap>> {
        let mut found = Vec::new();
        let mut read = |folder: &Path, extent: Extent| -> io::Result<()> {
            let maps = names(folder)?.into_iter().filter_map(|name| parse_shared(&name, extent.clone()));
            found.extend(maps);
            Ok(())
        };
        for hook in hooks {
            read(&self.hook(hook).join(CHAIN), Extent::Chain(hook.clone()))?;
        }
        for package in names(&self.0.join(PACKAGES))? {
            if let Some(extent) = parse_package(&package) {
                read(&self.0.join(PACKAGES).join(package), extent)?;
            }
        }
        for deployment in names(&self.0.join(DEPLOYMENTS))? {
            if let Some(extent) = parse_deployment(&deployment) {
                read(&self.0.join(DEPLOYMENTS).join(deployment), extent)?;
            }
        }
        read(&self.0.join(NODE), Extent::Node)?;
        Ok(found)
    }

    /// Removes a shared map, and the folders around it that are empty then.
    pub(super) fn remove_shared(&self, shared: &SharedMap) -> io::Result<()> {
        self.remove_with_empty(&self.shared(shared))
    }

    /// What is held of a program of somebody else.
    pub(super) fn incumbent(&self, hook: &Hook) -> PathBuf {
        self.hook(hook).join("incumbent")
    }

    /// The mark that the interface's ingress discipline was made by us.
    pub(super) fn discipline(&self, hook: &Hook) -> PathBuf {
        self.interface(&hook.interface).join("discipline")
    }

    pub(super) fn instances(&self, hook: &Hook) -> PathBuf {
        self.hook(hook).join("instances")
    }

    pub(super) fn instance(&self, hook: &Hook, instance: &Instance) -> PathBuf {
        self.instances(hook).join(instance.to_string())
    }

    pub(super) fn dispatchers(&self, hook: &Hook) -> PathBuf {
        self.hook(hook).join("dispatchers")
    }

    pub(super) fn dispatcher(&self, hook: &Hook, serial: u64) -> PathBuf {
        self.dispatchers(hook).join(serial.to_string())
    }

    pub(super) fn states(&self, hook: &Hook) -> PathBuf {
        self.hook(hook).join("state")
    }

    pub(super) fn state(&self, hook: &Hook, state: &State) -> PathBuf {
        self.states(hook).join(format!("{}#{}", state.member, state.object.hex()))
    }

    /// The hooks that have a folder.
    pub(super) fn hooks(&self) -> io::Result<Vec<Hook>> {
        let mut hooks = hooks_in(&self.0, None)?;
        let others = self.0.join(NAMESPACES);
        for folder in names(&others)? {
            let namespace = unescape(&folder).and_then(|text| text.parse().ok());
            let Some(namespace) = namespace else { continue };
            hooks.extend(hooks_in(&others.join(folder), Some(&namespace))?);
        }
        Ok(hooks)
    }

    /// Removes the folder of a hook, and those around it that are empty then.
    pub(super) fn remove_hook(&self, hook: &Hook) -> io::Result<()> {
        self.remove_with_empty(&self.hook(hook))
    }

    fn remove_with_empty(&self, folder: &Path) -> io::Result<()> {
        remove_tree(folder)?;
        for around in folder.ancestors().skip(1).take_while(|around| *around != self.0) {
            if !around.exists() {
                continue;
            }
            if !names(around)?.is_empty() {
                break;
            }
            fs::remove_dir(around)?;
        }
        Ok(())
    }
}

/// The hooks of one network namespace.
fn hooks_in(place: &Path, namespace: Option<&NetworkNamespace>) -> io::Result<Vec<Hook>> {
    let mut hooks = Vec::new();
    for folder in names(place)? {
        let Ok(name) = folder.replace(':', ".").parse::<InterfaceName>() else { continue };
        let interface = Interface { namespace: namespace.cloned(), name };
        let points = names(&place.join(&folder))?;
        let points = points.iter().filter_map(|point| point.parse::<HookPoint>().ok());
        hooks.extend(points.map(|point| Hook { interface: interface.clone(), point }));
    }
    Ok(hooks)
}

/// Writes a text so that bpffs takes it as a name: what is not a letter or a digit becomes `%` and two hexadecimal digits.
fn escape(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02x}"),
    };
    text.bytes().map(letter).collect()
}

/// The text that was escaped; none where it is no such name.
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
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

/// Reads `<map>#<layout digest>`.
fn parse_shared(name: &str, extent: Extent) -> Option<SharedMap> {
    let (map, hex) = name.split_once('#')?;
    Some(SharedMap { extent, map: map.replace(':', "."), layout: format!("sha256:{hex}").parse().ok()? })
}

/// Reads `<publisher>#<package>`.
fn parse_package(name: &str) -> Option<Extent> {
    let (publisher, name) = name.split_once('#')?;
    Some(Extent::Package { publisher: publisher.parse().ok()?, name: name.parse().ok()? })
}

/// Reads `<deployment>`, or `<deployment>#<digest of an object's path>`.
fn parse_deployment(name: &str) -> Option<Extent> {
    match name.split_once('#') {
        Some((name, hex)) => Some(Extent::Object(name.parse().ok()?, format!("sha256:{hex}").parse().ok()?)),
        None => Some(Extent::Deployment(name.parse().ok()?)),
    }
}

/// The names in a folder, sorted; none when there is no such folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        // What others put there, where a folder would be, is nothing of ours.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
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

/// Removes a file or pin; one that is not there is no error.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn is_bpffs(path: &Path) -> bool {
    let magic = |stat: StatFs| u32::try_from(stat.f_type).ok();
    let existing = path.ancestors().find(|ancestor| ancestor.exists());
    existing.and_then(|ancestor| rustix::fs::statfs(ancestor).ok()).and_then(magic) == Some(BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::{escape, unescape};

    #[test]
    fn a_namespace_is_read_back_from_its_folder() {
        for text in ["blue", "/proc/4711/ns/net", "a.b%c", "grün"] {
            let name = escape(text);
            assert!(!name.contains(['.', '/']), "{name}");
            assert_eq!(unescape(&name).as_deref(), Some(text));
        }
        assert_eq!(unescape("%4"), None);
        assert_eq!(unescape("%xx"), None);
    }
}
