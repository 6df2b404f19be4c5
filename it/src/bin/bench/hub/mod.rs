// SPDX-License-Identifier: Apache-2.0
//! The hub: as a registry beside Debian's `docker-registry`, and what it takes to search among many packages.

mod client;
mod registry;
mod search;
mod servers;

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Map, Value, json};

use self::registry::{Rates, Subject, measure};
use self::servers::Server;
use super::Options;

/// Rounds of two seconds for each number of each registry.
const ROUNDS: usize = 5;
/// Where is pushed: a publisher that any client may use as it likes.
const PUBLISHER: &str = "bench";

pub(super) fn run(options: &Options) -> Result<()> {
    let is_wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.starts_with(only.as_str()));
    let mut told = Map::new();
    if self::registry::NUMBERS.into_iter().any(is_wanted) {
        told = beside_docker_registry(options.rounds.unwrap_or(ROUNDS), &is_wanted)?;
    }
    if is_wanted("search") {
        let searched = search::measure()?;
        told.insert("search_p50_ms".to_owned(), json!(searched.p50_ms));
        told.insert("search_p99_ms".to_owned(), json!(searched.p99_ms));
        told.insert("facets_p99_ms".to_owned(), json!(searched.facets_p99_ms));
        told.insert("search_found_percent".to_owned(), json!(searched.found_percent));
        told.insert("search_rss_mib".to_owned(), json!(searched.rss_mib));
    }
    tell(options, &told);
    Ok(())
}

/// What the registry of the hub comes to, and how much memory it takes to it.
fn beside_docker_registry(rounds: usize, is_wanted: &dyn Fn(&str) -> bool) -> Result<Map<String, Value>> {
    let (hub, other) = (Server::hub(PUBLISHER)?, Server::docker_registry()?);
    let subject = |name, server: &Server| Subject {
        name,
        address: server.address.clone(),
        credentials: String::new(),
        repository: format!("{PUBLISHER}/package"),
    };
    let subjects = [subject("ours", &hub), subject("docker-registry", &other)];
    let mut told = medians(&measure(&subjects, rounds, is_wanted)?);
    let (resident_mib, most_mib) = hub.memory_mib()?;
    told.insert("rss_mib".to_owned(), json!(resident_mib));
    told.insert("rss_most_mib".to_owned(), json!(most_mib));
    Ok(told)
}

/// The median of each number.
fn medians(rates: &Rates) -> Map<String, Value> {
    let of_each = |rates: &BTreeMap<&'static str, Vec<f64>>| -> Map<String, Value> {
        rates.iter().map(|(who, samples)| ((*who).to_owned(), json!(median(samples)))).collect()
    };
    rates.iter().map(|(what, by_who)| ((*what).to_owned(), Value::from(of_each(by_who)))).collect()
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "this is the data")]
fn tell(options: &Options, told: &Map<String, Value>) {
    if options.json {
        println!("{}", Value::from(told.clone()));
        return;
    }
    println!("{:<24} {:>10} {:>16} {:>7}", "", "l3af-hub", "docker-registry", "ratio");
    for (what, value) in told {
        let (ours, theirs) = (value["ours"].as_f64(), value["docker-registry"].as_f64());
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => {
                println!("{what:<24} {ours:>10.0} {theirs:>16.0} {:>7.2}", ours / theirs);
            }
            _ => println!("{what:<24} {:>10.1}", value.as_f64().unwrap_or_default()),
        }
    }
}
