// SPDX-License-Identifier: Apache-2.0
//! A probe: one program that is attached at one place, outside of any chain.

mod admit;
mod observed;
mod reconcile;
mod refusal;
mod step;

use std::collections::BTreeMap;
use std::sync::Arc;

use package::{
    AttachOptions, Attachment, BadAttachment, Config, Digest, Layout, Manifest, MemberName, Object,
    PackageName, ProbeKind, ProgramName, ProgramSpec, Upgrade,
};
use thiserror::Error;
use trust::Verified;

use crate::configuration::{Configuration, Configured, Constant};
use crate::member::{Part, check_fills, list, object, shares};
use crate::shared::Sharing;
use crate::{Fill, PackageRef, State, Unfit};

pub use observed::{ObservedProbe, ObservedProbes};
pub(crate) use reconcile::plan;
pub use refusal::ProbeRefusal;
pub use step::ProbeStep;

/// All that distinguishes one way of running a probe from another. Two equal specs need one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    /// The name of the probe.
    pub name: MemberName,
    /// The release it comes from.
    pub package: PackageRef,
    /// The digest of the object it is loaded from.
    pub object: Digest,
    /// The function in that object.
    pub function: ProgramName,
    /// Where it attaches and how.
    pub attach: Attachment,
    /// The constants that differ from the object's defaults.
    pub constants: BTreeMap<String, Constant>,
    /// The maps that hold what a document says, by name: the digest of what that is.
    pub contents: BTreeMap<String, Digest>,
    /// The maps that others use as well, by name: who does, and the digest of what lies where in them.
    pub shares: BTreeMap<String, (Sharing, Digest)>,
    /// What its maps hold before it runs, by name.
    pub fills: BTreeMap<String, Fill>,
}

/// What somebody asks of a probe; what is left out comes from the package.
#[derive(Debug, Clone, Default)]
pub struct ProbeWish {
    /// The function; may be left out when the package has one probe.
    pub program: Option<ProgramName>,
    /// Where it attaches, as far as the package leaves that open.
    pub attach: AttachOptions,
    /// Whether it stays out for now.
    pub disabled: bool,
    /// The deployment that it is part of.
    pub deployment: Option<Part>,
    /// Values for parameters of the object, and what its maps hold.
    pub config: Config,
    /// What its maps hold before it runs, by name.
    pub fills: BTreeMap<String, Fill>,
}

/// A probe that is wanted, with the verified package that provides it.
#[derive(Debug, Clone)]
pub struct Probe {
    spec: Arc<ProbeSpec>,
    enabled: bool,
    deployment: Option<MemberName>,
    layout: Arc<Layout>,
    verified: Arc<Verified>,
    configured: Configured,
}

/// A package has no probe as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnfitProbe {
    /// There is none, or none of that name.
    #[error("package `{package}` has no probe{}; it has {}", named(.program.as_ref()), list(.known))]
    NoProgram {
        /// The package.
        package: PackageName,
        /// What was asked for.
        program: Option<ProgramName>,
        /// The probes that it has.
        known: Vec<ProgramName>,
    },
    /// There are several and none was named.
    #[error("package `{package}` has several probes: {}", list(.programs))]
    Ambiguous {
        /// The package.
        package: PackageName,
        /// The probes to choose from.
        programs: Vec<ProgramName>,
    },
    /// It is not said where it attaches, or something that cannot be.
    #[error("it is not known where `{program}` attaches")]
    Attach {
        /// The program.
        program: ProgramName,
        /// What is missing or wrong.
        #[source]
        source: BadAttachment,
    },
    /// A parameter cannot be set so, or a map cannot hold that.
    #[error(transparent)]
    Config(#[from] Unfit),
}

fn named(program: Option<&ProgramName>) -> String {
    program.map_or_else(String::new, |program| format!(" `{program}`"))
}

impl Probe {
    /// Settles what a wish leaves open from the package's manifest and object.
    ///
    /// # Errors
    /// When the package has no such program or parameter, or it is not said where the probe attaches.
    pub fn new(name: MemberName, verified: &Arc<Verified>, wish: ProbeWish) -> Result<Self, UnfitProbe> {
        let (program, kind) = choose(&verified.package().manifest, wish.program.as_ref())?;
        let object = verified.platform().object(program);
        let read = Object::parse(object).expect("a package that was read has objects that parse");
        let (manifest, part) = (&verified.package().manifest, wish.deployment.as_ref());
        let Configuration { constants, maps: configured } =
            Configuration::settle(manifest, (program, object), wish.config, part)?;
        check_fills(program, &read, &wish.fills)?;
        let section = read.program(&program.function).map_or("", |found| found.section.as_str());
        let attach = Attachment::settle(kind, section, &wish.attach.or(&program.attach))
            .map_err(|source| UnfitProbe::Attach { program: program.function.clone(), source })?;
        let spec = ProbeSpec {
            name,
            package: PackageRef::of(verified),
            object: Digest::of(object),
            function: program.function.clone(),
            attach,
            constants,
            contents: configured.digests(),
            shares: shares((manifest, &program.object), &read.layout, part, &configured),
            fills: wish.fills,
        };
        let (enabled, verified) = (!wish.disabled, Arc::clone(verified));
        let deployment = wish.deployment.map(|part| part.deployment);
        let layout = Arc::new(read.layout);
        Ok(Self { spec: Arc::new(spec), enabled, deployment, layout, verified, configured })
    }

    /// What it runs and how.
    pub fn spec(&self) -> &ProbeSpec {
        &self.spec
    }

    /// Whether it is to be attached. One that is not keeps its maps.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Lets it stay out.
    pub(crate) fn disable(&mut self) {
        self.enabled = false;
    }

    /// The deployment that it is part of.
    pub fn deployment(&self) -> Option<&MemberName> {
        self.deployment.as_ref()
    }

    /// What its maps hold as a document says.
    pub(crate) fn configured(&self) -> &Configured {
        &self.configured
    }

    /// What lies where in its maps.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its maps.
    pub(crate) fn state(&self) -> State {
        State { member: self.spec.name.clone(), object: self.spec.object }
    }

    /// Whether a map begins empty where its layout is not that of the release before.
    pub(crate) fn begins_fresh(&self, map: &str) -> bool {
        let spec = self.verified.package().manifest.maps.get(map);
        spec.is_some_and(|spec| spec.upgrade == Upgrade::Fresh)
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

fn choose<'a>(
    manifest: &'a Manifest,
    wanted: Option<&ProgramName>,
) -> Result<(&'a ProgramSpec, ProbeKind), UnfitProbe> {
    let package = manifest.package.name.clone();
    let probes = manifest.programs.iter().filter_map(|program| Some((program, program.hook.probe()?)));
    let probes: Vec<(&ProgramSpec, ProbeKind)> = probes.collect();
    let names = || probes.iter().map(|(program, _)| program.function.clone()).collect();
    let missing = |package| UnfitProbe::NoProgram { package, program: wanted.cloned(), known: names() };
    match (wanted, probes.as_slice()) {
        (None, [only]) => Ok(*only),
        (None, [_, _, ..]) => Err(UnfitProbe::Ambiguous { package, programs: names() }),
        (None, []) => Err(missing(package)),
        (Some(wanted), all) => {
            let found = all.iter().find(|(program, _)| program.function == *wanted);
            found.copied().ok_or_else(|| missing(package))
        }
    }
}
