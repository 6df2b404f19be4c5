// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub`, the eBPF package repository.

use std::io::{IsTerminal as _, stderr};
use std::path::PathBuf;

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
    }
}

async fn add_publisher(config: Config, name: &PublisherName, registry_only: bool) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let namespace = if registry_only { Namespace::Registry } else { Namespace::Packages };
    Ok(hub.add_publisher(name, namespace).await?)
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
