// SPDX-License-Identifier: Apache-2.0
//! Loading one member: first as its author wrote it, then with the splice.
//!
//! The first load gives a clean message when the verifier rejects the program itself, tells how much stack it uses,
//! and makes its maps. The second loads what will run. Both go through libbpf, which keeps doing licences, BTF,
//! CO-RE and map relocation.

mod extension;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::OnceLock;

use libbpf_rs::{MapCore as _, MapHandle, MapType, Object as Loaded, ObjectBuilder, OpenMapMut, OpenObject};
use package::{Digest, Enforcement, HookPoint, Object, PackageName, ParameterValue, ProceedSet, ProgramName};
use plan::Buffers;

pub(super) use self::extension::Place;
use super::maps::plain;
use super::{Spelling, maps, root, sys};
use crate::insn::Insn;
use crate::splice::{Counters, Splice, Unspliceable, Way, splice, ways};
use crate::{Cause, Refused, effect};

/// libbpf names the maps of global variables after the object: a fixed name keeps them the same.
const OBJECT_NAME: &str = "l3af";
/// `BPF_LOG_STATS`: the verifier tells how much stack each function uses.
const LOG_STATS: u32 = 4;
/// Room for the verifier's log of a rejected program.
const LOG_BYTES: usize = 4 * 1024 * 1024;

/// A program that is to be loaded.
pub(super) struct Loading<'a> {
    pub(super) point: HookPoint,
    pub(super) package: &'a PackageName,
    pub(super) function: &'a ProgramName,
    pub(super) object: &'a [u8],
    pub(super) config: &'a BTreeMap<String, ParameterValue>,
    pub(super) buffers: Buffers,
    /// The folder in which the maps are pinned that outlive the instance; none where nothing does.
    pub(super) state: Option<&'a Path>,
}

/// What an earlier load taught of a program on this kernel, by the digest of its object. A load that relies on it and is
/// refused is made again without.
pub(super) type Known = BTreeMap<(Digest, ProgramName, Buffers), Way>;

/// What it becomes a member of.
#[derive(Clone)]
pub(super) struct Splicing<'a> {
    pub(super) proceed: &'a ProceedSet,
    pub(super) enforcement: Enforcement,
    pub(super) timed: bool,
    pub(super) next: BorrowedFd<'a>,
    pub(super) counters: Option<Counting<'a>>,
}

/// The maps for counting.
#[derive(Clone, Copy)]
pub(super) struct Counting<'a> {
    pub(super) cells: BorrowedFd<'a>,
    pub(super) keys: BorrowedFd<'a>,
}

/// What the first load taught.
pub(super) struct Untouched {
    pub(super) loaded: Loaded,
    pub(super) insns: Vec<Insn>,
    pub(super) stack_bytes: u16,
}

/// An attempt to load that the verifier ended.
pub(super) struct Rejected {
    log: String,
    source: Cause,
}

