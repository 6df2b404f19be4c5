// SPDX-License-Identifier: Apache-2.0
//! Clients that others wrote.

use std::fs;
use std::process::Command;

use it::{Hub, Node, Pair, Ran, binary, repository, run, run_in};

use super::{IMAGE, Repository, registry};
use crate::{images, packages};

#[test]
fn skopeo_copies_images_in_and_out_and_changes_nothing() {
    let hub = registry();
    let image = images::image("hub-skopeo");
    let reference = hub.reference("free/skopeo:1.0");
    run(&format!(
        "skopeo copy --all --preserve-digests --dest-tls-verify=false oci:{image} docker://{reference}"
    ))
    .unwrap();
    let shown = run(&format!("skopeo inspect --raw --tls-verify=false docker://{reference}")).unwrap();
    let here = Repository { hub: &hub, name: "free/skopeo" };
    assert_eq!(here.get("manifests/1.0").text(), shown);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    run(&format!(
        "skopeo copy --all --preserve-digests --src-tls-verify=false docker://{reference} dir:{}",
        out.display()
    ))
    .unwrap();
    assert_eq!(fs::read_to_string(out.join("manifest.json")).unwrap(), shown);
    // Blobs that another repository has are mounted.
    let elsewhere = hub.reference("free/copied/elsewhere:1.0");
    let flags = "--all --preserve-digests --src-tls-verify=false --dest-tls-verify=false";
    run(&format!("skopeo copy {flags} docker://{reference} docker://{elsewhere}")).unwrap();
    let tags = run(&format!(
        "skopeo list-tags --tls-verify=false docker://{}",
        hub.reference("free/copied/elsewhere")
    ));
    assert!(tags.unwrap().contains("\"1.0\""));
    run(&format!("skopeo delete --tls-verify=false docker://{reference}")).unwrap();
    assert_eq!(here.get("manifests/1.0").status, 404);
}

#[test]
fn oras_pushes_and_pulls() {
    let hub = registry();
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("artifact.txt"), folder.path().join("out"));
    fs::write(&file, "an artifact\n").unwrap();
    let python = repository().join("target/python/bin/python");
    let mut command = Command::new(python);
    command.arg(repository().join("it/python/oras_client.py")).arg(hub.reference("free/oras:1.0"));
    let said = Ran::from(command.arg(&file).arg(&out).output().unwrap()).success().unwrap();
    assert!(said.ends_with("1.0\n"), "{said}");
    assert_eq!(fs::read_to_string(out.join("artifact.txt")).unwrap(), "an artifact\n");
    let here = Repository { hub: &hub, name: "free/oras" };
    assert_eq!(here.get("manifests/1.0").header("content-type"), Some(IMAGE));
}

#[test]
fn a_package_is_pushed_pulled_and_verified_with_what_speaks_for_it() {
    let hub = registry();
    let (reference, output) = (hub.reference("free/sanity:0.1.0"), packages().path("from-hub.oci"));
    let l3af = |line: &str| run(&format!("{} {line}", binary("l3af").unwrap().display())).unwrap();
    let pushed = l3af(&format!("push {} {reference}", packages().path("sanity")));
    let (_, digest) = pushed.trim().split_once('@').unwrap();
    let pulled = l3af(&format!("pull {reference} --output {output}"));
    assert_eq!(pulled.trim(), format!("oci://{reference}@{digest}"));
    let key = packages().path("key.pub");
    for place in [output, format!("oci://{reference}")] {
        assert!(l3af(&format!("verify {place} --key {key}")).contains(digest));
    }
}

#[test]
fn a_node_runs_images_as_bpfman_ships_them_from_a_hub() {
    let pair = Pair::new().unwrap();
    let hub = Hub::start_on(&pair.right, "").unwrap();
    hub.add_registry("bytecode").unwrap();
    let reference = hub.reference("bytecode/pass:v1.2.0");
    let copy = "skopeo copy --all --preserve-digests --dest-tls-verify=false";
    let image = images::image("hub-bpfman");
    run_in(&pair.right.namespace, &format!("{copy} oci:{image} docker://{reference}")).unwrap();
    let repository = format!("[[repository]]\nurl = \"{}\"\n", hub.reference("bytecode"));
    let node = Node::start(&pair.right, &format!("mode = \"normal\"\n{repository}")).unwrap();
    node.apply(&images::document(&format!("oci://{reference}"))).unwrap().success().unwrap();
    assert_eq!(node.chains().unwrap().len(), 3);
}
