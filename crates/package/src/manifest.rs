// SPDX-License-Identifier: Apache-2.0
//! The manifest of a package, `package.toml`.
//!
//! Parsing has two parts: the TOML is read into types that hold only valid values, and then what those values say
//! together is checked. `docs/package.md` describes every key.

use std::collections::{BTreeMap, BTreeSet};

use maps::{FieldNotes, MapNotes, Role};
use semver::Version;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::archive::is_safe_path;
use crate::silence::{Lint, Silence};
use crate::{
    AttachOptions, BadAttachment, Digest, HookPoint, KernelVersion, PackageName, Platform, ProbeKind,
    ProceedSet, ProgramKind, ProgramName, PublisherName, UserProgram,
};

/// How many tables about maps and their parts a manifest has at most.
const MAX_SAID: usize = 1024;

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Name, version and words about it.
    pub package: PackageInfo,
    /// What it needs of a kernel.
    pub kernel: KernelRequirement,
    /// What it was built for, Linux first; never empty.
    pub platforms: Vec<Platform>,
    /// Its programs; never empty, no function twice.
    pub programs: Vec<ProgramSpec>,
    /// What it says of its maps, by name.
    pub maps: BTreeMap<String, MapSpec>,
    /// The program that cooperates with them from user space.
    pub user: Option<UserProgram>,
    /// What building it again takes.
    pub build: Option<Build>,
    /// The rules of `l3af lint` that it breaks on purpose.
    pub silences: Vec<Silence>,
}

/// Name, version and words about a package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageInfo {
    /// Its name.
    pub name: PackageName,
    /// Who publishes it.
    pub publisher: PublisherName,
    /// Its version (Semantic Versioning 2.0).
    pub version: Version,
    /// What it does, in one line.
    pub description: String,
    /// The shelf it stands on.
    pub category: PackageName,
    /// The part of the shelf.
    pub subcategory: PackageName,
    /// Words to find it by; at most ten.
    #[serde(default)]
    pub tags: Vec<PackageName>,
    /// Its licence, as an SPDX expression.
    pub license: String,
    /// The file of the package that documents it.
    pub documentation: String,
    /// Where it lives.
    pub homepage: Option<String>,
    /// Where its source is.
    pub source: Option<String>,
}

/// What a package needs of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelRequirement {
    /// The oldest release that it runs on.
    pub min: KernelVersion,
}

/// One program of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramSpec {
    /// The function in the object.
    pub function: ProgramName,
    /// The object, a file of the package.
    pub object: String,
    /// The C source that the object is built from.
    pub source: Option<String>,
    /// What kind of program it is: a member of chains at a hook, or a probe.
    pub hook: ProgramKind,
    /// Whether it is for both directions of TC, whichever its hook is: images of others do not say which they are for.
    pub both_directions: bool,
    /// The verdicts after which a chain goes on, where the package knows better than the default.
    pub proceed: Option<ProceedSet>,
    /// The most tail calls of its own that the program makes for one packet, where that is more than can be seen.
    pub tail_calls: Option<u32>,
    /// Where a probe attaches; what is not said is left to its section and to whoever runs it.
    pub attach: AttachOptions,
}

impl ProgramSpec {
    /// All kinds that it is: its own, and both directions of TC where it is for both.
    pub fn kinds(&self) -> Vec<ProgramKind> {
        if self.both_directions {
            [HookPoint::TcIngress, HookPoint::TcEgress].map(ProgramKind::Chain).to_vec()
        } else {
            vec![self.hook]
        }
    }
}

/// What a package says of one of its maps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapSpec {
    /// The name of the map, or of the section of global variables, such as `.bss`.
    pub name: String,
    /// What becomes of it when a release comes in whose layout is another.
    #[serde(default)]
    pub upgrade: Upgrade,
    /// Who else uses it.
    #[serde(default)]
    pub share: Scope,
    /// What it is for.
    pub role: Option<Role>,
    /// What it is for, in words.
    pub description: Option<String>,
    /// What its keys are, where the object does not say it.
    pub key_type: Option<String>,
    /// What its values are, where the object does not say it.
    pub value_type: Option<String>,
    /// What events it hands over, which no object says.
    pub event: Option<String>,
    /// What is said of parts of it.
    #[serde(default)]
    pub field: Vec<FieldNotes>,
}

impl MapSpec {
    /// What it says of the map interface; none where it says nothing.
    pub fn notes(&self) -> Option<MapNotes> {
        let blank = MapNotes { name: self.name.clone(), ..MapNotes::default() };
        let notes = MapNotes {
            role: self.role,
            description: self.description.clone(),
            key_type: self.key_type.clone(),
            value_type: self.value_type.clone(),
            event: self.event.clone(),
            field: self.field.clone(),
            ..blank.clone()
        };
        (notes != blank).then_some(notes)
    }
}