thread_local! {
    /// The buffer for the verifier's log. To clear so much each time would take longer than the verifier does.
    static LOG: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer with an empty text in it.
fn take_log() -> Vec<u8> {
    let mut log = LOG.take();
    log.resize(LOG_BYTES, 0);
    log[0] = 0;
    log
}

impl Loading<'_> {
    /// Loads the program so that it goes on with what its slot holds, in the first way that the verifier accepts.
    pub(super) fn load(&self, splicing: &Splicing<'_>) -> Result<Loaded, Refused> {
        self.learn(splicing).map(|(_, loaded)| loaded)
    }

    /// The same, in the way that worked before where there is one: then the program is not loaded untouched first.
    pub(super) fn load_as_known(
        &self,
        splicing: &Splicing<'_>,
        object: Digest,
        known: &mut Known,
    ) -> Result<Loaded, Refused> {
        let key = (object, self.function.clone(), self.buffers);
        // What needs other ways, or a look at what the program does, begins untouched.
        let plain = !splicing.timed && splicing.enforcement == Enforcement::Enforce;
        if let Some(way) = known.get(&key).copied().filter(|_| plain)
            && let Ok(loaded) = self.load_spliced(way, splicing)?
        {
            self.pin_state(&loaded).map_err(|error| self.action("pin the maps of", error))?;
            return Ok(loaded);
        }
        let (way, loaded) = self.learn(splicing)?;
        if plain {
            known.insert(key, way);
        }
        Ok(loaded)
    }

    /// Loads the program untouched, then spliced.
    fn learn(&self, splicing: &Splicing<'_>) -> Result<(Way, Loaded), Refused> {
        let untouched = self.load_untouched()?;
        self.check_effects(&untouched.insns, splicing.enforcement)?;
        let mut last = Rejected { log: String::new(), source: "there is no way to splice it".into() };
        for way in ways(&untouched.insns, untouched.stack_bytes, splicing.timed) {
            match self.load_spliced(way, splicing)? {
                Ok(loaded) => return Ok((way, loaded)),
                Err(rejected) => last = rejected,
            }
        }
        Err(self.refuse(last))
    }

    /// Says why a splice was rejected.
    pub(super) fn refuse(&self, rejected: Rejected) -> Refused {
        let line = telling_line(&rejected.log).unwrap_or_else(|| rejected.source.to_string());
        Refused::Splice { function: self.function.to_string(), line, log: rejected.log }
    }

    /// Loads the program as its author wrote it.
    pub(super) fn load_untouched(&self) -> Result<Untouched, Refused> {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let insns = Rc::clone(&seen);
        let look = Box::new(move |found: &[Insn]| {
            *insns.borrow_mut() = found.to_vec();
            None
        });
        match self.attempt(LOG_STATS, look)? {
            Ok((loaded, log)) => {
                self.pin_state(&loaded).map_err(|error| self.action("pin the maps of", error))?;
                Ok(Untouched { loaded, insns: seen.take(), stack_bytes: stack_bytes(&log) })
            }
            Err(_) => Err(self.rejection()?),
        }
    }

    /// Loads once more, for the whole story.
    fn rejection(&self) -> Result<Refused, Refused> {
        let Err(rejected) = self.attempt(0, Box::new(|_| None))? else {
            return Err(self.action("load", "the verifier rejected it once and accepted it the next time"));
        };
        let Some(line) = telling_line(&rejected.log) else {
            return Err(self.action("load", rejected.source));
        };
        Ok(Refused::Verifier { function: self.function.to_string(), line, log: rejected.log })
    }

    /// A verdict can be overruled; a change to the packet cannot be taken back.
    fn check_effects(&self, insns: &[Insn], enforcement: Enforcement) -> Result<(), Refused> {
        let effect = match enforcement {
            Enforcement::Enforce => None,
            Enforcement::Shadow | Enforcement::Canary(_) => effect(insns, self.point == HookPoint::Xdp),
        };
        match effect {
            None => Ok(()),
            Some(effect) => Err(Refused::Effect { function: self.function.to_string(), enforcement, effect }),
        }
    }

    /// Loads the program spliced in one way.
    pub(super) fn load_spliced(
        &self,
        way: Way,
        splicing: &Splicing<'_>,
    ) -> Result<Result<Loaded, Rejected>, Refused> {
        let next = splicing.next.as_raw_fd();
        let counters = splicing
            .counters
            .map(|Counting { cells, keys }| Counters { cells: cells.as_raw_fd(), keys: keys.as_raw_fd() });
        let (enforcement, timed) = (splicing.enforcement, splicing.timed);
        let (point, proceed) = (self.point, splicing.proceed.clone());
        let fragments = self.buffers == Buffers::Many;
        let outcome: Rc<RefCell<Option<Result<(), Unspliceable>>>> = Rc::default();
        let told = Rc::clone(&outcome);
        let rewrite = Box::new(move |insns: &[Insn]| {
            let proceed = &proceed;
            let how = Splice { point, proceed, enforcement, next, counters, timed, fragments, way };
            let spliced = splice(insns, &how);
            *told.borrow_mut() = Some(spliced.as_ref().map(drop).map_err(Clone::clone));
            spliced.ok()
        });
        let attempt = self.attempt(0, rewrite)?;
        match outcome.take() {
            Some(Ok(())) => Ok(attempt.map(|(loaded, _)| loaded)),
            Some(Err(unspliceable)) => Ok(Err(Rejected { log: String::new(), source: unspliceable.into() })),
            // A member that was not spliced would end its chain without a word.
            None => Err(self.action("splice", "its section is one of another kind of program than its hook")),
        }
    }

    /// Opens the object anew and loads its one program, whose instructions go through `rewrite`.
    fn attempt(
        &self,
        log_level: u32,
        rewrite: sys::Rewrite,
    ) -> Result<Result<(Loaded, String), Rejected>, Refused> {
        let mut log = take_log();
        let open = self.open(log_level, &mut log).map_err(|error| self.action("open", error))?;
        let target = self.target(&open).map_err(|error| self.action("describe", error))?;
        let result = sys::rewriting(target, rewrite, || open.load());
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        let text = String::from_utf8_lossy(&log[..end]).into_owned();
        LOG.set(log);
        let log = text;
        let warning = sys::take_warning();
        Ok(result
            .map(|loaded| (loaded, log.clone()))
            .map_err(|error| Rejected { log, source: warning.map_or_else(|| error.into(), Cause::from) }))
    }

    fn open(&self, log_level: u32, log: &mut [u8]) -> io::Result<OpenObject> {
        let mut builder = ObjectBuilder::default();
        let configuration = kernel_configuration();
        if let Some(text) = configuration {
            sys::set_kernel_configuration(&builder, text);
        }
        let mut object =
            builder.name(OBJECT_NAME).and_then(|named| named.open_memory(self.object)).map_err(plain)?;
        let spelling = Spelling::of(self.point);
        // Programs that the member's own tail calls lead to are loaded with it.
        let has_slots = object.maps().any(|map| map.map_type() == MapType::ProgArray);
        for mut program in object.progs_mut() {
            let wanted = program.name() == self.function.as_ref();
            let reached = has_slots && program.prog_type() == spelling.kind.into();
            program.set_autoload(wanted || reached);
            if wanted || reached {
                program.set_prog_type(spelling.kind.into());
                program.set_attach_type(spelling.load.into());
                program.set_flags(root::flags(self.buffers));
            }
            if wanted {
                program.set_log_level(log_level);
                sys::log_to(&program, log)?;
            }
        }
        for mut map in object.maps_mut() {
            sys::forget_pin_path(&map)?;
            self.prepare_map(&mut map)?;
        }
        Ok(object)
    }

    /// Gives constants their configured values, and every other map what earlier instances left in it.
    fn prepare_map(&self, map: &mut OpenMapMut<'_>) -> io::Result<()> {
        let name = map.name().to_string_lossy().into_owned();
        if name.ends_with(".rodata") {
            return self.configure(map);
        }
        let Some(pinned) = self.state.map(|state| state.join(pin_name(&name))) else { return Ok(()) };
        if is_bound(&name, map.map_type()) || !pinned.exists() {
            return Ok(());
        }
        let kept = MapHandle::from_pinned_path(&pinned).map_err(plain)?;
        map.reuse_fd(kept.as_fd()).map_err(plain)
    }

    fn configure(&self, constants: &mut OpenMapMut<'_>) -> io::Result<()> {
        let object = Object::parse(self.object).map_err(io::Error::other)?;
        let Some(bytes) = constants.initial_value_mut() else { return Ok(()) };
        for parameter in &object.parameters {
            let Some(value) = self.config.get(&parameter.name) else { continue };
            let value = parameter.encode(value, object.endian).map_err(io::Error::other)?;
            let at = parameter.offset_bytes;
            let room = bytes.get_mut(at..at + value.len()).ok_or_else(|| {
                io::Error::other(format!("parameter `{}` lies outside of the constants", parameter.name))
            })?;
            room.copy_from_slice(&value);
        }
        Ok(())
    }

    /// Pins the maps that outlive this instance.
    fn pin_state(&self, loaded: &Loaded) -> io::Result<()> {
        let Some(state) = self.state else { return Ok(()) };
        fs::create_dir_all(state)?;
        for map in loaded.maps().filter(libbpf_rs::Map::autocreate) {
            let name = map.name().to_string_lossy().into_owned();
            let path = state.join(pin_name(&name));
            if !is_bound(&name, map.map_type()) && !path.exists() {
                sys::pin(map.as_fd(), &path)?;
            }
        }
        // The layout is pinned last: a set of maps that has it is complete.
        let layout = state.join(LAYOUT);
        if !layout.exists() {
            let object = Object::parse(self.object).map_err(io::Error::other)?;
            maps::pin(&maps::create_record(&object.layout)?, &layout)?;
        }
        Ok(())
    }

    fn target(&self, object: &OpenObject) -> io::Result<sys::Target> {
        let context = Spelling::of(self.point).context;
        let original = sys::add_original_to(object, context)?;
        let function = CString::new(self.function.as_ref()).map_err(io::Error::other)?;
        Ok(sys::Target { function, context, original })
    }

    fn action(&self, verb: &str, source: impl Into<Cause>) -> Refused {
        Refused::action(format!("{verb} `{}` of package `{}`", self.function, self.package), source)
    }
}

