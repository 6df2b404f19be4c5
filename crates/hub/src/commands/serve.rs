// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub serve`.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use hub::{Config, Hub};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

pub(super) async fn run(mut config: Config) -> Result<()> {
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
