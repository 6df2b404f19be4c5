// SPDX-License-Identifier: Apache-2.0
//! A member of a chain: which program of which verified package, and how it is to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use maps::Faults;
use package::{
    Config, Digest, Enforcement, HookPoint, InterfaceError, Layout, Manifest, Mechanism, MemberName, Object,
    PackageName, ProceedSet, ProgramKind, ProgramName, ProgramSpec, PublisherName, Scope, Upgrade, Version,
};
use thiserror::Error;
use trust::Verified;

use crate::Buffers;
use crate::bound::must_be_bound;
use crate::configuration::{Configuration, Configured, Constant, NotConfigured};
use crate::outside::{BadFill, Fill, Outside};
use crate::shared::{Sharing, digest};

/// A release, by name and by digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageRef {
    /// Who published it.
    pub publisher: PublisherName,
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
    /// The digest of its index.
    pub index: Digest,
}

/// All that distinguishes one way of running a program from another. Two equal specs need one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSpec {
    /// The member's name in its chain.
    pub name: MemberName,
    /// The release it comes from.
    pub package: PackageRef,
    /// The digest of the object it is loaded from.
    pub object: Digest,
    /// The function in that object.
    pub function: ProgramName,
    /// The verdicts after which the chain goes on.
    pub proceed: ProceedSet,
    /// For which packets its verdict counts.
    pub enforcement: Enforcement,
    /// Whether its run time is measured.
    pub timed: bool,
    /// Its place among the members whose packets are sampled, from 0; none while nobody asks for packets.
    pub sampled: Option<u8>,
    /// Which packets it takes; that follows from the whole chain.
    pub buffers: Buffers,
    /// As what it is loaded; that follows from the whole chain as well.
    pub mechanism: Mechanism,
    /// Whether it is loaded for the device of its hook, as it asks the network card about packets.
    #[doc(alias = "BPF_F_XDP_DEV_BOUND_ONLY")]
    pub device_bound: bool,
    /// The constants that differ from the object's defaults.
    pub constants: BTreeMap<String, Constant>,
    /// The maps that hold what a document says, by name: the digest of what that is.
    pub contents: BTreeMap<String, Digest>,
    /// The maps that others use as well, by name: who does, and the digest of what lies where in them.
    pub shares: BTreeMap<String, (Sharing, Digest)>,
    /// What maps hold before it gets packets, by name.
    pub fills: BTreeMap<String, Fill>,
}

/// What somebody asks of a member; what is left out comes from the package.
#[derive(Debug, Clone, Default)]
pub struct MemberWish {
    /// The function; may be left out when the package has one for the hook.
    pub program: Option<ProgramName>,
    /// Names of verdicts after which the chain goes on; the package's, else the hook's, when left out.
    pub proceed: Option<Vec<String>>,
    /// For which packets its verdict counts.
    pub enforcement: Enforcement,
    /// Whether it stays out of its chain for now.
    pub disabled: bool,
    /// The deployment that it is part of.
    pub deployment: Option<Part>,
    /// Values for parameters of the object, and what its maps hold.
    pub config: Config,
    /// What its maps hold before it gets packets, by name.
    pub fills: BTreeMap<String, Fill>,
    /// What surrounds it.
    pub outside: Outside,
}

/// What a deployment says of its members and probes.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its name.
    pub deployment: MemberName,
    /// Values for parameters and maps, of the objects that have them.
    pub config: Config,
}

/// A member that is wanted, with the verified package that provides it.
#[derive(Debug, Clone)]
pub struct Member {
    spec: Arc<MemberSpec>,
    enabled: bool,
    deployment: Option<MemberName>,
    needs: Needs,
    layout: Arc<Layout>,
    verified: Arc<Verified>,
    outside: Arc<Outside>,
    configured: Configured,
}

/// What a member's object shows of what it does at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The most tail calls of its own for one packet; none when they cannot be counted.
    pub tail_calls: Option<usize>,
    /// Whether it, or any program that comes in its object, makes tail calls.
    pub tail_calls_in_object: bool,
    /// Whether it may throw exceptions.
    pub throws: bool,
    /// Which packets it could take.
    pub buffers: Buffers,
    /// Whether its types let it take the place of a function of its hook; else the structure that it would have to take.
    pub extends: Result<(), &'static str>,
}

