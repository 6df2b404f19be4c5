// SPDX-License-Identifier: Apache-2.0
//! The commands, one file each.

mod adopt;
mod apply;
mod build;
mod chain;
mod change;
mod daemon;
mod detach;
mod endorse;
mod events;
mod generate;
mod history;
mod hub;
mod inspect;
mod key;
mod lint;
mod login;
mod logs;
mod maps;
mod new;
mod probes;
mod profile;
mod ps;
mod publisher;
mod pull;
mod push;
mod review;
mod run;
mod search;
mod sign;
mod status;
mod stop;
mod test;
mod top;
mod verify;
mod why;

use crate::arguments::{Arguments, Command};
use crate::failure::Outcome;

/// Does what the command line says.
pub(crate) fn run(arguments: Arguments) -> Outcome {
    let Arguments { daemon, passphrase, command } = arguments;
    match command {
        Command::Build(arguments) => build::run(&arguments),
        Command::Test(arguments) => test::run(daemon, arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Lint(arguments) => lint::run(&arguments),
        Command::Gen(arguments) => generate::run(&arguments),
        Command::New(arguments) => new::run(&arguments),
        Command::Key(command) => key::run(&command, passphrase.as_ref()),
        Command::Publisher(command) => publisher::run(&command, passphrase.as_ref()),
        Command::Sign(arguments) => sign::run(&arguments, passphrase.as_ref()),
        Command::AdoptL3afd(arguments) => adopt::run(&arguments, passphrase.as_ref()),
        Command::Endorse(arguments) => endorse::run(&arguments, passphrase.as_ref()),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Push(arguments) => push::run(&arguments),
        Command::Pull(arguments) => pull::run(&arguments),
        Command::Login(arguments) => login::run(&arguments),
        Command::AcceptNotice(arguments) => hub::accept(&arguments),
        Command::Search(arguments) => search::search(&arguments),
        Command::Resolve(arguments) => search::resolve(&arguments),
        Command::Yank(arguments) => review::yank(&arguments),
        Command::Rate(arguments) => search::rate(&arguments),
        Command::Review(command) => review::run(&command, passphrase.as_ref()),
        Command::Run(arguments) => run::run(&daemon, arguments),
        Command::Apply(arguments) => apply::run(&daemon, &arguments),
        Command::Plan(arguments) => apply::plan(&daemon, &arguments),
        Command::Generations(arguments) => history::generations(&daemon, &arguments),
        Command::Events(arguments) => events::run(&daemon, &arguments),
        Command::Diff(arguments) => history::diff(&daemon, &arguments),
        Command::Confirm(arguments) => history::confirm(&daemon, &arguments),
        Command::Rollback(arguments) => history::roll_back(&daemon, &arguments),
        Command::Ps(arguments) => ps::run(&daemon, &arguments),
        Command::Probes(arguments) => probes::run(&daemon, &arguments),
        Command::Chain(arguments) => chain::run(&daemon, &arguments),
        Command::Change(arguments) => change::run(&daemon, &arguments),
        Command::Profile(arguments) => profile::run(&daemon, &arguments),
        Command::Maps(arguments) => maps::list(&daemon, &arguments),
        Command::Get(arguments) => maps::get(&daemon, &arguments),
        Command::Watch(arguments) => maps::watch(&daemon, &arguments),
        Command::Set(arguments) => maps::set(&daemon, &arguments),
        Command::Top(arguments) => top::run(&daemon, &arguments),
        Command::Why(arguments) => why::run(&daemon, &arguments),
        Command::Stop(arguments) => stop::run(&daemon, &arguments),
        Command::Status(arguments) => status::run(&daemon, &arguments),
        Command::Logs(arguments) => logs::run(&daemon, &arguments),
        Command::Detach(arguments) => detach::run(&daemon, &arguments),
    }
}
