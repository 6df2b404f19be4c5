// SPDX-License-Identifier: Apache-2.0
//! What a document configures of a program: constants of its object, and maps that hold what the document says and nothing else.
//!
//! Both belong to one instance. So all of it changes at once, together with the chain, and what was configured before is there as
//! long as packets may meet it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use maps::{Contents, Fault, FaultKind, Faults, Interface, Type};
use package::{Config, Digest, Manifest, Object, ProgramName, ProgramSpec, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Unfit;
use crate::member::{Part, list};

/// The value of a constant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constant {
    /// The value, as its type is read.
    pub value: Value,
    /// Where it lies among the constants of its object, in bytes.
    pub offset: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Constant {
    /// Writes what is configured into the constants of an object, by name.
    ///
    /// # Errors
    /// The name of the first that lies outside of them.
    pub fn write_all<'n>(constants: &'n BTreeMap<String, Self>, into: &mut [u8]) -> Result<(), &'n str> {
        for (name, Self { offset, bytes, .. }) in constants {
            let room = offset.checked_add(bytes.len()).and_then(|end| into.get_mut(*offset..end));
            room.ok_or(name.as_str())?.copy_from_slice(bytes);
        }
        Ok(())
    }
}

/// What is configured of a program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// Constants that differ from what the object has, by name.
    pub constants: BTreeMap<String, Constant>,
    /// Maps and what they hold.
    pub maps: Configured,
}

/// Maps that hold what a document says, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configured(BTreeMap<String, (Digest, Arc<Contents>)>);

/// Why a map is not for a document to configure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotConfigured {
    /// Others use it.
    Shared,
    /// It does not hold values by keys.
    Kind(maps::MapKind),
    /// It holds global variables, which programs write while they run.
    Variables,
}

impl fmt::Display for NotConfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared => f.write_str(
                "its package shares it, so that no one of those who use it says what it holds; `l3af set` writes entries",
            ),
            Self::Kind(kind) => write!(f, "one of the kind `{kind}` has no entries that could be listed"),
            Self::Variables => f.write_str("it holds global variables, which the program writes while it runs"),
        }
    }
}

impl Configured {
    /// Whether a map is among them.
    pub fn has(&self, map: &str) -> bool {
        self.0.contains_key(map)
    }

    /// The digests of what they hold.
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        self.0.iter().map(|(name, (digest, _))| (name.clone(), *digest)).collect()
    }

    /// The maps, by name, and what they hold.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Contents)> {
        self.0.iter().map(|(name, (_, contents))| (name.as_str(), contents.as_ref()))
    }

    /// What the one holds that has a digest.
    pub(crate) fn contents(&self, digest: &Digest) -> Option<&Contents> {
        self.0.values().find(|(found, _)| found == digest).map(|(_, contents)| contents.as_ref())
    }

    fn put(&mut self, name: &str, contents: Contents) {
        let digest = Digest::of(&contents.canonical());
        self.0.insert(name.to_owned(), (digest, Arc::new(contents)));
    }
}

impl Configuration {
    /// Settles what a document says of a program and of the deployment that it is part of.
    ///
    /// # Errors
    /// When the object has no such parameter or map, or a value does not fit, with all that is wrong.
    pub fn settle(
        manifest: &Manifest,
        (program, object): (&ProgramSpec, &[u8]),
        own: Config,
        part: Option<&Part>,
    ) -> Result<Self, Unfit> {
        let common = part.into_iter().flat_map(|part| &part.config);
        if own.is_empty() && common.clone().next().is_none() {
            return Ok(Self::default());
        }
        let interface = manifest.interface(&program.object, object).map_err(|source| Unfit::Interface {
            program: program.function.clone(),
            source: Box::new(source),
        })?;
        let is_known = |name: &str| {
            interface.parameter(name).is_some()
                || interface.map(name).is_some_and(|map| map.variables.is_none())
        };
        // What a deployment says is for those of its programs that have it.
        let common = common.filter(|(name, _)| is_known(name));
        let mut wanted: Config = common.map(|(name, value)| (name.clone(), value.clone())).collect();
        wanted.extend(own);
        let endian = Object::parse(object).expect("a package that was read has objects that parse").endian;
        let settling = Settling { manifest, function: &program.function, interface: &interface, endian };
        settling.settle(&wanted)
    }
}

/// A program that is being configured.
struct Settling<'a> {
    manifest: &'a Manifest,
    function: &'a ProgramName,
    interface: &'a Interface,
    endian: maps::Endian,
}

impl Settling<'_> {
    fn settle(&self, wanted: &Config) -> Result<Configuration, Unfit> {
        let (mut settled, mut faults) = (Configuration::default(), None);
        let mut note = |name: &str, wrong: Faults| {
            let wrong = wrong.under(name);
            faults = Some(faults.take().map_or(wrong.clone(), |before: Faults| before.and(wrong)));
        };
        for (name, value) in wanted {
            if let Some((offset, is)) = self.interface.parameter(name) {
                match self.constant(is, offset, value) {
                    Ok(constant) => drop(settled.constants.insert(name.clone(), constant)),
                    Err(wrong) => note(name, wrong),
                }
            } else if let Some(map) = self.interface.map(name) {
                self.may_be_configured(map)?;
                match map.contents(value, self.endian) {
                    Ok(contents) => settled.maps.put(name, contents),
                    Err(wrong) => note(name, wrong),
                }
            } else {
                note(name, self.unknown(value));
            }
        }
        match faults {
            None => Ok(settled),
            Some(faults) => Err(Unfit::Config { program: self.function.clone(), faults }),
        }
    }

    fn constant(&self, is: &Type, offset: usize, value: &Value) -> Result<Constant, Faults> {
        let bytes = is.encode(value, self.endian)?;
        let read = is.view(&bytes, self.endian).expect("a type writes as many bytes as it has");
        let value = serde_json::to_value(read).expect("a value that was written can be read");
        Ok(Constant { value, offset, bytes })
    }

    fn may_be_configured(&self, map: &maps::Map) -> Result<(), Unfit> {
        let scope = self.manifest.maps.get(&map.name).map_or(Scope::Member, |spec| spec.share);
        let why = if map.variables.is_some() {
            NotConfigured::Variables
        } else if scope != Scope::Member {
            NotConfigured::Shared
        } else if !map.can_be_filled() {
            NotConfigured::Kind(map.kind)
        } else {
            return Ok(());
        };
        Err(Unfit::NotConfigured { program: self.function.clone(), map: map.name.clone(), why })
    }

    fn unknown(&self, value: &Value) -> Faults {
        let parameters: Vec<&str> = self.interface.parameters().map(|(name, ..)| name).collect();
        let maps = self.interface.maps.iter().filter(|map| map.can_be_filled());
        let maps: Vec<&String> = maps.map(|map| &map.name).collect();
        let expected = format!("a parameter ({}) or a map ({})", list(&parameters), list(&maps));
        Faults::from(Fault::new("", FaultKind::Extra, Some(value), expected))
    }
}
