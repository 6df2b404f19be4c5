// SPDX-License-Identifier: Apache-2.0
//! What a guest of `cargo xtask durability` does: tells what is there again, then adds to it until the power goes off. Whether it is
//! what must be there, the host decides, which remembers what it was told before.

mod hub;
mod node;

use std::process::ExitCode;

use clap::Parser;

/// More than anybody waits for: a guest that nobody ends, ends.
const MOST: u64 = 200;

#[derive(Debug, Parser)]
#[command(name = "l3af-durability", about = "The guest's part of `cargo xtask durability`")]
enum Subject {
    /// Apply documents to a node
    Node(node::Arguments),
    /// Push artifacts to a hub
    Hub(hub::Arguments),
}

#[expect(clippy::print_stderr, reason = "the guest's console is how it talks")]
fn main() -> ExitCode {
    let done = match Subject::parse() {
        Subject::Node(arguments) => node::run(&arguments),
        Subject::Hub(arguments) => hub::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tells the host something.
#[expect(clippy::print_stdout, reason = "the guest's console is how it talks")]
fn tell(fact: &str) {
    println!("@ {fact}");
}
