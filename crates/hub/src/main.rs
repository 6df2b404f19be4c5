// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub`, the eBPF package repository.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _, Write, stderr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use hub::{Config, Hub, Namespace, PublisherName};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The eBPF package repository.
#[derive(Debug, Parser)]
#[command(name = "l3af-hub", version)]
struct Arguments {
    /// The configuration; without it the hub listens on 127.0.0.1:8520 and keeps everything in /var/lib/l3af-hub.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests until told to end.
    Serve,
    /// Who has a namespace in this hub.
    #[command(subcommand)]
    Publisher(Publisher),
    /// Make somebody an administrator, by a link that counts once.
    Administrator {
        /// Print a new link, also where there is an administrator.
        #[arg(long, required = true)]
        new_link: bool,
    },
    /// Look at the record of changes.
    #[command(subcommand)]
    Audit(Audit),
    /// Make the index of packages anew, also while a hub serves.
    Reindex,
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Write all of it as lines of JSON, and verify it on the way.
    Export,
    /// Verify it: that of the database, or one that was exported.
    Verify {
        /// Lines of JSON that `export` wrote; `-` reads the input.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum Publisher {
    /// Give somebody a namespace, where packages are pushed, checked, reviewed and released.
    Add {
        /// The first part of the names of their repositories.
        name: PublisherName,
        /// An ordinary registry instead: any tags, which may be moved and deleted, and no review.
        #[arg(long)]
        registry_only: bool,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    let config = arguments.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.command {
        Command::Serve => runtime.block_on(serve(config)),
        Command::Publisher(Publisher::Add { name, registry_only }) => {
            runtime.block_on(add_publisher(config, &name, registry_only))
        }
        Command::Administrator { .. } => runtime.block_on(new_link(config)),
        Command::Reindex => runtime.block_on(reindex(config)),
        Command::Audit(Audit::Export) => runtime.block_on(export(config, &mut io::stdout().lock())),
        Command::Audit(Audit::Verify { file: None }) => runtime.block_on(export(config, &mut io::sink())),
        Command::Audit(Audit::Verify { file: Some(file) }) => verify(&file),
    }
}

async fn reindex(config: Config) -> Result<()> {
    let count = Hub::open(config, Timestamp::now).await?.reindex().await?;
    tracing::info!(count, "all packages are indexed");
    Ok(())
}

async fn add_publisher(config: Config, name: &PublisherName, registry_only: bool) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let namespace = if registry_only { Namespace::Registry } else { Namespace::Packages };
    Ok(hub.add_publisher(name, namespace).await?)
}

async fn new_link(config: Config) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let link = hub.access().new_administrator_link().await.context("no link can be made")?;
    writeln!(io::stdout(), "{link}").context("cannot write the link")
}

/// Writes the record of the database, and says on standard error what it is.
async fn export(config: Config, out: &mut impl Write) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let told = hub.export_audit(out).await.context("the record of changes is not whole")?;
    writeln!(io::stderr(), "verified: {told}").context("cannot write what was found")
}

fn verify(file: &Path) -> Result<()> {
    let told = if file == Path::new("-") {
        hub::verify_audit(io::stdin().lock())
    } else {
        let opened = File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        hub::verify_audit(BufReader::new(opened))
    };
    let told = told.with_context(|| format!("the record in `{}` is not whole", file.display()))?;
    writeln!(io::stderr(), "verified: {told}").context("cannot write what was found")
}

async fn serve(mut config: Config) -> Result<()> {
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    // A port that the kernel chose is known only now, and clients are told of it.
    config.listen = address;
    let hub = Hub::open(config, Timestamp::now).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let end = async move {
        tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
    };
    if let Some(link) = hub.access().first_administrator_link().await.context("no link can be made")? {
        let say =
            "nobody looks after this hub yet; whoever opens this within a day becomes its administrator";
        writeln!(io::stderr(), "{say}:\n  {link}").context("cannot write the link")?;
    }
    tracing::info!(%address, "the hub answers");
    hub::serve(hub, listener, end).await.context("the socket failed")
}
