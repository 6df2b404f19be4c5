// SPDX-License-Identifier: Apache-2.0
//! `l3af probes`: the probes of the node, a line each.

use super::daemon::call;
use crate::arguments::{Daemon, Listing};
use crate::failure::Outcome;
use crate::output;

pub(crate) fn run(daemon: &Daemon, arguments: &Listing) -> Outcome {
    let listed = call(daemon, async |node| node.probes().await)?;
    if arguments.json {
        return output::json(&listed);
    }
    output::mode(listed.mode);
    let probes = listed.probes;
    let rows = probes.iter().map(|probe| {
        vec![
            probe.name.to_string(),
            probe.kind.to_string(),
            probe.target.clone(),
            if probe.attached { "yes" } else { "no" }.to_owned(),
            format!("{} {}", probe.package, probe.version),
            probe.program.clone(),
            probe.run.runs.to_string(),
            format!("{:.3}", std::time::Duration::from_nanos(probe.run.nanoseconds).as_secs_f64()),
        ]
    });
    let head = ["probe", "kind", "target", "attached", "package", "program", "runs", "seconds"];
    output::data(&output::table(&head, rows.collect()));
    let counted = probes.iter().any(|probe| probe.run.runs > 0);
    if !probes.is_empty() && !counted {
        output::note("the kernel counts runs while `sysctl kernel.bpf_stats_enabled` is 1");
    }
    Ok(())
}
