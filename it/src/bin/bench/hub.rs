// SPDX-License-Identifier: Apache-2.0
//! What a hub takes.

mod search;

use anyhow::Result;
use serde_json::json;

use crate::Options;

/// Measures, and tells what was measured.
#[expect(clippy::print_stdout, reason = "this is the data")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let searched = search::measure()?;
    let (p99, rss) = (searched.p99_ms, searched.rss_mib);
    if options.json {
        println!("{}", json!({ "search_p99_ms": p99, "rss_mib": rss }));
        return Ok(());
    }
    println!(
        "search: p50 {:.1} ms, p99 {p99:.1} ms; {} of {} found something; resident {rss:.0} MiB",
        searched.p50_ms, searched.found, searched.searches
    );
    Ok(())
}
