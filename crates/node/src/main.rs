// SPDX-License-Identifier: Apache-2.0
//! `l3afd`: reads its configuration, opens the kernel, and serves.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use node::{Access, Arguments, Config, Engine, Fetcher, Parts};
use package::Platform;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == node::USER_PROGRAM) {
        return not_become(&node::become_user_program(arguments));
    }
    let arguments = Arguments::parse_from(node::as_spelled_today(std::env::args_os()));
    let Arguments { detach, watchdog, take_over, give_back, .. } = arguments;
    let journal = arguments.journal_stream.clone();
    let config = Config::read(arguments);
    node::begin_log(config.as_ref().ok().and_then(|config| config.log), journal.as_deref());
    match config.map_err(anyhow::Error::from).and_then(|config| {
        if take_over {
            node::end_l3afd_v1(&config)?;
        }
        if give_back {
            node::end_for_l3afd_v1(&config)?;
        }
        run(&config, detach || give_back, watchdog)
    }) {
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

fn run(config: &Config, detach: bool, watchdog: bool) -> anyhow::Result<()> {
    if detach {
        let done = node::detach_all(&mut kernel(config)?, config)?.to_string();
        return Ok(std::io::stdout().write_all(done.as_bytes())?);
    }
    if watchdog {
        return node::watch(config, || engine(config));
    }
    let _lock = node::lock(config)?;
    node::write_pid_file(config)?;
    let mut engine = engine(config)?;
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
