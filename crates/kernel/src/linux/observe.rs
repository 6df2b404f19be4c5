// SPDX-License-Identifier: Apache-2.0
//! Reading what the kernel holds: what it can do, interfaces and who has them, and the hooks where anything of ours is.

mod hook;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use package::{HookPoint, Interface, KernelVersion, Layout, NetworkNamespace, XdpMode};
use plan::{Facts, Hook, Incumbent, Observed, ObservedHook, Root, SharedMap, Unbindable};

use super::device::{Device, devices};
use super::pins::Pins;
use super::state::LAYOUT;
use super::{dispatcher, holder, maps};
use crate::Unseen;

pub(super) use hook::observe as observe_hook;
pub(super) use hook::program_ids;

/// TCX links came with this kernel.
const TCX: KernelVersion = KernelVersion { major: 6, minor: 6 };
/// Since this kernel a tail call in a subprogram counts for the programs behind it as well.
const SHARED_TAIL_CALLS: KernelVersion = KernelVersion { major: 6, minor: 12 };
/// XDP programs take packets in several buffers since this kernel.
const FRAGMENTS: KernelVersion = KernelVersion { major: 5, minor: 18 };
/// XDP programs are loaded for one device, without being offloaded to it, since this kernel.
const DEVICE_BOUND: KernelVersion = KernelVersion { major: 6, minor: 3 };
/// `MAX_TAIL_CALL_CNT` of `linux/bpf.h`.
const TAIL_CALLS: usize = 33;

/// The interfaces of all namespaces that matter.
pub(super) type Devices = BTreeMap<Interface, Device>;

/// Reads everything.
pub(super) fn observe(pins: &Pins, namespaces: &BTreeSet<NetworkNamespace>) -> Result<Observed, Unseen> {
    let unseen = |what: &str| {
        let what = what.to_owned();
        move |source: io::Error| Unseen::new(what, source)
    };
    let kernel = kernel_version().map_err(unseen("the kernel's version"))?;
    let pinned = pins.hooks().map_err(unseen("the folder of pins"))?;
    let theirs = pinned.iter().filter_map(|hook| hook.interface.namespace.clone());
    let namespaces: BTreeSet<NetworkNamespace> = namespaces.iter().cloned().chain(theirs).collect();
    let devices = all_devices(&namespaces).map_err(unseen("the network interfaces"))?;
    let shared = observe_shared(pins, &pinned).map_err(unseen("the pins of shared maps"))?;
    let mut hooks = BTreeMap::new();
    for hook in pinned {
        let seeing = unseen(&format!("the pins of `{hook}`"));
        let found = hook::observe(pins, &hook, devices.get(&hook.interface)).map_err(seeing)?;
        hooks.insert(hook, found);
    }
    let foreign = foreign(pins, &devices, &hooks);
    let facts = Facts {
        kernel,
        tcx: kernel >= TCX,
        tail_calls: TAIL_CALLS,
        tail_calls_shared: kernel >= SHARED_TAIL_CALLS,
        fragments: kernel >= FRAGMENTS,
        device_bound: kernel >= DEVICE_BOUND,
        extensions: dispatcher::extensions_are_permitted(),
        lacks: super::probe::lacks(),
    };
    let probes = super::probe::observe(pins).map_err(unseen("the pins of the probes"))?;
    let unbindable = unbindable(&devices, &foreign, &hooks);
    let interfaces = devices.into_iter().map(|(interface, device)| (interface, device.address)).collect();
    Ok(Observed { facts, interfaces, unbindable, hooks, shared, foreign, probes })
}

fn observe_shared(pins: &Pins, hooks: &[Hook]) -> io::Result<BTreeMap<SharedMap, Option<Layout>>> {
    let mut found = BTreeMap::new();
    for shared in pins.all_shared(hooks)? {
        let layout = observe_layout(&pins.shared(&shared))?;
        found.insert(shared, layout);
    }
    Ok(found)
}

/// What lies where in the maps of a folder; none where making them was not finished.
fn observe_layout(folder: &Path) -> io::Result<Option<Layout>> {
    let layout = folder.join(LAYOUT);
    if layout.exists() { maps::read_record(&layout).map(Some) } else { Ok(None) }
}

/// Whether chains are attached by TCX links here.
pub(super) fn has_tcx() -> io::Result<bool> {
    Ok(kernel_version()? >= TCX)
}

fn kernel_version() -> io::Result<KernelVersion> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    release.parse().map_err(io::Error::other)
}

/// The interfaces of these namespaces, and of the daemon's own.
pub(super) fn all_devices(namespaces: &BTreeSet<NetworkNamespace>) -> io::Result<Devices> {
    let mut all = Devices::new();
    for namespace in [None].into_iter().chain(namespaces.iter().map(Some)) {
        let found = devices(namespace)?.into_iter();
        let named = |(name, device)| (Interface { namespace: namespace.cloned(), name }, device);
        all.extend(found.map(named));
    }
    Ok(all)
}

/// The interfaces that can have no program which is bound to them.
fn unbindable(
    devices: &Devices,
    foreign: &BTreeMap<Hook, String>,
    hooks: &BTreeMap<Hook, ObservedHook>,
) -> BTreeMap<Interface, Unbindable> {
    let why = |(interface, device): (&Interface, &Device)| {
        let hook = Hook { interface: interface.clone(), point: HookPoint::Xdp };
        let is_generic = device.xdp.is_some_and(|xdp| xdp.mode == XdpMode::Generic);
        let held = hooks.get(&hook).is_some_and(|found| found.incumbent != Incumbent::Absent);
        let why = if !device.runs_xdp {
            Unbindable::NoDriver
        } else if is_generic && (held || foreign.contains_key(&hook)) {
            Unbindable::Generic
        } else {
            return None;
        };
        Some((interface.clone(), why))
    };
    devices.iter().filter_map(why).collect()
}

/// XDP programs of others: an interface has room for one.
fn foreign(pins: &Pins, devices: &Devices, hooks: &BTreeMap<Hook, ObservedHook>) -> BTreeMap<Hook, String> {
    let mut foreign = BTreeMap::new();
    for (interface, device) in devices {
        let hook = Hook { interface: interface.clone(), point: HookPoint::Xdp };
        let ours = hooks.get(&hook).is_some_and(|found| {
            // What others let our own link run goes with the link.
            super::inherit::is_there(pins, &hook, device.index)
                || found.root == Root::Attached
                || found.root == Root::Severed && pins.root(&hook).join("link").exists()
        });
        if let Some(xdp) = device.xdp.filter(|_| !ours) {
            foreign.insert(hook, holder::describe(xdp.program));
        }
    }
    foreign
}
