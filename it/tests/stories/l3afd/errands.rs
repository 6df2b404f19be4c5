// SPDX-License-Identifier: Apache-2.0
//! What programs of l3afd v1 bring to end them, and to say whether they run; and artifacts that are ZIP archives.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use it::Site;

use super::{NORMAL, artifacts, l3af, site, taken};

/// Where the scripts below find what they are told, and write what becomes of them.
const FOLDER: &str = "for word; do case $word in --folder=*) folder=${word#--folder=};; esac; done\n";
const GUARD: &str = "echo $$ >>$folder/started\n\
                     trap 'echo by signal >>$folder/ended; exit 0' TERM\n\
                     trap 'echo by errand >>$folder/ended; exit 0' USR1\n\
                     while :; do sleep 0.1; done\n";
const STATUS: &str = "cat $folder/status\n";
const STOP: &str = "echo \"$@\" >$folder/stop; kill -USR1 $(tail -1 $folder/started)\n";

/// A ZIP archive with a rate limit and a daemon that is guarded, beside the artifacts of the fixtures.
fn pack() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().join("l3af_guarded");
    fs::create_dir(&top).unwrap();
    let object = artifacts().contents("ratelimiting").unwrap().join("ratelimiting.bpf.o");
    fs::copy(object, top.join("ratelimiting.bpf.o")).unwrap();
    for (name, script) in [("guard", GUARD), ("guard-status", STATUS), ("guard-stop", STOP)] {
        fs::write(top.join(name), format!("#!/bin/sh\n{FOLDER}{script}")).unwrap();
        fs::set_permissions(top.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let beside = artifacts().archive("ratelimiting").unwrap();
    let platform = beside.parent().unwrap().file_name().unwrap();
    let place = artifacts().folder().join("guarded/v1.0.0").join(platform);
    fs::create_dir_all(&place).unwrap();
    let archive = place.join("l3af_guarded.zip");
    it::run(&format!("python3 -m zipfile -c {} {}", archive.display(), top.display())).unwrap();
}

fn payload(folder: &Path) -> String {
    let (host, folder) = (Site::host().unwrap(), folder.display());
    format!(
        r#"[{{"host_name": "{host}", "iface": "ibpfbr", "bpf_programs": {{"xdp_ingress": [{{
            "name": "guarded", "seq_id": 1, "artifact": "l3af_guarded.zip", "version": "v1.0.0",
            "map_name": "xdp_rl_ingress_next_prog", "prog_type": "xdp", "admin_status": "enabled",
            "object_file": "ratelimiting.bpf.o", "entry_function_name": "_xdp_ratelimiting",
            "cmd_start": "guard", "cmd_status": "guard-status", "cmd_stop": "guard-stop", "user_program_daemon": true,
            "start_args": {{"folder": "{folder}"}}, "status_args": {{"folder": "{folder}"}},
            "stop_args": {{"folder": "{folder}"}}}}]}}}}]"#
    )
}

#[test]
fn a_daemon_that_says_it_does_not_run_is_started_again_and_ends_by_its_own_errand() {
    pack();
    let mut site = site(artifacts(), NORMAL);
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let written = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let starts = || written("started").lines().count();
    fs::write(folder.path().join("status"), "running\n").unwrap();
    taken(&site, "add", &payload(folder.path()));
    site.wait("it starts", |_| starts() == 1).unwrap();

    fs::write(folder.path().join("status"), "stuck").unwrap();
    site.wait("it is started again", |_| starts() == 2).unwrap();
    fs::write(folder.path().join("status"), "RUNNING").unwrap();
    assert_eq!(written("ended"), "by signal\n");
    let status = l3af(&site, "status");
    assert!(status.contains("`guard-status` says `stuck` of it"), "{status}");

    let names = format!(
        r#"[{{"host_name": "{}", "iface": "ibpfbr", "bpf_programs": {{"xdp_ingress": ["guarded"]}}}}]"#,
        Site::host().unwrap()
    );
    taken(&site, "delete", &names);
    site.wait("it ends", |site| site.user_programs().unwrap().is_empty()).unwrap();
    assert_eq!(written("ended").lines().last(), Some("by errand"), "{}", site.log());
    let told = format!("--iface=ibpfbr --direction=xdpingress --folder={}\n", folder.path().display());
    assert_eq!(written("stop"), told);
}
