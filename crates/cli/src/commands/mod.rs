// SPDX-License-Identifier: Apache-2.0
//! The commands, one file each.

mod apply;
mod build;
mod chain;
mod change;
mod clang;
mod daemon;
mod detach;
mod endorse;
mod events;
mod history;
mod inspect;
mod key;
mod logs;
mod probes;
mod profile;
mod ps;
mod publisher;
mod pull;
mod push;
mod run;
mod sign;
mod status;
mod stop;
mod top;
mod verify;
mod why;

use crate::arguments::{Arguments, Command};
use crate::failure::Outcome;

/// Does what the command line says.
pub(crate) fn run(arguments: Arguments) -> Outcome {
    let Arguments { socket, passphrase, command } = arguments;
    match command {
        Command::Build(arguments) => build::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Key(command) => key::run(&command, passphrase.as_ref()),
        Command::Publisher(command) => publisher::run(&command, passphrase.as_ref()),
        Command::Sign(arguments) => sign::run(&arguments, passphrase.as_ref()),
        Command::Endorse(arguments) => endorse::run(&arguments, passphrase.as_ref()),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Push(arguments) => push::run(&arguments),
        Command::Pull(arguments) => pull::run(&arguments),
        Command::Run(arguments) => run::run(&socket, arguments),
        Command::Apply(arguments) => apply::run(&socket, &arguments),
        Command::Plan(arguments) => apply::plan(&socket, &arguments),
        Command::Generations(arguments) => history::generations(&socket, &arguments),
        Command::Events(arguments) => events::run(&socket, &arguments),
        Command::Diff(arguments) => history::diff(&socket, &arguments),
        Command::Confirm(arguments) => history::confirm(&socket, &arguments),
        Command::Rollback(arguments) => history::roll_back(&socket, &arguments),
        Command::Ps(arguments) => ps::run(&socket, &arguments),
        Command::Probes(arguments) => probes::run(&socket, &arguments),
        Command::Chain(arguments) => chain::run(&socket, &arguments),
        Command::Change(arguments) => change::run(&socket, &arguments),
        Command::Profile(arguments) => profile::run(&socket, &arguments),
        Command::Top(arguments) => top::run(&socket, &arguments),
        Command::Why(arguments) => why::run(&socket, &arguments),
        Command::Stop(arguments) => stop::run(&socket, &arguments),
        Command::Status(arguments) => status::run(&socket, &arguments),
        Command::Logs(arguments) => logs::run(&socket, &arguments),
        Command::Detach(arguments) => detach::run(&socket, &arguments),
    }
}
