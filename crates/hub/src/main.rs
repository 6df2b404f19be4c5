// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub`, the eBPF package repository.

use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use hub::{Backup, Config, Hub, Namespace, PublisherName};
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
    /// Write everything into a folder, beside a hub that answers requests; what is there of the last backup is brought up to date.
    Backup {
        /// Where to.
        folder: PathBuf,
    },
    /// Take everything from a backup, into the database and the storage of the configuration, which must be new.
    Restore {
        /// Where from.
        folder: PathBuf,
    },
    /// Say the version of the tables that this program works with, or bring them to another while no hub runs: `serve` brings them
    /// up by itself, and before an older program is installed this one brings them back.
    Schema {
        /// The version that the tables shall have.
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
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
        Command::Backup { folder } => runtime.block_on(back_up(config, &folder)),
        Command::Restore { folder } => runtime.block_on(restore(&config, &folder)),
        Command::Schema { to } => runtime.block_on(schema(&config, to)),
    }
}

async fn add_publisher(config: Config, name: &PublisherName, registry_only: bool) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let namespace = if registry_only { Namespace::Registry } else { Namespace::Packages };
    Ok(hub.add_publisher(name, namespace).await?)
}

async fn back_up(config: Config, folder: &Path) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    say(&hub.back_up(folder).await?);
    Ok(())
}

async fn restore(config: &Config, folder: &Path) -> Result<()> {
    say(&Backup::restore(folder, config).await?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn say(backup: &Backup) {
    println!("{} rows and {} blobs, of {}", backup.rows, backup.blobs, backup.made);
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
async fn schema(config: &Config, to: Option<i64>) -> Result<()> {
    match to {
        Some(version) => Hub::set_schema(config, version).await?,
        None => println!("{}", Hub::schema()),
    }
    Ok(())
}

async fn serve(config: Config) -> Result<()> {
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let hub = Hub::open(config, Timestamp::now).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let end = async move {
        tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
    };
    tracing::info!(%address, "the hub answers");
    hub::serve(hub, listener, end).await.context("the socket failed")
}
