// SPDX-License-Identifier: Apache-2.0
//! `make demo`: the whole story on real packets, in namespaces of its own.
//!
//! Every figure is counted where packets are sent and where they arrive. The daemon is not believed: with any one of its
//! promises switched off, the demo fails.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use it::{Connections, Node, Packages, Pair, connect, ping, stream_while};

/// Shows a rate limiter and a packet filter, unmodified, in one chain on one interface.
#[derive(Debug, Parser)]
struct Arguments {
    /// Switch a promise off, to see that the demo notices
    #[arg(long, value_name = "PROMISE")]
    without: Option<Promise>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Promise {
    /// Members go on to the next one
    Splice,
    /// Packages that nobody trusted signed are refused
    Verification,
    /// New connections are limited
    Limit,
}

const PORT: u16 = 8080;
const LIMIT: u32 = 20;
const TRIES: u32 = 100;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match story(arguments.without) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("\nThe demo FAILED: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "a demo talks")]
fn say(text: &str) {
    println!("{text}");
}

fn story(without: Option<Promise>) -> Result<()> {
    let pins = {
        let stage = Stage::set(without)?;
        stage.refuse_unsigned()?;
        stage.run_chain()?;
        stage.limit_connections("")?;
        stage.reorder()?;
        let stage = stage.kill_and_restart()?;
        stage.remove()?;
        stage.node.pins.clone()
    };
    ensure!(!pins.exists(), "pins were left in {}", pins.display());
    let left = it::run("ip netns list")?;
    let own = std::process::id().to_string();
    ensure!(!left.contains(&own), "namespaces were left: {left}");
    say("\nEverything is removed: no namespace, no pin, no process is left.");
    Ok(())
}

struct Stage {
    without: Option<Promise>,
    packages: Packages,
    pair: Pair,
    node: Node,
}

impl Stage {
    fn set(without: Option<Promise>) -> Result<Self> {
        say(
            "Two packages are built from C sources that know nothing of chains, and signed with a fresh key.",
        );
        let packages = Packages::build()?;
        packages.build_one("sanity", "unsigned")?;
        say("Two network namespaces are made, with a cable between them.");
        let pair = Pair::new()?;
        let policy = match without {
            Some(Promise::Verification) => "mode = \"normal\"".to_owned(),
            _ => packages.policy(),
        };
        say("The daemon is started on the right, with a policy that trusts that key and nothing else.");
        let node = Node::start(&pair.right, &policy)?;
        Ok(Self { without, packages, pair, node })
    }

    fn refuse_unsigned(&self) -> Result<()> {
        say("\nAn unsigned package is offered.");
        let refused =
            self.node.cli(&["run", &self.packages.path("unsigned"), "--on", &self.pair.right.interface])?;
        ensure!(!refused.ok, "the unsigned package was accepted");
        say(&indented(&refused.stderr));
        ensure!(self.node.chains()?.is_empty(), "something of it is left");
        Ok(())
    }

    fn run_chain(&self) -> Result<()> {
        say("\nThe two signed packages are applied as one chain: `sanity`, then `ratelimit`.");
        let applied = self.node.apply(&self.document(["sanity", "ratelimit"]))?;
        say(&indented(&applied.success()?));
        let answered = ping(&self.pair, 50)?;
        say(&format!("50 pings were sent, {answered} came back."));
        ensure!(answered == 50, "pings were lost");
        Ok(())
    }

    fn limit_connections(&self, when: &str) -> Result<()> {
        // Let the bucket fill, so that a whole burst fits.
        thread::sleep(Duration::from_millis(1100));
        let Connections { tried, connected, accepted } = connect(&self.pair, PORT, TRIES)?;
        say(&format!(
            "{tried} connections were tried at once{when}: the sender saw {connected} succeed, the receiver {accepted}."
        ));
        ensure!(connected == accepted, "sender and receiver disagree");
        ensure!(connected >= LIMIT, "fewer connections than the limit came through");
        // A burst of one second's worth, and what the bucket gains while the connections are opened.
        let most = 2 * LIMIT;
        ensure!(connected <= most, "{connected} connections came through a limit of {LIMIT} per second");
        let drawing = self.node.l3af(&["chain", &self.pair.right.interface])?;
        say(&format!("So the daemon draws it:\n{}", indented(&drawing)));
        Ok(())
    }

    fn reorder(&self) -> Result<()> {
        say("\nThe chain is turned around ten times while datagrams go through, one every two milliseconds.");
        let orders = [["ratelimit", "sanity"], ["sanity", "ratelimit"]];
        let turn = |order: &[&str; 2]| self.node.apply(&self.document(*order))?.success().map(drop);
        let turns = || orders.iter().cycle().take(10).try_for_each(turn);
        let (sent, received, ()) = stream_while(&self.pair, turns)?;
        say(&format!("{sent} datagrams were sent, {received} arrived."));
        ensure!(sent == received, "{} packets were lost", sent - received);
        Ok(())
    }

    fn kill_and_restart(mut self) -> Result<Self> {
        say("\nThe daemon is killed (SIGKILL).");
        self.node.kill()?;
        thread::sleep(Duration::from_millis(1100));
        let Connections { connected, accepted, .. } = connect(&self.pair, PORT, TRIES)?;
        say(&format!(
            "Nobody watches, and of {TRIES} connections {connected} succeed; the receiver saw {accepted}."
        ));
        ensure!(connected < TRIES, "connections are no longer limited");
        self.node.restart()?;
        let instances: Vec<String> = self.node.members()?.into_iter().map(|member| member.instance).collect();
        say(&format!("The daemon is started again and adopts what runs: {}.", instances.join(", ")));
        self.limit_connections(" after the restart")?;
        Ok(self)
    }

    fn remove(&self) -> Result<()> {
        say("\nAll is taken off.");
        let pins = self.node.pins.to_string_lossy().into_owned();
        let state = self.node.state().to_string_lossy().into_owned();
        self.node.l3af(&["detach", "--all", "--pins", &pins, "--state", &state])?;
        let Connections { connected, .. } = connect(&self.pair, PORT, TRIES)?;
        say(&format!("Of {TRIES} connections {connected} succeed."));
        ensure!(connected == TRIES, "something still drops packets");
        Ok(())
    }

    fn document(&self, order: [&str; 2]) -> String {
        let limit = if self.without == Some(Promise::Limit) { 1_000_000 } else { LIMIT };
        // A member after which the chain never goes on is one that was not spliced.
        let proceed = if self.without == Some(Promise::Splice) { "proceed = []" } else { "" };
        let members = order.map(|name| match name {
            "ratelimit" => format!("ratelimit:config = {{ connections_per_second = {limit} }}\n{proceed}"),
            other => format!("{other}:{proceed}"),
        });
        self.packages.document(&self.pair.right.interface, &members.each_ref().map(String::as_str))
    }
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