/// A package cannot do what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    /// The package has no program for the hook.
    #[error("package `{package}` has no program for the hook `{point}`")]
    NoProgram {
        /// The package.
        package: PackageName,
        /// The hook.
        point: HookPoint,
    },
    /// The package has several programs for the hook and none was named.
    #[error("package `{package}` has several programs for the hook `{point}`: {}", list(.programs))]
    Ambiguous {
        /// The package.
        package: PackageName,
        /// The hook.
        point: HookPoint,
        /// The programs to choose from.
        programs: Vec<ProgramName>,
    },
    /// The package has no such program for the hook.
    #[error("package `{package}` has no program `{program}` for the hook `{point}`; it has {}", list(.known))]
    UnknownProgram {
        /// The package.
        package: PackageName,
        /// What was asked for.
        program: ProgramName,
        /// The hook.
        point: HookPoint,
        /// The programs it has for the hook.
        known: Vec<ProgramName>,
    },
    /// A verdict in the proceed set does not exist at this hook.
    #[error("the proceed set of `{member}` cannot be used")]
    Proceed {
        /// The member.
        member: MemberName,
        /// Which verdict, and what is known.
        #[source]
        source: package::UnknownVerdict,
    },
    /// Values do not fit the parameters and maps of the object.
    #[error("`{program}` cannot be configured so: {faults}")]
    Config {
        /// The program.
        program: ProgramName,
        /// All that is wrong.
        faults: Faults,
    },
    /// The object does not say what can be configured.
    #[error("it is not known what can be configured of `{program}`")]
    Interface {
        /// The program.
        program: ProgramName,
        /// Why not.
        #[source]
        source: Box<InterfaceError>,
    },
    /// What a map holds is not for a document to say.
    #[error("the map `{map}` of `{program}` cannot be configured: {why}")]
    NotConfigured {
        /// The program.
        program: ProgramName,
        /// The map.
        map: String,
        /// Why not.
        why: NotConfigured,
    },
    /// A map cannot be filled as it is asked for.
    #[error("a map of `{program}` cannot be filled")]
    Fill {
        /// The program.
        program: ProgramName,
        /// Which map, and why not.
        #[source]
        source: BadFill,
    },
}

