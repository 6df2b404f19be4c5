// SPDX-License-Identifier: Apache-2.0
//! Loading one member: first as its author wrote it, then with the splice.
//!
//! The first load gives a clean message when the verifier rejects the program itself, tells how much stack it uses,
//! and makes its maps. The second loads what will run. Both go through libbpf, which keeps doing licences, BTF,
//! CO-RE and map relocation.

mod extension;

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use libbpf_rs::{MapCore as _, MapHandle, MapType, Object as Loaded, ObjectBuilder, OpenObject};
use package::{Digest, Enforcement, HookPoint, Object, ProceedSet, ProgramName};
use plan::{Buffers, Code, CodeDigest, ReadOnlyData};

pub(super) use self::extension::Place;
use super::blank::Blank;
use super::known::{Known, Lesson};
use super::maps::plain;
use super::state::{OBJECT_NAME, Source};
use super::template::Template;
use super::{Spelling, code, exclusive, log, root, sys};
use crate::insn::Insn;
use crate::splice::{Counters, Sampled, Splice, Unspliceable, Way, splice, ways};
use crate::{Cause, Functions, Refused, effect};

/// A program that is to be loaded as a member of a chain.
pub(super) struct Loading<'a> {
    pub(super) point: HookPoint,
    pub(super) buffers: Buffers,
    /// The interface that it is loaded for, in the network namespace of this thread; none for any.
    pub(super) device: Option<u32>,
    pub(super) source: Source<'a>,
}

/// What it becomes a member of.
#[derive(Clone)]
pub(super) struct Splicing<'a> {
    pub(super) proceed: &'a ProceedSet,
    pub(super) enforcement: Enforcement,
    pub(super) timed: bool,
    pub(super) next: BorrowedFd<'a>,
    pub(super) counters: Option<Counting<'a>>,
    pub(super) sampled: Option<Sampling<'a>>,
}

/// The maps for counting.
#[derive(Clone, Copy)]
pub(super) struct Counting<'a> {
    pub(super) cells: BorrowedFd<'a>,
    pub(super) keys: BorrowedFd<'a>,
}

/// Where verdicts are told while packets are sampled.
#[derive(Clone, Copy)]
pub(super) struct Sampling<'a> {
    pub(super) notes: BorrowedFd<'a>,
    pub(super) sampler: BorrowedFd<'a>,
    /// Which member it is, from 0.
    pub(super) number: u8,
}

/// A member that is loaded and leads nowhere yet.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) program: OwnedFd,
    /// The program arrays of its own, with their names.
    pub(super) arrays: Vec<(String, MapHandle)>,
    /// What its instructions are, as the kernel confirmed.
    pub(super) code: Code,
}

/// What the first load taught.
pub(super) struct Untouched {
    pub(super) loaded: Loaded,
    pub(super) insns: Vec<Insn>,
    pub(super) stack_bytes: u16,
    code: CodeDigest,
}

/// An attempt to load that the verifier ended.
pub(super) struct Rejected {
    log: String,
    source: Cause,
}

/// An object that was loaded, with what is kept of its program.
pub(super) struct Done {
    pub(super) loaded: Loaded,
    log: String,
    relocated: Option<sys::Relocated>,
    /// Its maps as they were before they were configured.
    maps: Vec<Blank>,
}

impl Ready {
    fn of(loaded: &Loaded, function: &ProgramName, untouched: Option<CodeDigest>) -> io::Result<Self> {
        let program = loaded.progs().find(|program| program.name() == function.as_ref());
        let program = program.ok_or_else(|| io::Error::other("the object lost its program while loading"))?;
        let arrays = loaded.maps().filter(|map| map.map_type() == MapType::ProgArray);
        let arrays = arrays.map(|map| {
            let name = map.name().to_string_lossy().into_owned();
            MapHandle::try_from(&map).map(|array| (name, array)).map_err(plain)
        });
        let arrays = arrays.collect::<io::Result<_>>()?;
        let otherwise = if untouched.is_some() { ReadOnlyData::Spliced } else { ReadOnlyData::Several };
        let read_only_data = exclusive::of_loaded(loaded, otherwise);
        let code = Code { digest: code::attest_loaded(loaded, &program)?, untouched, read_only_data };
        Ok(Self { program: program.as_fd().try_clone_to_owned()?, arrays, code })
    }
}

/// Opens an object, with the configuration of the kernel where libbpf does not find it.
pub(super) fn open_object(object: &[u8]) -> io::Result<OpenObject> {
    let mut builder = ObjectBuilder::default();
    if let Some(text) = kernel_configuration() {
        sys::set_kernel_configuration(&builder, text);
    }
    // libbpf tells a refusal by its number, and its reasons beside it.
    let told = |error| sys::take_warning().map_or_else(|| plain(error), io::Error::other);
    builder.name(OBJECT_NAME).and_then(|named| named.open_memory(object)).map_err(told)
}