/// Who uses the same map. Those who do must agree in what lies where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One member, with all its instances.
    #[default]
    Member,
    /// All programs of the package on the node.
    Package,
    /// All members of a chain whose packages say so.
    Chain,
    /// All programs on the node whose packages say so.
    Node,
}

/// What becomes of a map when a release comes in that lays it out in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upgrade {
    /// The upgrade is refused: what the map holds is worth more.
    #[default]
    Keep,
    /// The new release begins with an empty map.
    Fresh,
}

/// What building a package again takes to get the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The major version of clang.
    pub clang: u32,
    /// The headers from outside of the package, by path from its folder, with their digests.
    #[serde(default)]
    pub headers: BTreeMap<String, Digest>,
}

/// A manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// A key is missing, unknown, or has a value of the wrong kind.
    #[error("`package.toml` is not a manifest: {problem}")]
    Toml {
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A value is empty that must say something.
    #[error("`{key}` in `package.toml` is empty")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// There are more tags than ten.
    #[error("`tags` in `package.toml` has {count} entries, more than 10")]
    TooManyTags {
        /// How many.
        count: usize,
    },
    /// More is said of maps than anybody reads.
    #[error("`package.toml` has {count} tables about maps, more than {MAX_SAID}")]
    TooMuchSaid {
        /// How many.
        count: usize,
    },
    /// The licence is not an SPDX expression.
    #[error("`license` in `package.toml`, `{given}`, is not an SPDX licence expression: {reason}")]
    License {
        /// What was given.
        given: String,
        /// Which part is unknown.
        reason: String,
    },
    /// A path leads out of the package.
    #[error("`{key}` in `package.toml`, `{path}`, is not the path of a file in the package")]
    Path {
        /// The key.
        key: &'static str,
        /// The path.
        path: String,
    },
    /// There is no program.
    #[error("`package.toml` has no `[[program]]`")]
    NoProgram,
    /// Two programs have one function.
    #[error("`package.toml` has two programs with the function `{function}`")]
    DuplicateProgram {
        /// The function.
        function: ProgramName,
    },
    /// Two entries are about one map.
    #[error("`package.toml` has two `[[map]]` for `{name}`")]
    DuplicateMap {
        /// The map.
        name: String,
    },
    /// There is no platform.
    #[error("`package.toml` has no `[[platform]]`")]
    NoPlatform,
    /// A platform appears twice.
    #[error("`package.toml` names the platform `{platform}` twice")]
    DuplicatePlatform {
        /// The platform.
        platform: Platform,
    },
    /// A key is for members of chains, and the program is a probe.
    #[error(
        "`{key}` of the program `{function}` in `package.toml` is for members of chains; it is a `{kind}`"
    )]
    Probe {
        /// The program.
        function: ProgramName,
        /// Its kind.
        kind: ProbeKind,
        /// The key.
        key: &'static str,
    },
    /// The program is a member of chains, and says where it attaches.
    #[error(
        "`attach` of the program `{function}` in `package.toml` is for probes; it is for the hook `{hook}`"
    )]
    Member {
        /// The program.
        function: ProgramName,
        /// Its hook.
        hook: ProgramKind,
    },
    /// An option does not fit the kind of probe.
    #[error("`attach` of the program `{function}` in `package.toml`: {bad}")]
    Attach {
        /// The program.
        function: ProgramName,
        /// What does not fit.
        bad: BadAttachment,
    },
    /// A verdict in a proceed set does not exist.
    #[error("`proceed` of the program `{function}` in `package.toml`: {unknown}")]
    Proceed {
        /// The program.
        function: ProgramName,
        /// Which verdict, and what is known.
        unknown: crate::UnknownVerdict,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    package: PackageInfo,
    kernel: KernelRequirement,
    #[serde(default)]
    platform: Vec<Platform>,
    #[serde(default)]
    program: Vec<WrittenProgram>,
    #[serde(default)]
    map: Vec<MapSpec>,
    user: Option<UserProgram>,
    build: Option<Build>,
    #[serde(default)]
    lint: Lint,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProgram {
    function: ProgramName,
    object: String,
    source: Option<String>,
    hook: ProgramKind,
    proceed: Option<Vec<String>>,
    tail_calls: Option<u32>,
    #[serde(default)]
    attach: AttachOptions,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// When it is not TOML, lacks a key or has one too many, or says something that cannot be.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let written: Written =
            toml::from_str(text).map_err(|error| ManifestError::Toml { problem: error.to_string() })?;
        check_info(&written.package)?;
        let mut platforms = written.platform;
        platforms.sort();
        let programs = written.program.into_iter().map(program).collect::<Result<Vec<_>, _>>()?;
        check_platforms(&platforms)?;
        check_programs(&programs)?;
        if let Some(user) = &written.user {
            check_path("user.command", &user.command)?;
        }
        let Written { package, kernel, user, build, lint, .. } = written;
        let (maps, silences) = (maps(written.map)?, lint.allow);
        if silences.iter().any(|silence| silence.why.trim().is_empty()) {
            return Err(ManifestError::Empty { key: "lint.allow.why" });
        }
        Ok(Self { package, kernel, platforms, programs, maps, user, build, silences })
    }

    /// The program with this function.
    pub fn program(&self, function: &ProgramName) -> Option<&ProgramSpec> {
        self.programs.iter().find(|program| program.function == *function)
    }

    /// The paths of its objects, each once.
    pub fn objects(&self) -> BTreeSet<&str> {
        self.programs.iter().map(|program| program.object.as_str()).collect()
    }
}

