// SPDX-License-Identifier: Apache-2.0
//! Programs that are at no interface, with their maps.

use it::Site;
use package::KernelVersion;

use super::{ADD, NORMAL, UPDATE, artifacts, refused, site, taken};

/// A probe whose map holds a number, which becomes a metric.
fn payload(map: &str, number: u32) -> String {
    let host = Site::host().unwrap();
    format!(
        r#"[{{"host_name": "{host}", "iface": "ibpfbr", "bpf_programs": {{"probes": [{{
            "name": "connections", "artifact": "l3af_connection_limit.tar.gz", "version": "latest",
            "ebpf_package_repo_url": "file://{repository}", "prog_type": "tracepoint", "admin_status": "enabled",
            "object_file": "connection_limit.bpf.o", "entry_function_name": "count_connections",
            "map_args": [{{"name": "{map}", "args": [{{"key": 0, "value": {number}}}]}}],
            "monitor_maps": [{{"name": "{map}", "key": 0, "aggregator": "scalar"}}]}}]}}}}]"#,
        repository = artifacts().folder().join("probes").display(),
    )
}

#[test]
fn the_maps_of_probes_are_filled_and_become_metrics() {
    // The name of a program is that of its folder.
    let (archive, probes) =
        (artifacts().archive("connection-limit").unwrap(), artifacts().folder().join("probes"));
    let platform = archive.parent().unwrap().file_name().unwrap();
    let place = probes.join("connections/latest").join(platform);
    std::fs::create_dir_all(&place).unwrap();
    std::fs::copy(&archive, place.join(archive.file_name().unwrap())).unwrap();

    let mut site = site(artifacts(), NORMAL);
    refused(&site, &[ADD, UPDATE], &payload("cl_max", 7), "there is no map `cl_max`");
    // A tracepoint is attached by a link.
    if crate::kernel() < (KernelVersion { major: 5, minor: 15 }) {
        refused(&site, &[ADD, UPDATE], &payload("cl_max_conn", 7), "needs Linux 5.15");
        return;
    }
    for (action, number) in [("add", 7), ("update", 9)] {
        taken(&site, action, &payload("cl_max_conn", number));
        let is_told =
            |site: &Site| site.metric("cl_max_conn_0_scalar").is_ok_and(|told| told == u64::from(number));
        site.wait("the metric tells what the map holds", is_told).unwrap();
    }
    // Where the kernel refuses another map, what was written to the first one is taken back.
    let first = r#""args": [{"key": 0, "value": 11}]}"#;
    let second =
        r#", {"name": "cl_recv_count_map", "args": [{"key": 0, "value": 1}, {"key": 1, "value": 1}]}"#;
    let both = payload("cl_max_conn", 11).replace(first, &format!("{first}{second}"));
    refused(
        &site,
        &[UPDATE],
        &both,
        "the map `cl_recv_count_map` cannot be filled: entry 1 cannot be written",
    );
    assert_eq!(site.metric("cl_max_conn_0_scalar").unwrap(), 9);
    let names = format!(
        r#"[{{"host_name": "{}", "iface": "ibpfbr", "bpf_programs": {{"probes": ["connections"]}}}}]"#,
        Site::host().unwrap()
    );
    taken(&site, "delete", &names);
    assert!(!site.metrics().unwrap().contains("cl_max_conn"));
}
