// SPDX-License-Identifier: Apache-2.0
//! Whether what a document says of a program of l3afd v1 can be, whoever wrote it: its names become paths, and what it names must be
//! in its package.

use package::{MemberName, ProgramName, ProgramSpec};
use plan::Hooks;
use thiserror::Error;
use trust::Verified;
use wire::MemberDocument;
use wire::l3afd::{BadPayload, Program};

/// It cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    /// A value cannot be, in whichever package.
    #[error(transparent)]
    Payload(#[from] BadPayload),
    /// Its function is in another object.
    #[error("the function `{function}` of `{member}` is in the object `{found}`, not in `{given}`")]
    OtherObject {
        /// The member.
        member: MemberName,
        /// The function.
        function: ProgramName,
        /// The object that it is in.
        found: String,
        /// The one that was named.
        given: String,
    },
    /// It is to be at several interfaces, or in another network namespace: it knows one by its name.
    #[error("`{member}` is a program of l3afd v1, and cannot be at `{place}`")]
    Place {
        /// The member.
        member: MemberName,
        /// Where it was to be.
        place: String,
    },
    /// What it is to start is not there.
    #[error("the artifact of `{member}` has no executable `{command}`")]
    NoExecutable {
        /// The member.
        member: MemberName,
        /// What was to be started.
        command: String,
    },
}

impl Unfit {
    /// What can be done about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Payload(_) => "docs/l3afd-v1.md says what a program can say of itself".to_owned(),
            Self::OtherObject { found, .. } => format!("set `object_file` to `{found}`"),
            Self::Place { .. } => {
                "give it one interface of the daemon's own network namespace, by name".to_owned()
            }
            Self::NoExecutable { .. } => "name a file of the artifact, by its path in its folder".to_owned(),
        }
    }
}

/// Refuses what cannot be.
pub(crate) fn check(
    program: &Program,
    (wanted, hooks): (&MemberDocument, &Hooks),
    package: &Verified,
) -> Result<(), Unfit> {
    program.check()?;
    program.function()?;
    if hooks.only().is_none_or(|hook| hook.interface.namespace.is_some()) {
        return Err(Unfit::Place { member: wanted.name.clone(), place: hooks.to_string() });
    }
    let manifest = &package.package().manifest;
    let found = wanted.program.as_ref().and_then(|function| manifest.program(function));
    if let Some(ProgramSpec { function, object, .. }) =
        found.filter(|found| found.object != program.object_file)
    {
        let (member, function) = (wanted.name.clone(), function.clone());
        let (found, given) = (object.clone(), program.object_file.clone());
        return Err(Unfit::OtherObject { member, function, found, given });
    }
    let files = &package.platform().files;
    let is_there = |name: &str| files.iter().any(|file| file.path == name && file.executable);
    let commands = [&program.cmd_start, &program.cmd_stop, &program.cmd_status, &program.cmd_update];
    let missing = commands.into_iter().find(|name| !name.is_empty() && !is_there(name));
    missing.map_or(Ok(()), |command| {
        Err(Unfit::NoExecutable { member: wanted.name.clone(), command: command.clone() })
    })
}