fn program(written: WrittenProgram) -> Result<ProgramSpec, ManifestError> {
    check_path("program.object", &written.object)?;
    if let Some(source) = &written.source {
        check_path("program.source", source)?;
    }
    let proceed = match written.hook {
        ProgramKind::Probe(kind) => {
            check_probe(kind, &written)?;
            None
        }
        ProgramKind::Chain(_) if !written.attach.is_empty() => {
            return Err(ManifestError::Member { function: written.function, hook: written.hook });
        }
        ProgramKind::Chain(hook) => {
            let proceed = written.proceed.map(|names| ProceedSet::parse(hook, &names)).transpose();
            let function = written.function.clone();
            proceed.map_err(|unknown| ManifestError::Proceed { function, unknown })?
        }
    };
    let WrittenProgram { function, object, source, hook, tail_calls, attach, .. } = written;
    let both_directions = false;
    Ok(ProgramSpec { function, object, source, hook, both_directions, proceed, tail_calls, attach })
}

/// A probe is in no chain, and says nothing that only chains ask for.
fn check_probe(kind: ProbeKind, written: &WrittenProgram) -> Result<(), ManifestError> {
    let function = || written.function.clone();
    let keys = [("proceed", written.proceed.is_some()), ("tail_calls", written.tail_calls.is_some())];
    if let Some((key, _)) = keys.into_iter().find(|(_, given)| *given) {
        return Err(ManifestError::Probe { function: function(), kind, key });
    }
    written.attach.check(kind).map_err(|bad| ManifestError::Attach { function: function(), bad })
}

fn maps(written: Vec<MapSpec>) -> Result<BTreeMap<String, MapSpec>, ManifestError> {
    let said = written.iter().map(|map| 1 + map.field.len()).sum();
    if said > MAX_SAID {
        return Err(ManifestError::TooMuchSaid { count: said });
    }
    let mut maps = BTreeMap::new();
    for map in written {
        if let Some(twice) = maps.insert(map.name.clone(), map) {
            return Err(ManifestError::DuplicateMap { name: twice.name });
        }
    }
    Ok(maps)
}

fn check_info(info: &PackageInfo) -> Result<(), ManifestError> {
    if info.description.trim().is_empty() {
        return Err(ManifestError::Empty { key: "package.description" });
    }
    if info.tags.len() > 10 {
        return Err(ManifestError::TooManyTags { count: info.tags.len() });
    }
    check_path("package.documentation", &info.documentation)?;
    match spdx::Expression::parse(&info.license) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(ManifestError::License { given: info.license.clone(), reason: error.reason.to_string() })
        }
    }
}

fn check_path(key: &'static str, path: &str) -> Result<(), ManifestError> {
    if is_safe_path(path) { Ok(()) } else { Err(ManifestError::Path { key, path: path.to_owned() }) }
}

fn check_platforms(platforms: &[Platform]) -> Result<(), ManifestError> {
    if platforms.is_empty() {
        return Err(ManifestError::NoPlatform);
    }
    match platforms.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ManifestError::DuplicatePlatform { platform: pair[0].clone() }),
        None => Ok(()),
    }
}

fn check_programs(programs: &[ProgramSpec]) -> Result<(), ManifestError> {
    if programs.is_empty() {
        return Err(ManifestError::NoProgram);
    }
    let mut functions = BTreeSet::new();
    match programs.iter().find(|program| !functions.insert(&program.function)) {
        Some(twice) => Err(ManifestError::DuplicateProgram { function: twice.function.clone() }),
        None => Ok(()),
    }
}
