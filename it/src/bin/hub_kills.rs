// SPDX-License-Identifier: Apache-2.0
//! What `cargo xtask hub-kills` does: pushes many artifacts to a hub that is killed again and again, and finds each of them. The
//! stories do the same with fewer.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use it::{Hub, Tally, push_through_kills};

#[derive(Debug, Parser)]
#[command(
    name = "l3af-hub-kills",
    about = "Pushes to a hub that is killed again and again, and looks for what it acknowledged"
)]
struct Arguments {
    /// How many artifacts to push
    #[arg(long, default_value_t = 1000)]
    pushes: usize,
    /// How often to kill the hub
    #[arg(long, default_value_t = 100)]
    kills: usize,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "that is how it tells")]
fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(Tally { acknowledged, kills, resumed }) => {
            println!(
                "{acknowledged} artifacts are whole after {kills} kills; {resumed} pieces of uploads went on after one"
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Tally> {
    let mut hub = Hub::start()?;
    hub.add_registry("killed")?;
    let tally = push_through_kills(&mut hub, "killed/artifacts", arguments.pushes, arguments.kills)?;
    let check = hub.administer(&["check"])?;
    ensure!(check.ok, "the check finds problems:\n{}", check.stdout);
    Ok(tally)
}
