// SPDX-License-Identifier: Apache-2.0
//! An object with all that is known of it, for the rules to look at.

use maps::{Interface, Map};
use package::{Code, Function, HookPoint, KernelVersion, Manifest, Object, ProgramKind, ProgramSpec};

use crate::{Contents, Finding, Place, Rule, Unreadable};

/// How sections of programs for packets begin.
const PACKETS: [&str; 6] = ["xdp", "xdp.frags", "tc", "tcx", "classifier", "action"];

/// An object, read in all ways.
pub(crate) struct Examined<'a> {
    pub(crate) path: &'a str,
    pub(crate) contents: &'a Contents<'a>,
    pub(crate) manifest: Option<&'a Manifest>,
    pub(crate) object: Object,
    pub(crate) code: Code,
    pub(crate) interface: Interface,
}

impl<'a> Examined<'a> {
    /// Reads an object. Its interface is given where the manifest says something of it.
    pub(crate) fn new(
        contents: &'a Contents<'a>,
        path: &'a str,
        told: Option<Interface>,
    ) -> Result<Self, Unreadable> {
        let bytes = contents.file(path).ok_or_else(|| Unreadable::Missing { path: path.to_owned() })?;
        let unreadable = |source| Unreadable::Object { path: path.to_owned(), source };
        let manifest = contents.manifest();
        let interface = match told {
            Some(told) => told,
            None => Object::interface(bytes).map_err(unreadable)?,
        };
        let object = Object::parse(bytes).map_err(unreadable)?;
        let code = Code::read(bytes).map_err(unreadable)?;
        Ok(Self { path, contents, manifest, object, code, interface })
    }

    /// The oldest kernel that is asked for, where somebody says it.
    pub(crate) fn oldest(&self) -> Option<KernelVersion> {
        self.manifest.map(|manifest| manifest.kernel.min)
    }

    /// What the manifest says of the programs of this object.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &'a ProgramSpec> {
        let all = self.manifest.map(|manifest| manifest.programs.as_slice()).unwrap_or_default();
        all.iter().filter(|program| program.object == self.path)
    }

    /// Whether a function is a program for packets, by the manifest, else by its section.
    pub(crate) fn sees_packets(&self, function: &Function) -> bool {
        let spec = self.programs().find(|program| program.function.as_ref() == function.name);
        match spec.map(|program| program.hook) {
            Some(ProgramKind::Chain(HookPoint::Xdp | HookPoint::TcIngress | HookPoint::TcEgress)) => true,
            Some(ProgramKind::Probe(_)) => false,
            // What programs call sees what they see; an object that has such programs has mostly no others.
            None if function.section == ".text" => {
                let mut programs = self.code.functions.iter().filter(|other| other.section != ".text");
                programs.any(|program| PACKETS.contains(&program.kind()))
            }
            None => PACKETS.contains(&function.kind()),
        }
    }

    /// The maps that the author declared, without those of global variables.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &Map> {
        self.interface.maps.iter().filter(|map| map.variables.is_none())
    }

    /// The map of a name.
    pub(crate) fn map(&self, name: &str) -> Option<&Map> {
        self.declared().find(|map| map.name == name)
    }

    /// A finding about a map.
    pub(crate) fn at_map(&self, rule: &'static Rule, map: &Map, what: impl Into<String>) -> Finding {
        Finding::new(rule, Place::map(self.path, &map.name), what)
    }

    /// A finding about an instruction.
    pub(crate) fn at(
        &self,
        rule: &'static Rule,
        (function, slot): (&Function, usize),
        what: impl Into<String>,
    ) -> Finding {
        Finding::new(rule, Place::instruction(self.path, function, slot), what)
    }
}

/// What libbpf takes a program for.
pub(crate) trait Kind {
    /// The beginning of its section, without the mark of those that may sleep.
    fn kind(&self) -> &str;
}

impl Kind for Function {
    fn kind(&self) -> &str {
        let start = self.section.split('/').next().unwrap_or_default();
        start.strip_suffix(".s").unwrap_or(start)
    }
}