impl Splicing<'_> {
    /// What the splice needs to know.
    pub(super) fn how(&self, point: HookPoint, buffers: Buffers, way: Way) -> Splice<'_> {
        Splice {
            point,
            proceed: self.proceed,
            enforcement: self.enforcement,
            next: self.next.as_raw_fd(),
            counters: self.counters.map(|Counting { cells, keys }| Counters {
                cells: cells.as_raw_fd(),
                keys: keys.as_raw_fd(),
            }),
            timed: self.timed,
            sampled: self.sampled.map(|Sampling { notes, sampler, number }| Sampled {
                notes: notes.as_raw_fd(),
                sampler: sampler.as_raw_fd(),
                number,
            }),
            fragments: buffers == Buffers::Many,
            way,
        }
    }
}

impl Loading<'_> {
    /// Loads the program so that it goes on with what its slot holds, in the first way that the verifier accepts.
    pub(super) fn load(&self, splicing: &Splicing<'_>) -> Result<Ready, Refused> {
        let (_, untouched, done) = self.learn(splicing)?;
        self.ready(&done, Some(untouched))
    }

    /// The same, in the way that worked before where there is one: then the program is not loaded untouched first, and
    /// where enough is known of it, libbpf is not asked.
    pub(super) fn load_as_known(
        &self,
        splicing: &Splicing<'_>,
        object: Digest,
        known: &mut Known,
    ) -> Result<Ready, Refused> {
        // What needs other ways, or a look at what the program does, begins untouched.
        if splicing.timed || splicing.enforcement != Enforcement::Enforce {
            return self.load(splicing);
        }
        let key = (object, self.source.function.clone(), self.point, self.buffers);
        if let Some(Lesson { way, template, code }) = known.recall(&key) {
            // Whatever is wrong with a short way, the long one tells.
            if let Some(Ok(ready)) = template.map(|template| template.load(self, way, splicing, code.clone()))
            {
                return Ok(ready);
            }
            if let Ok(done) = self.load_spliced(way, splicing)? {
                self.source.pin_state(&done.loaded).map_err(|error| self.action("pin the maps of", error))?;
                return self.ready(&done, Some(code));
            }
        }
        let (way, code, done) = self.learn(splicing)?;
        let ready = self.ready(&done, Some(code.clone()))?;
        let Done { loaded, relocated, maps, .. } = done;
        let template =
            relocated.and_then(|relocated| Template::of(self.source.object, &loaded, relocated, maps));
        known.learn(key, Lesson { way, template: template.map(Arc::new), code });
        Ok(ready)
    }

    /// Loads the program untouched, then spliced.
    pub(super) fn learn(&self, splicing: &Splicing<'_>) -> Result<(Way, CodeDigest, Done), Refused> {
        let untouched = self.load_untouched()?;
        self.check_effects(&untouched.insns, splicing.enforcement)?;
        let mut last = Rejected { log: String::new(), source: "there is no way to splice it".into() };
        for way in ways(&untouched.insns, untouched.stack_bytes, splicing.timed) {
            match self.load_spliced(way, splicing)? {
                Ok(done) => return Ok((way, untouched.code, done)),
                Err(rejected) => last = rejected,
            }
        }
        Err(self.refuse(last))
    }

    /// What was loaded, if the kernel holds what was handed to it.
    pub(super) fn ready(&self, done: &Done, untouched: Option<CodeDigest>) -> Result<Ready, Refused> {
        self.check(&done.loaded, untouched)
    }

    fn check(&self, loaded: &Loaded, untouched: Option<CodeDigest>) -> Result<Ready, Refused> {
        Ready::of(loaded, self.source.function, untouched).map_err(|error| self.action("check", error))
    }

    /// Says why a splice was rejected.
    pub(super) fn refuse(&self, rejected: Rejected) -> Refused {
        let line = log::telling_line(&rejected.log).unwrap_or_else(|| rejected.source.to_string());
        Refused::Splice { function: self.source.function.to_string(), line, log: rejected.log }
    }

    /// Loads the program as its author wrote it.
    pub(super) fn load_untouched(&self) -> Result<Untouched, Refused> {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let insns = Rc::clone(&seen);
        let look = Box::new(move |found: &[Insn]| {
            *insns.borrow_mut() = found.to_vec();
            None
        });
        match self.attempt(log::STATISTICS, look, exclusive::claim)? {
            Ok(Done { loaded, log, .. }) => {
                self.source.pin_state(&loaded).map_err(|error| self.action("pin the maps of", error))?;
                let code = self.check(&loaded, None)?.code.digest;
                Ok(Untouched { loaded, insns: seen.take(), stack_bytes: log::stack_bytes(&log), code })
            }
            Err(_) => Err(self.rejection()?),
        }
    }

    /// Loads once more, for the whole story.
    fn rejection(&self) -> Result<Refused, Refused> {
        let Err(rejected) = self.attempt(0, Box::new(|_| None), exclusive::claim)? else {
            return Err(self.action("load", "the verifier rejected it once and accepted it the next time"));
        };
        let Some(line) = log::telling_line(&rejected.log) else {
            return Err(self.action("load", rejected.source));
        };
        Ok(Refused::Verifier { function: self.source.function.to_string(), line, log: rejected.log })
    }

    /// A verdict can be overruled; a change to the packet cannot be taken back.
    fn check_effects(&self, insns: &[Insn], enforcement: Enforcement) -> Result<(), Refused> {
        let effect = match enforcement {
            Enforcement::Enforce => None,
            Enforcement::Shadow | Enforcement::Canary(_) => {
                let object = Object::parse(self.source.object);
                let functions = object.map_or(Functions::Unknown, |object| Functions::of(&object));
                effect(insns, self.point == HookPoint::Xdp, functions)
            }
        };
        match effect {
            None => Ok(()),
            Some(effect) => {
                Err(Refused::Effect { function: self.source.function.to_string(), enforcement, effect })
            }
        }
    }

    /// Loads the program spliced in one way.
    pub(super) fn load_spliced(
        &self,
        way: Way,
        splicing: &Splicing<'_>,
    ) -> Result<Result<Done, Rejected>, Refused> {
        let Splice { point, enforcement, next, counters, timed, sampled, fragments, way, .. } =
            splicing.how(self.point, self.buffers, way);
        let proceed = splicing.proceed.clone();
        let outcome: Rc<RefCell<Option<Result<(), Unspliceable>>>> = Rc::default();
        let told = Rc::clone(&outcome);
        let rewrite = Box::new(move |insns: &[Insn]| {
            let proceed = &proceed;
            let how = Splice { point, proceed, enforcement, next, counters, timed, sampled, fragments, way };
            let spliced = splice(insns, &how);
            *told.borrow_mut() = Some(spliced.as_ref().map(drop).map_err(Clone::clone));
            spliced.ok()
        });
        // libbpf would make its maps for the program that it was before the splice, and the kernel refuse the one that it is.
        let attempt = self.attempt(0, rewrite, |_| Ok(()))?;
        match outcome.take() {
            Some(Ok(())) => Ok(attempt),
            Some(Err(unspliceable)) => Ok(Err(Rejected { log: String::new(), source: unspliceable.into() })),
            // A member that was not spliced would end its chain without a word.
            None => Err(self.action("splice", "its section is one of another kind of program than its hook")),
        }
    }

    /// Opens the object anew, prepares it, and loads its one program, whose instructions go through `rewrite`.
    fn attempt(
        &self,
        log_level: u32,
        rewrite: sys::Rewrite,
        prepare: fn(&OpenObject) -> io::Result<()>,
    ) -> Result<Result<Done, Rejected>, Refused> {
        let ((result, relocated, maps), log) = log::with(|log| {
            let (open, maps) = self.open(log_level, log).map_err(|error| self.action("open", error))?;
            prepare(&open).map_err(|error| self.action("prepare", error))?;
            let target = self.target(&open).map_err(|error| self.action("describe", error))?;
            let (result, relocated) = sys::rewriting(target, rewrite, || open.load());
            Ok((result, relocated, maps))
        })?;
        let warning = sys::take_warning();
        Ok(match result {
            Ok(loaded) => Ok(Done { loaded, log, relocated, maps }),
            Err(error) => Err(Rejected { log, source: warning.map_or_else(|| error.into(), Cause::from) }),
        })
    }

    fn open(&self, log_level: u32, log: &mut [u8]) -> io::Result<(OpenObject, Vec<Blank>)> {
        let mut object = open_object(self.source.object)?;
        let spelling = Spelling::of(self.point);
        // Programs that the member's own tail calls lead to are loaded with it.
        let has_slots = object.maps().any(|map| map.map_type() == MapType::ProgArray);
        for mut program in object.progs_mut() {
            let wanted = program.name() == self.source.function.as_ref();
            let reached = has_slots && program.prog_type() == spelling.kind.into();
            program.set_autoload(wanted || reached);
            if wanted || reached {
                program.set_prog_type(spelling.kind.into());
                program.set_attach_type(spelling.load.into());
                program.set_flags(root::flags(self.buffers));
            }
            if wanted && let Some(device) = self.device {
                program.set_flags(root::flags(self.buffers) | root::DEVICE_BOUND);
                program.set_ifindex(device);
            }
            if wanted {
                program.set_log_level(log_level);
                sys::log_to(&program, log)?;
            }
        }
        let maps = object.maps().map(|map| Blank::of(&map)).collect();
        for mut map in object.maps_mut() {
            sys::forget_pin_path(&map)?;
            self.source.prepare_map(&mut map)?;
        }
        Ok((object, maps))
    }

    fn target(&self, object: &OpenObject) -> io::Result<sys::Target> {
        let context = Spelling::of(self.point).context;
        let original = sys::add_original_to(object, context)?;
        let function = CString::new(self.source.function.as_ref()).map_err(io::Error::other)?;
        Ok(sys::Target { function, context, original })
    }

    fn action(&self, verb: &str, source: impl Into<Cause>) -> Refused {
        Refused::action(
            format!("{verb} `{}` of package `{}`", self.source.function, self.source.package),
            source,
        )
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
