// SPDX-License-Identifier: Apache-2.0
//! A restart into a version of the daemon that is not installed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use it::{Artifacts, Site};

use super::{CONFIGS, adopt, identities, l3af, post, site};

/// Packs a release that becomes this project's daemon, as `l3afd.tar.gz` of a version.
fn pack(site: &Site, version: &str) -> PathBuf {
    let folder = site.releases().join(version);
    fs::create_dir_all(folder.join("l3afd")).unwrap();
    let (program, daemon) = (folder.join("l3afd/l3afd"), it::binary("l3afd").unwrap());
    fs::write(&program, format!("#!/bin/sh\nexec {} \"$@\"\n", daemon.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let archive = folder.join("l3afd.tar.gz");
    it::run(&format!("tar -czf {} -C {} l3afd", archive.display(), folder.display())).unwrap();
    archive
}

/// Asks for a version, and expects that it does not come.
#[track_caller]
fn stays(site: &Site, version: &str, because: &str) {
    let body = format!(r#"{{"hostname": "{}", "version": "{version}"}}"#, Site::host().unwrap());
    let before = site.pid().unwrap();
    let answer = site.put(&format!("{CONFIGS}/restart"), &body).unwrap();
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.text().contains(because), "{}", answer.text());
    assert_eq!(site.pid().unwrap(), before);
}

#[test]
fn a_version_that_is_not_installed_is_fetched_where_its_publisher_may_be_root() {
    let artifacts = Artifacts::build().unwrap();
    let mut site = site(&artifacts, "");
    adopt(&site);
    post(&site, "add", "add_tm_payload");
    stays(&site, "v3.0.0", "there is no such file");
    let archive = pack(&site, "v3.0.0");
    stays(&site, "v3.0.0", "l3af sign l3afd.tar.gz --publisher NAME --name l3afd --version 3.0.0");
    let key = site.policy().with_file_name("site.key");
    let sign = |archive: &PathBuf, version: &str| {
        let (archive, key) = (archive.display(), key.display());
        l3af(&site, &format!("sign {archive} --key {key} --publisher site --name l3afd --version {version}"));
    };
    sign(&archive, "3.0.0");
    stays(&site, "v3.0.0", "user_root");
    let policy = fs::read_to_string(site.policy()).unwrap();
    let policy = policy.lines().map(|line| {
        if line.starts_with("user_capabilities") { "user_root = true" } else { line }.to_owned() + "\n"
    });
    fs::write(site.policy(), policy.collect::<String>()).unwrap();
    // What was signed as one version is no other.
    let other = pack(&site, "v4.0.0");
    sign(&other, "3.0.0");
    stays(&site, "v4.0.0", "not trusted");

    let (pid, attached) = (site.pid().unwrap(), identities(&site));
    let body = format!(r#"{{"hostname": "{}", "version": "v3.0.0"}}"#, Site::host().unwrap());
    let answer = site.put(&format!("{CONFIGS}/restart"), &body).unwrap();
    assert!([0, 200].contains(&answer.status), "{answer:?}\n{}", site.log());
    site.wait("another process runs", |site| site.pid().is_ok_and(|other| other != pid)).unwrap();
    site.wait("it answers", |site| site.get(&format!("{CONFIGS}/ibpfbr")).is_ok()).unwrap();
    assert_eq!(identities(&site), attached, "{}", site.log());
    let latest = site.configuration().with_file_name("l3afd");
    assert!(fs::read_link(latest).unwrap().ends_with("v3.0.0/l3afd/l3afd"));
}