pub(crate) fn list<T: ToString>(names: &[T]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{}`", name.to_string())).collect::<Vec<_>>().join(", ")
}

impl PackageRef {
    /// The release that was verified.
    pub(crate) fn of(verified: &Verified) -> Self {
        let info = &verified.package().manifest.package;
        Self {
            publisher: info.publisher.clone(),
            name: info.name.clone(),
            version: info.version.clone(),
            index: verified.package().index,
        }
    }
}

impl Member {
    /// Settles what a wish leaves open from the package's manifest and object.
    ///
    /// # Errors
    /// When the package has no such program, verdict or parameter, or a value does not fit.
    pub fn new(
        name: MemberName,
        point: HookPoint,
        verified: &Arc<Verified>,
        wish: MemberWish,
    ) -> Result<Self, Unfit> {
        let manifest = &verified.package().manifest;
        let program = choose(manifest, point, wish.program.as_ref())?;
        let proceed = match &wish.proceed {
            Some(names) => ProceedSet::parse(point, names)
                .map_err(|source| Unfit::Proceed { member: name.clone(), source })?,
            None => program.proceed.clone().unwrap_or_else(|| ProceedSet::default_for(point)),
        };
        let object = verified.platform().object(program);
        let read = Object::parse(object).expect("a package that was read has objects that parse");
        let part = wish.deployment.as_ref();
        let Configuration { constants, maps: configured } =
            Configuration::settle(manifest, (program, object), wish.config, part)?;
        check_fills(program, &read, &wish.fills)?;
        let needs = Needs::of(point, program, &read);
        let spec = MemberSpec {
            name,
            package: PackageRef::of(verified),
            object: Digest::of(object),
            function: program.function.clone(),
            proceed,
            enforcement: wish.enforcement,
            timed: false,
            sampled: None,
            buffers: Buffers::One,
            mechanism: Mechanism::Splice,
            device_bound: must_be_bound(point, &read),
            constants,
            contents: configured.digests(),
            shares: shares((manifest, &program.object), &read.layout, part, &configured),
            fills: wish.fills,
        };
        let (enabled, verified) = (!wish.disabled, Arc::clone(verified));
        let deployment = wish.deployment.map(|part| part.deployment);
        let (spec, layout) = (Arc::new(spec), Arc::new(read.layout));
        let outside = Arc::new(wish.outside);
        Ok(Self { spec, enabled, deployment, needs, layout, verified, outside, configured })
    }

    /// What it runs and how.
    pub fn spec(&self) -> &MemberSpec {
        &self.spec
    }

    /// Whether it is in its chain. One that is not keeps its maps.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// What it needs of its chain.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// The deployment that it is part of.
    pub fn deployment(&self) -> Option<&MemberName> {
        self.deployment.as_ref()
    }

    /// What surrounds it.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// What its maps hold as a document says.
    pub fn configured(&self) -> &Configured {
        &self.configured
    }

    /// What lies where in its maps.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether a map begins empty where its layout is not that of the release before.
    pub fn begins_fresh(&self, map: &str) -> bool {
        let spec = self.verified.package().manifest.maps.get(map);
        spec.is_some_and(|spec| spec.upgrade == Upgrade::Fresh)
    }

    /// Lets its run time be measured.
    pub(crate) fn time(&mut self) {
        Arc::make_mut(&mut self.spec).timed = true;
    }

    /// Lets its verdicts be told, as those of the member at this place.
    pub(crate) fn sample(&mut self, place: u8) {
        Arc::make_mut(&mut self.spec).sampled = Some(place);
    }

    /// The package it comes from.
    pub fn verified(&self) -> &Arc<Verified> {
        &self.verified
    }

    /// The bytes of its object, as verified.
    pub fn object(&self) -> &[u8] {
        object(&self.verified, &self.spec.function)
    }
}

/// The bytes of the object that has a function of a package.
pub(crate) fn object<'a>(verified: &'a Verified, function: &ProgramName) -> &'a [u8] {
    let program = verified.package().manifest.program(function);
    verified.platform().object(program.expect("a member is made of a program of its package"))
}

impl Needs {
    /// A tail call that succeeds does not come back, so a program makes no more than are written in it, unless those it
    /// leads to make some as well.
    fn of(point: HookPoint, program: &ProgramSpec, object: &Object) -> Self {
        let written: u32 = object.programs.iter().map(|found| found.tail_calls).sum();
        let own = object.program(&program.function).map_or(0, |found| found.tail_calls);
        let counted = match program.tail_calls {
            Some(claimed) => Some(claimed.max(own)),
            None if own + object.tail_calls_in_functions == 0 => Some(0),
            None if written > own => None,
            None => Some(own + object.tail_calls_in_functions),
        };
        let found = object.program(&program.function);
        let section = found.map_or("", |found| found.section.as_str());
        let context = if point == HookPoint::Xdp { "xdp_md" } else { "__sk_buff" };
        let argument = found.and_then(|found| found.argument.as_deref());
        let extends = if argument == Some(context) { Ok(()) } else { Err(context) };
        let buffers = if section.starts_with("xdp.frags") { Buffers::Many } else { Buffers::One };
        let tail_calls = counted.and_then(|count| usize::try_from(count).ok());
        let tail_calls_in_object = tail_calls != Some(0) || written + object.tail_calls_in_functions > 0;
        Self { tail_calls, tail_calls_in_object, throws: object.throws(), buffers, extends }
    }
}

/// How a layout begins of a map of programs (`BPF_MAP_TYPE_PROG_ARRAY`).
const PROGRAM_ARRAY: &str = "type: 3";

/// The maps of an object that others use as well.
pub(crate) fn shares(
    (manifest, object): (&Manifest, &str),
    layout: &Layout,
    part: Option<&Part>,
    configured: &Configured,
) -> BTreeMap<String, (Sharing, Digest)> {
    // A program array belongs to one instance.
    let is_bound = |lines: &Vec<String>| lines.first().is_some_and(|line| line == PROGRAM_ARRAY);
    // What a document configures belongs to one instance as well.
    let is_own = |map: &str| configured.has(map);
    let here = layout.0.iter().filter(|(map, lines)| !is_bound(lines) && !is_own(map));
    let shared = here.filter_map(|(map, _)| {
        let scope = manifest.maps.get(map).map_or(Scope::Member, |spec| spec.share);
        let sharing = match scope {
            Scope::Member if map.starts_with('.') => {
                Sharing::Object(part?.deployment.clone(), Digest::of(object.as_bytes()))
            }
            Scope::Member => Sharing::Deployment(part?.deployment.clone()),
            Scope::Package => Sharing::Package,
            Scope::Chain => Sharing::Chain,
            Scope::Node => Sharing::Node,
        };
        Some((map.clone(), (sharing, digest(layout, map))))
    });
    shared.collect()
}

fn choose<'a>(
    manifest: &'a Manifest,
    point: HookPoint,
    wanted: Option<&ProgramName>,
) -> Result<&'a ProgramSpec, Unfit> {
    let package = manifest.package.name.clone();
    let fitting: Vec<&ProgramSpec> = manifest
        .programs
        .iter()
        .filter(|program| program.kinds().contains(&ProgramKind::Chain(point)))
        .collect();
    let names = || fitting.iter().map(|program| program.function.clone()).collect();
    match (wanted, fitting.as_slice()) {
        (None, []) => Err(Unfit::NoProgram { package, point }),
        (None, [only]) => Ok(*only),
        (None, _) => Err(Unfit::Ambiguous { package, point, programs: names() }),
        (Some(wanted), _) => {
            fitting.iter().find(|program| program.function == *wanted).copied().ok_or_else(|| {
                Unfit::UnknownProgram { package, program: wanted.clone(), point, known: names() }
            })
        }
    }
}

/// Whether the maps of an object can be filled so.
pub(crate) fn check_fills(
    program: &ProgramSpec,
    object: &Object,
    fills: &BTreeMap<String, Fill>,
) -> Result<(), Unfit> {
    for (map, fill) in fills {
        let checked = fill.check(map, &object.maps);
        checked.map_err(|source| Unfit::Fill { program: program.function.clone(), source })?;
    }
    Ok(())
}
