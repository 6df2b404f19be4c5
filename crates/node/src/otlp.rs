// SPDX-License-Identifier: Apache-2.0
//! Sending metrics to a collector of `OpenTelemetry`, regularly, where the configuration names one.
//!
//! They are those of `/metrics`. What a collector missed it gets with the next ones, as counters only rise.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use wire::{Collector, Measured};

use crate::config::OtlpConfig;
use crate::metrics::{Family, Kind};
use crate::server::{Shared, with};

/// Sends as long as the daemon runs. That it does not succeed is told once, and so is that it does again.
pub(crate) async fn run(engine: Shared, config: OtlpConfig, collector: Collector) {
    let resource = resource();
    let mut ticks = tokio::time::interval(Duration::from_secs(config.seconds.get().into()));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = None;
    loop {
        ticks.tick().await;
        let outcome = send(&engine, &collector, &resource).await.err();
        match (&trouble, &outcome) {
            (None, Some(why)) => tracing::warn!("metrics are not collected: {why}"),
            (Some(_), None) => tracing::info!("metrics are collected again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        trouble = outcome;
    }
}

async fn send(engine: &Shared, collector: &Collector, resource: &[(String, String)]) -> Result<(), String> {
    let families = match with(engine, |engine| engine.families()).await {
        Ok(Ok(families)) => families,
        Ok(Err(rejected)) => return Err(rejected.problem().to_string()),
        Err(panicked) => return Err(format!("the engine failed inside: {panicked}")),
    };
    let measured: Vec<Measured> = families.into_iter().map(measured).collect();
    let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
    collector.send(resource, &measured, now).await.map_err(|uncollected| uncollected.to_string())
}

/// Who sends (semantic conventions of `OpenTelemetry` for resources).
fn resource() -> Vec<(String, String)> {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let pairs = [
        ("service.name", "l3afd"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", &machine),
        ("host.name", &machine),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

fn measured(family: Family) -> Measured {
    let Family { name, kind, unit, help, samples } = family;
    let unit = match unit {
        Some("bytes") => "By",
        Some("seconds") => "s",
        Some("milliseconds") => "ms",
        Some("nanoseconds") => "ns",
        Some("packets") => "{packet}",
        Some(_) | None => "1",
    };
    let owned = |labels: Vec<(&str, String)>| {
        labels.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()
    };
    let points = samples.into_iter().map(|(labels, value)| (owned(labels), value)).collect();
    Measured { name, description: help.to_owned(), unit, is_sum: kind == Kind::Counter, points }
}
