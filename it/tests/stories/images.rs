// SPDX-License-Identifier: Apache-2.0
//! Images of byte code, as bpfman's tools build them: they load as they are, signed and not.

use std::fs;

use it::{DockerRegistry, Pair, binary, ping, run, run_in};
use package::{File, write_layer};
use serde_json::{Value, json};

use crate::packages;

const SOURCE: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
struct xdp_md;
struct __sk_buff;
#define SEC(name) __attribute__((section(name), used))

SEC("xdp") int pass_all(struct xdp_md *ctx) { return 2; }
SEC("xdp") int drop_all(struct xdp_md *ctx) { return 1; }
SEC("classifier/pass") int pass_tc(struct __sk_buff *ctx) { return -1; }

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

/// Writes a folder with an image for this machine, and an attestation beside it as buildx makes them. Returns its path.
pub(crate) fn image(name: &str) -> String {
    let folder = packages().path(&format!("{name}.oci"));
    let (source, object) = (packages().path(&format!("{name}.c")), packages().path(&format!("{name}.o")));
    fs::write(&source, SOURCE).unwrap();
    run(&format!("clang-19 -g -O2 --target=bpf -c {source} -o {object}")).unwrap();
    let blobs = format!("{folder}/blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let keep = |kind: &str, bytes: &[u8]| {
        let digest = package::Digest::of(bytes);
        fs::write(format!("{blobs}/{}", digest.hex()), bytes).unwrap();
        json!({ "mediaType": kind, "digest": digest.to_string(), "size": bytes.len() })
    };
    let file = File { path: "program.o".to_owned(), bytes: fs::read(object).unwrap(), executable: false };
    let layer = write_layer(&[file].into_iter().collect(), 0).unwrap();
    let layer = keep("application/vnd.oci.image.layer.v1.tar+gzip", &layer);
    let labels = json!({
        "io.ebpf.programs": json!({ "pass_all": "xdp", "drop_all": "xdp", "pass_tc": "tc" }).to_string(),
        "io.ebpf.maps": "{}",
    });
    let listed = |architecture: &str, os: &str, labels: &Value| {
        let config = json!({
            "os": os, "architecture": architecture, "config": { "Labels": labels },
            "rootfs": { "type": "layers", "diff_ids": [] }, "history": [],
        });
        let config = keep("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": package::MANIFEST_MEDIA_TYPE, "config": config, "layers": [layer],
        });
        let mut entry = keep(package::MANIFEST_MEDIA_TYPE, manifest.to_string().as_bytes());
        entry["platform"] = json!({ "os": os, "architecture": architecture });
        entry
    };
    let here = package::Platform::this_machine().unwrap();
    let images = [listed(here.architecture(), "linux", &labels), listed("unknown", "unknown", &Value::Null)];
    let index = json!({ "schemaVersion": 2, "mediaType": package::INDEX_MEDIA_TYPE, "manifests": images });
    let index = keep(package::INDEX_MEDIA_TYPE, index.to_string().as_bytes());
    let top = json!({ "schemaVersion": 2, "manifests": [index] });
    fs::write(format!("{folder}/index.json"), top.to_string()).unwrap();
    fs::write(format!("{folder}/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    folder
}

pub(crate) fn document(package: &str) -> String {
    let chain = |hook: &str, program: &str| {
        format!(
            "[[chain]]\ninterface = \"right0\"\nhook = \"{hook}\"\n[[chain.member]]\nname = \"m\"\npackage = \"{package}\"\nprogram = \"{program}\"\n"
        )
    };
    chain("xdp", "pass_all") + &chain("tc-ingress", "pass_tc") + &chain("tc-egress", "pass_tc")
}

#[test]
fn an_image_of_bpfman_in_a_registry_loads_as_it_is_and_under_a_policy_once_it_is_signed() {
    let pair = Pair::new().unwrap();
    let registry = DockerRegistry::start(&pair.right, 5000).unwrap();
    let reference = registry.reference("bytecode/pass:v1.2.0");
    let copy = format!(
        "skopeo copy --all --preserve-digests --dest-tls-verify=false oci:{} docker://{reference}",
        image("registry-image")
    );
    run_in(&pair.right.namespace, &copy).unwrap();
    let repository = format!("[[repository]]\nurl = \"{}\"\n", registry.reference("bytecode"));
    let node = it::Node::start(&pair.right, &format!("mode = \"normal\"\n{repository}")).unwrap();
    node.apply(&document(&format!("oci://{reference}"))).unwrap().success().unwrap();
    let packages_of = |node: &it::Node| {
        let chains = node.chains().unwrap();
        let members = chains.iter().flat_map(|chain| &chain.members);
        members.map(|member| format!("{} {}", member.package, member.version)).collect::<Vec<_>>()
    };
    assert_eq!(packages_of(&node), vec!["bytecode/pass 1.2.0"; 3], "both directions of TC, and XDP");
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    let dropping = document(&format!("oci://{reference}")).replace("pass_all", "drop_all");
    node.apply(&dropping).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 5).unwrap(), 0);
    node.l3af(&["stop", "--all"]).unwrap();
    // Under a policy it is refused until somebody who is trusted signed it. It is called by the registry's path, and signed so.
    let key = fs::read_to_string(packages().path("key.pub")).unwrap();
    let policy = |publisher: &str| {
        format!(
            "{repository}[[publisher]]\nname = \"{publisher}\"\npackages = [\"*\"]\nkeys = [\"\"\"\n{key}\"\"\"]\n"
        )
    };
    node.trust(&policy("bytecode"));
    let refused = node.apply(&document(&format!("oci://{reference}"))).unwrap();
    assert!(refused.stderr.contains("package `pass` is not signed"), "{}", refused.stderr);
    let l3af = binary("l3af").unwrap();
    let cli = |line: &str| run_in(&pair.right.namespace, &format!("{} {line}", l3af.display())).unwrap();
    cli(&format!("sign oci://{reference} --key {}", packages().path("key")));
    let verified = cli(&format!("verify oci://{reference} --key {}", packages().path("key.pub")));
    assert!(verified.starts_with("bytecode/pass 1.2.0 for "), "{verified}");
    node.apply(&document(&format!("oci://{reference}"))).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    // A site may sign it under a name of its own, and then that is what it is.
    let naming = "--publisher site --name filter --version 3.0.0";
    let source = image("signed-image");
    cli(&format!("sign {source} {naming} --key {}", packages().path("key")));
    node.trust(&policy("site"));
    node.wait("what is not the site's goes", || node.chains().unwrap().is_empty());
    node.apply(&document(&format!("file:{source}"))).unwrap().success().unwrap();
    assert_eq!(packages_of(&node), vec!["site/filter 3.0.0"; 3]);
    assert_eq!(ping(&pair, 5).unwrap(), 5);
}
