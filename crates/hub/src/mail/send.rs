// SPDX-License-Identifier: Apache-2.0
//! Sends what is in the queue. Any number of hubs may do so over one database: whoever moves the next attempt of a letter makes
//! this one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::outbox::{self, Due};
use super::server::Server;
use crate::Hub;

/// How often the queue is looked at.
const ROUND: Duration = Duration::from_secs(1);
/// How many letters are sent in a round.
const AT_A_TIME: i64 = 32;
/// For how long it is remembered what was sent.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// After how many rounds old letters are looked for.
const TIDY_ROUNDS: u64 = 3600;

/// Sends what is due, for ever; nothing where the hub has no server of mail.
pub(crate) async fn send(hub: Arc<Hub>) {
    let Some(server) = &hub.mail else { return };
    for round in 0_u64.. {
        if let Err(error) = send_due(&hub, server).await {
            tracing::warn!("cannot look for mail that is to be sent: {error}");
        }
        if round % TIDY_ROUNDS == 0
            && let Err(error) = tidy(&hub).await
        {
            tracing::warn!("mail that was sent long ago is not forgotten: {error}");
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn tidy(hub: &Hub) -> sqlx::Result<()> {
    let before_ms = hub.now_ms() - KEPT_MS;
    hub.database
        .write(move |connection| async move { outbox::tidy(connection, before_ms).await }.boxed())
        .await
}

async fn send_due(hub: &Hub, server: &Server) -> sqlx::Result<()> {
    let mut connection = hub.database.readers().acquire().await?;
    let due = outbox::due(&mut connection, AT_A_TIME, hub.now_ms()).await?;
    drop(connection);
    for letter in due {
        send_one(hub, server, letter).await?;
    }
    Ok(())
}

async fn send_one(hub: &Hub, server: &Server, letter: Due) -> sqlx::Result<()> {
    let (claimed, now_ms) = (letter.clone(), hub.now_ms());
    let claim =
        hub.database.write(move |connection| async move { claimed.claim(connection, now_ms).await }.boxed());
    if !claim.await? {
        return Ok(());
    }
    let sent = server.send(&letter).await;
    let now_ms = hub.now_ms();
    if let Err(untaken) = &sent {
        tracing::warn!(
            mail = letter.id,
            for_good = untaken.for_good,
            "mail is not sent: {}",
            untaken.problem
        );
    }
    let noted = hub.database.write(move |connection| {
        async move {
            match sent {
                Ok(()) => letter.arrived(connection, now_ms).await,
                Err(untaken) => letter.failed(connection, (&untaken.problem, untaken.for_good)).await,
            }
        }
        .boxed()
    });
    noted.await
}