/// The configuration of the kernel, where libbpf does not find it by itself: it looks in `/boot` and `/proc`.
fn kernel_configuration() -> Option<&'static CStr> {
    static TEXT: OnceLock<Option<CString>> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let known = [format!("/boot/config-{release}"), "/proc/config.gz".to_owned()];
        if known.iter().any(|path| Path::new(path).exists()) {
            return None;
        }
        let others = [format!("/lib/modules/{release}/config"), format!("/usr/lib/modules/{release}/config")];
        CString::new(others.iter().find_map(|path| fs::read(path).ok())?).ok()
    });
    text.as_deref()
}

/// Whether a map belongs to one instance. Constants hold its configuration, and the kernel freezes them; program arrays
/// lead to programs that were loaded with it.
pub(super) fn is_bound(map: &str, kind: MapType) -> bool {
    map.contains(".rodata") || map.ends_with(".kconfig") || kind == MapType::ProgArray
}

/// Where the layout of a set of maps is pinned. No map has such a name.
pub(super) const LAYOUT: &str = "layout:";

/// The name of the pin of a map of a [`Layout`](package::Layout), where global variables go by their section.
pub(super) fn pin_name_of(map: &str) -> String {
    pin_name(&if map.starts_with('.') { format!("{OBJECT_NAME}{map}") } else { map.to_owned() })
}

