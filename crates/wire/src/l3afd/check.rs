// SPDX-License-Identifier: Apache-2.0
//! What a payload of l3afd v1 may say. Names and paths lead to files, and none of them leads out of its folder.

use std::collections::BTreeSet;

use package::{BadName, HookPoint, InterfaceName, Interfaces, ProgramName};
use thiserror::Error;

use super::configured::Repository;
use super::{NoText, Program, prog_type};

/// What the names of artifacts end with.
pub const ARTIFACTS: [&str; 2] = [".tar.gz", ".zip"];

/// A payload asks for what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadPayload {
    /// It is for another host.
    #[error("provided bpf programs do not belong to this host: they are for `{given}`, and this is `{host}`")]
    Host {
        /// The host that was named.
        given: String,
        /// This one.
        host: String,
    },
    /// The interface is none.
    #[error("`iface` is `{iface}`, and must be the name of an interface that is not the loopback")]
    Interface {
        /// What was named.
        iface: String,
    },
    /// Nothing is said of programs.
    #[error("`bpf_programs` of `{iface}` is missing")]
    NoPrograms {
        /// The interface.
        iface: String,
    },
    /// A value cannot be.
    #[error("`{key}` of the program `{program}` is `{value}`: {rule}")]
    Value {
        /// The program.
        program: String,
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// An argument is no text.
    #[error(transparent)]
    Text(#[from] NoText),
    /// Two programs of a hook have one name.
    #[error("two programs of `{iface}/{hook}` are named `{program}`")]
    Twice {
        /// The interface.
        iface: String,
        /// The hook.
        hook: HookPoint,
        /// The name.
        program: String,
    },
    /// There may be one program at a hook.
    #[error(
        "`{iface}/{hook}` would have several programs, and `bpf-chaining-enabled` is false in the configuration"
    )]
    NoChaining {
        /// The interface.
        iface: String,
        /// The hook.
        hook: HookPoint,
    },
}

impl Program {
    /// The function that it is.
    ///
    /// # Errors
    /// When it is no name of one.
    pub fn function(&self) -> Result<ProgramName, BadPayload> {
        self.entry_function_name.parse().map_err(|bad: BadName| BadPayload::Value {
            program: self.name.clone(),
            key: "entry_function_name",
            value: bad.given,
            rule: bad.rule,
        })
    }

    /// Whether all that leads to files and arguments can be.
    ///
    /// # Errors
    /// With the first that cannot.
    pub fn check(&self) -> Result<(), BadPayload> {
        const NAME: &str = "it must be 1 to 100 letters, digits, dots, dashes and underscores, and no `..`";
        const COMMAND: &str = "it must be the path of a file in the artifact";
        const NEEDED: &str = "it is needed: programs that their executables load themselves cannot be chained without their help";
        let bad = |key, value: &str, rule| {
            let (program, value) = (self.name.clone(), value.to_owned());
            Err(BadPayload::Value { program, key, value, rule })
        };
        for (key, value) in [("name", &self.name), ("version", &self.version), ("artifact", &self.artifact)] {
            if !is_name(value) {
                return bad(key, value, NAME);
            }
        }
        if !ARTIFACTS.iter().any(|ending| self.artifact.ends_with(ending)) {
            return bad("artifact", &self.artifact, "it must end with `.tar.gz` or `.zip`");
        }
        let commands = [
            ("cmd_start", &self.cmd_start),
            ("cmd_stop", &self.cmd_stop),
            ("cmd_status", &self.cmd_status),
            ("cmd_update", &self.cmd_update),
            ("rules_file", &self.rules_file),
        ];
        if let Some((key, value)) =
            commands.into_iter().find(|(_, value)| !value.is_empty() && !is_inside(value))
        {
            return bad(key, value, COMMAND);
        }
        if !is_inside(&self.object_file) {
            return bad(
                "object_file",
                &self.object_file,
                if self.object_file.is_empty() { NEEDED } else { COMMAND },
            );
        }
        if !self.entry_function_name.is_empty() {
            self.function()?;
        }
        if !self.prog_type.is_empty() && !is_name(&self.prog_type) {
            return bad("prog_type", &self.prog_type, "it must be `xdp`, `tc`, or the kind of a probe");
        }
        if !matches!(self.admin_status.as_str(), "enabled" | "disabled") {
            return bad("admin_status", &self.admin_status, "it must be `enabled` or `disabled`");
        }
        for (key, value) in [("cpu", self.cpu), ("memory", self.memory)] {
            if value < 0 {
                return bad(key, &value.to_string(), "it must not be negative");
            }
        }
        for monitored in self.monitor_maps.iter().flatten() {
            if !matches!(monitored.aggregator.as_str(), "scalar" | "max-rate" | "avg") {
                return bad("aggregator", &monitored.aggregator, "it must be `scalar`, `max-rate` or `avg`");
            }
        }
        self.start_arguments()?;
        self.update_arguments()?;
        self.stop_arguments()?;
        self.status_arguments()?;
        Ok(())
    }
}

/// Whether the programs of a hook can be there together.
pub(super) fn check(
    iface: &str,
    hook: HookPoint,
    list: &[Program],
    repository: &Repository,
) -> Result<(), BadPayload> {
    let (iface, mut names) = (iface.to_owned(), BTreeSet::new());
    if list.len() > 1 && !repository.chaining {
        return Err(BadPayload::NoChaining { iface, hook });
    }
    for program in list {
        program.check()?;
        if program.prog_type != prog_type(hook) {
            let (value, rule) =
                (program.prog_type.clone(), "it must be `xdp` for `xdp_ingress`, and else `tc`");
            return Err(BadPayload::Value { program: program.name.clone(), key: "prog_type", value, rule });
        }
        if !names.insert(&program.name) {
            return Err(BadPayload::Twice { iface, hook, program: program.name.clone() });
        }
    }
    Ok(())
}

/// Whether a payload is for this host.
pub(super) fn is_for(given: &str, host: &str) -> Result<(), BadPayload> {
    if given == host {
        return Ok(());
    }
    Err(BadPayload::Host { given: given.to_owned(), host: host.to_owned() })
}

/// One interface by its name. What would be a pattern elsewhere is none here.
pub(super) fn interface(iface: &str) -> Result<Interfaces, BadPayload> {
    let bad = || BadPayload::Interface { iface: iface.to_owned() };
    let is_plain = iface != "lo" && !iface.contains(['*', '?', '[', '=']);
    let name = iface.parse::<InterfaceName>().ok().filter(|_| is_plain).ok_or_else(bad)?;
    Ok(Interfaces::from(package::Interface { namespace: None, name }))
}

fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~".contains(&byte);
    (1..=100).contains(&text.len())
        && text.bytes().all(is_allowed)
        && !text.starts_with('.')
        && !text.contains("..")
}

fn is_inside(path: &str) -> bool {
    path.len() <= 200 && path.split('/').all(is_name)
}
