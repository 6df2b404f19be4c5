// SPDX-License-Identifier: Apache-2.0
//! `l3afd`: reads its configuration, opens the kernel, and serves.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use node::{Access, Arguments, Config, Engine, Fetcher, Parts};
use package::Platform;

/// What this process is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Serve,
    /// To serve in the place of a l3afd v1.
    TakeOver,
    Detach,
    /// To make place for a l3afd v1.
    GiveBack,
    Watch,
}

impl Task {
    fn of(arguments: &Arguments) -> Self {
        let flags = [
            (arguments.detach, Self::Detach),
            (arguments.give_back, Self::GiveBack),
            (arguments.watchdog, Self::Watch),
            (arguments.take_over, Self::TakeOver),
        ];
        flags.into_iter().find(|(is_given, _)| *is_given).map_or(Self::Serve, |(_, task)| task)
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == node::USER_PROGRAM) {
        return not_become(&node::become_user_program(arguments));
    }
    let arguments = Arguments::parse_from(node::as_spelled_today(std::env::args_os()));
    let task = Task::of(&arguments);
    let journal = arguments.journal_stream.clone();
    let config = Config::read(arguments);
    node::begin_log(config.as_ref().ok().and_then(|config| config.log), journal.as_deref());
    match config.map_err(anyhow::Error::from).and_then(|config| run(&config, task)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tells the log of a user program that it did not begin. The daemon sees that it ended.
fn not_become(error: &std::io::Error) -> ExitCode {
    drop(writeln!(std::io::stderr(), "the user program cannot be executed: {error}"));
    ExitCode::from(127)
}

fn kernel(config: &Config) -> anyhow::Result<kernel::Linux> {
    kernel::Linux::open(&config.pins).context("`l3afd` must run as root")
}

fn engine(config: &Config) -> anyhow::Result<Engine> {
    let machine = Platform::this_machine().context("there are no packages for machines like this one")?;
    let (kernel, config) = (Box::new(kernel(config)?), config.clone());
    Ok(Engine::new(Parts { kernel, config, machine, clock: jiff::Timestamp::now }))
}

fn run(config: &Config, task: Task) -> anyhow::Result<()> {
    match task {
        Task::Serve | Task::TakeOver => serve(config, task),
        Task::Watch => node::watch(config, || engine(config)),
        Task::Detach => detach(config),
        Task::GiveBack => {
            node::end_for_l3afd_v1(config)?;
            detach(config)
        }
    }
}

fn detach(config: &Config) -> anyhow::Result<()> {
    let done = node::detach_all(&mut kernel(config)?, config)?.to_string();
    Ok(std::io::stdout().write_all(done.as_bytes())?)
}

fn serve(config: &Config, task: Task) -> anyhow::Result<()> {
    let _lock = node::lock(config)?;
    let mut engine = engine(config)?;
    if task == Task::TakeOver {
        // Last of what could fail: until here the other one runs.
        node::end_l3afd_v1(config)?;
    }
    node::write_pid_file(config)?;
    let access = Access::open(config, &engine)?;
    if let Err(rejected) = engine.resume() {
        let problem = rejected.problem();
        tracing::error!(problem = %problem.kind, "cannot take up the desired state; what runs is left alone: {problem}");
    }
    let registry = wire::Registry::new(config.credentials()?, wire::Patience::default());
    let fetcher = Fetcher::new(registry, config);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the threads of the server")?;
    Ok(runtime.block_on(node::serve(engine, fetcher, access, config))?)
}