/// bpffs refuses dots in names. No map that an author names has a colon, as it comes from a C identifier.
fn pin_name(map: &str) -> String {
    map.replace('.', ":")
}

/// The stack that the main function uses, from a line like `stack depth 64+16`, behind which Linux 7.2 has ` max 80`; all of
/// it where nothing is said.
fn stack_bytes(log: &str) -> u16 {
    const ALL: u16 = 512;
    let depths = log.lines().find_map(|line| line.strip_prefix("stack depth "));
    depths.and_then(|depths| depths.split(['+', ' ']).next()?.parse().ok()).unwrap_or(ALL)
}

/// The last line of a verifier log that says what is wrong.
fn telling_line(log: &str) -> Option<String> {
    const STATISTICS: [&str; 4] = ["processed ", "verification time ", "stack depth ", "max_states"];
    let tells =
        |line: &&str| !line.trim().is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start));
    log.lines().rfind(tells).map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{stack_bytes, telling_line};

    #[test]
    fn the_main_function_s_stack_is_the_first_number() {
        assert_eq!(stack_bytes("verification time 20 usec\nstack depth 64+16\nprocessed 9 insns"), 64);
        assert_eq!(stack_bytes("stack depth 0"), 0);
        assert_eq!(stack_bytes("stack depth 24 max 24\nprocessed 3 insns"), 24);
        assert_eq!(stack_bytes(""), 512);
    }

    #[test]
    fn statistics_are_not_what_a_rejection_is_about() {
        let log =
            "0: R1=ctx()\n1: (61) r0 = *(u32 *)(r2 +0)\nR2 !read_ok\nprocessed 2 insns (limit 1000000)\n\n";
        assert_eq!(telling_line(log).as_deref(), Some("R2 !read_ok"));
        assert_eq!(telling_line("processed 2 insns"), None);
    }
}
