// SPDX-License-Identifier: Apache-2.0
//! Registries: what is pushed is what is pulled, and a node needs them once.

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use it::{DockerRegistry, Node, Pair, binary, run_in};

use crate::packages;

/// Runs `l3af` where the registry is.
fn l3af(pair: &Pair, line: &str) -> anyhow::Result<String> {
    run_in(&pair.right.namespace, &format!("{} {line}", binary("l3af")?.display()))
}

/// What `l3af` complains of there.
fn refusal(pair: &Pair, line: &str) -> String {
    l3af(pair, line).unwrap_err().root_cause().to_string()
}

/// Pushes a package of this repository, and returns its digest.
fn push(pair: &Pair, package: &str, reference: &str) -> String {
    let pushed = l3af(pair, &format!("push {} {reference}", packages().path(package))).unwrap();
    let (name, digest) = pushed.trim().split_once('@').unwrap();
    assert_eq!(name, format!("oci://{reference}"));
    digest.to_owned()
}

#[test]
fn what_was_pushed_survives_a_mirror_with_its_statements() {
    let pair = Pair::new().unwrap();
    let here = DockerRegistry::start(&pair.right, 5000).unwrap();
    let there = DockerRegistry::start(&pair.right, 5001).unwrap();
    let digest = push(&pair, "sanity", &here.reference("l3af/sanity:0.1.0"));
    let index = packages().path(&format!("sanity/blobs/sha256/{}", digest.trim_start_matches("sha256:")));
    let (from, to) = (here.reference("l3af/sanity"), there.reference("mirror/sanity"));
    // Another client sees the same bytes, and copies the images and the list of statements.
    let shown = run_in(
        &pair.right.namespace,
        &format!("skopeo inspect --raw --tls-verify=false docker://{from}:0.1.0"),
    );
    assert_eq!(shown.unwrap(), std::fs::read_to_string(&index).unwrap());
    let copy = |what: &str| {
        let line = format!("skopeo copy --src-tls-verify=false --dest-tls-verify=false {what}");
        run_in(&pair.right.namespace, &line).unwrap();
    };
    for image in images(&index) {
        copy(&format!("--preserve-digests docker://{from}@{image} docker://{to}:image"));
    }
    // skopeo 1.9 (Debian 12) writes indexes without their artifact type and annotations, so the index itself goes by hand.
    let put = format!("http://{}", there.reference("v2/mirror/sanity/manifests/0.1.0"));
    let kind = "Content-Type:application/vnd.oci.image.index.v1+json";
    run_in(&pair.right.namespace, &format!("curl -sf -X PUT -H {kind} --data-binary @{index} {put}"))
        .unwrap();
    let list = digest.replace(':', "-");
    copy(&format!("--all docker://{from}:{list} docker://{to}:{list}"));
    drop(here);
    let (mirrored, output) = (there.reference("mirror/sanity:0.1.0"), packages().path("mirrored.oci"));
    let pulled = l3af(&pair, &format!("pull {mirrored} --output {output}")).unwrap();
    assert_eq!(pulled.trim(), format!("oci://{mirrored}@{digest}"));
    let key = packages().path("key.pub");
    for place in [output, format!("oci://{mirrored}")] {
        let verified = l3af(&pair, &format!("verify {place} --key {key}")).unwrap();
        assert!(verified.contains(&digest), "{verified}");
    }
}

#[test]
fn how_far_a_package_is_is_shown_on_a_terminal_and_to_no_program() {
    let pair = Pair::new().unwrap();
    let registry = DockerRegistry::start(&pair.right, 5000).unwrap();
    let reference = registry.reference("l3af/shown:0.1.0");
    let digest = push(&pair, "sanity", &reference);
    let (l3af, typed) = (binary("l3af").unwrap(), packages().path("typed.sh"));
    // `script` has a command run at a terminal, and passes on what that shows.
    let shown = |command: &str| {
        std::fs::write(&typed, format!("#!/bin/sh\nexec {} {command}\n", l3af.display())).unwrap();
        std::fs::set_permissions(&typed, PermissionsExt::from_mode(0o755)).unwrap();
        let at_terminal = format!("script --quiet --return --command {typed} /dev/null");
        run_in(&pair.right.namespace, &at_terminal).unwrap()
    };
    let (one, two) = (packages().path("shown-1.oci"), packages().path("shown-2.oci"));
    let pulled = shown(&format!("pull {reference} --output {one}"));
    assert!(pulled.contains("pulling [====") && pulled.contains("iB/s"), "{pulled}");
    let pushed = shown(&format!("push {one} {reference}"));
    assert!(pushed.contains("pushing [===="), "{pushed}");
    let json = shown(&format!("pull {reference} --output {two} --json"));
    assert!(!json.contains("pulling"), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["reference"], format!("oci://{reference}@{digest}"));
}

/// A way to the registry at port 5000 on which each connection breaks after so many bytes of answers.
fn breaking(pair: &Pair, limit_bytes: u64) -> &'static str {
    let way = move || {
        let listener = TcpListener::bind("127.0.0.1:5001").unwrap();
        // A thread is in the namespace of the one that it comes from.
        std::thread::spawn(move || listener.incoming().flatten().for_each(|here| pass_on(here, limit_bytes)))
    };
    drop(pair.right.inside(way).unwrap());
    "127.0.0.1:5001"
}

/// Passes a connection on to the registry, until it has answered so many bytes.
fn pass_on(mut here: TcpStream, limit_bytes: u64) {
    let Ok(mut there) = TcpStream::connect("127.0.0.1:5000") else { return };
    let (mut asks, mut asked) = (here.try_clone().unwrap(), there.try_clone().unwrap());
    std::thread::spawn(move || drop(std::io::copy(&mut asks, &mut asked)));
    std::thread::spawn(move || {
        drop(std::io::copy(&mut Read::by_ref(&mut there).take(limit_bytes), &mut here));
        // Either side may be gone.
        drop((here.shutdown(Shutdown::Both), there.shutdown(Shutdown::Both)));
    });
}

#[test]
fn a_layer_arrives_although_no_connection_lasts_for_the_whole_of_it() {
    let pair = Pair::new().unwrap();
    let registry = DockerRegistry::start(&pair.right, 5000).unwrap();
    let digest = push(&pair, "sanity", &registry.reference("l3af/sanity:0.1.0"));
    let sizes = layers("sanity").into_iter().map(|layer| {
        std::fs::metadata(packages().path(&format!("sanity/blobs/sha256/{layer}"))).unwrap().len()
    });
    let place = breaking(&pair, sizes.max().unwrap() * 3 / 4);
    let output = packages().path("broken.oci");
    let pulled = l3af(&pair, &format!("pull {place}/l3af/sanity:0.1.0 --output {output}")).unwrap();
    assert!(pulled.trim().ends_with(&digest), "{pulled}");
    l3af(&pair, &format!("verify {output} --key {}", packages().path("key.pub"))).unwrap();
}

/// The digests of the images in an index.
fn images(index: &str) -> Vec<String> {
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(index).unwrap()).unwrap();
    let images = index["manifests"].as_array().unwrap().iter();
    images.map(|image| image["digest"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_package_is_signed_and_verified_where_it_is() {
    let pair = Pair::new().unwrap();
    let registry = DockerRegistry::start(&pair.right, 5000).unwrap();
    packages().build_one("sanity", "for-registry").unwrap();
    let reference = registry.reference("l3af/sanity:new");
    push(&pair, "for-registry", &reference);
    let (package, key) = (format!("oci://{reference}"), packages().path("key"));
    let refused = refusal(&pair, &format!("verify {package} --key {key}.pub"));
    assert!(refused.contains("package `sanity` is not signed"), "{refused}");
    l3af(&pair, &format!("sign {package} --key {key}")).unwrap();
    l3af(&pair, &format!("endorse {package} --key {key}")).unwrap();
    l3af(&pair, &format!("verify {package} --key {key}.pub")).unwrap();
    let shown = l3af(&pair, &format!("inspect {package}")).unwrap();
    assert_eq!(shown.matches("says it is signed by").count(), 2, "{shown}");
    // A policy says where packages come from.
    let policy = packages().path("registry.toml");
    std::fs::write(&policy, packages().policy()).unwrap();
    let refused = refusal(&pair, &format!("verify {package} --policy {policy}"));
    assert!(refused.contains(&reference), "{refused}");
    std::fs::write(&policy, listed(&registry.reference("l3af"))).unwrap();
    l3af(&pair, &format!("verify {package} --policy {policy}")).unwrap();
}

/// A policy that trusts the key, and lets packages come from a repository.
fn listed(repository: &str) -> String {
    format!("{}[[repository]]\nurl = \"{repository}\"\n", packages().policy())
}

fn document(package: &str) -> String {
    format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"sanity\"\npackage = \"{package}\"\n"
    )
}

#[test]
fn a_node_fetches_once_and_needs_no_registry_after() {
    let pair = Pair::new().unwrap();
    let registry = DockerRegistry::start(&pair.right, 5000).unwrap();
    let reference = registry.reference("l3af/sanity:0.1.0");
    push(&pair, "sanity", &reference);
    let mut node = Node::start(&pair.right, &listed(&registry.reference("l3af"))).unwrap();
    let socket = node.socket().display().to_string();
    let run = format!("--socket {socket} run oci://{reference} --on right0/xdp");
    l3af(&pair, &run).unwrap();
    let before = node.members().unwrap();
    assert_eq!(before.len(), 1);
    drop(registry);
    node.l3af(&["change", "sanity", "--enforcement", "shadow"]).unwrap();
    node.l3af(&["change", "sanity", "--enforcement", "enforce"]).unwrap();
    node.kill().unwrap();
    // A reboot takes all pins; here they are taken by hand.
    std::fs::remove_dir_all(node.pins.join("right0")).unwrap();
    node.restart().unwrap();
    let after = node.members().unwrap();
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].object_digest, before[0].object_digest);
    assert!(node.l3af(&["status"]).unwrap().contains("converged"));
}

#[test]
fn a_node_asks_a_mirror_where_the_repository_is_gone() {
    let pair = Pair::new().unwrap();
    let mirror = DockerRegistry::start(&pair.right, 5001).unwrap();
    push(&pair, "sanity", &mirror.reference("copies/l3af/sanity:0.1.0"));
    let policy = format!("{}mirrors = [\"{}\"]\n", listed("127.0.0.1:5000"), mirror.reference("copies"));
    let node = Node::start(&pair.right, &policy).unwrap();
    // Nobody answers there.
    let reference = "oci://127.0.0.1:5000/l3af/sanity:0.1.0";
    node.apply(&document(reference)).unwrap().success().unwrap();
    assert_eq!(node.members().unwrap().len(), 1);
    drop(mirror);
    let other = document("oci://127.0.0.1:5000/l3af/ratelimit:0.1.0");
    let refused = node.apply(&other).unwrap().stderr;
    for part in ["the 2 places", "`127.0.0.1:5000/l3af/ratelimit`", "`127.0.0.1:5001/copies/l3af/ratelimit`"]
    {
        assert!(refused.contains(part), "{refused}");
    }
}

/// The layers of a package of this repository.
fn layers(package: &str) -> Vec<String> {
    let blob = |digest: &str| {
        let name = digest.trim_start_matches("sha256:");
        packages().path(&format!("{package}/blobs/sha256/{name}"))
    };
    let index = l3af_index(package);
    let layers = images(&blob(&index)).into_iter().map(|image| {
        let image: serde_json::Value = serde_json::from_slice(&std::fs::read(blob(&image)).unwrap()).unwrap();
        image["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
    });
    layers.collect()
}

/// The digest of a package of this repository.
fn l3af_index(package: &str) -> String {
    let list = std::fs::read(packages().path(&format!("{package}/index.json"))).unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    list["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn what_has_no_room_is_refused_before_its_layers_come() {
    let pair = Pair::new().unwrap();
    let registry = DockerRegistry::start(&pair.right, 5000).unwrap();
    let oci = |package: &str| format!("oci://{}", registry.reference(&format!("l3af/{package}:roomy")));
    for package in ["sanity", "ratelimit"] {
        push(&pair, package, oci(package).trim_start_matches("oci://"));
    }
    let mut node = Node::start(&pair.right, &listed(&registry.reference("l3af"))).unwrap();
    node.apply(&document(&oci("sanity"))).unwrap().success().unwrap();
    let metrics = format!("curl -s --unix-socket {} http://l3afd/metrics", node.socket().display());
    let metrics = run_in(&pair.right.namespace, &metrics).unwrap();
    let size = metrics.lines().find_map(|line| line.strip_prefix("l3af_store_bytes ")).unwrap().to_owned();
    assert!(metrics.contains("l3af_store_max_bytes 2147483648\n"), "{metrics}");

    node.settings = format!("store_max = \"{size}B\"\n");
    node.restart().unwrap();
    let refused = node.apply(&document(&oci("ratelimit"))).unwrap().stderr;
    assert!(refused.contains("there is no room for"), "{refused}");
    assert!(refused.contains(&format!("most by `{}`", oci("sanity"))), "{refused}");
    assert!(
        refused.contains("hint: nothing of it was fetched, and what runs goes on; raise `store_max`"),
        "{refused}"
    );
    let blobs = node.state().join("blobs/sha256");
    assert!(layers("sanity").iter().any(|layer| blobs.join(layer).exists()));
    assert!(!layers("ratelimit").iter().any(|layer| blobs.join(layer).exists()));
    assert_eq!(node.members().unwrap()[0].package, "l3af/sanity");
    // What is there needs no room, and a folder has no other way in.
    node.l3af(&["change", "sanity", "--enforcement", "shadow"]).unwrap();
    let folder = node.cli(&["run", &packages().path("ratelimit"), "--on", "right0"]).unwrap();
    assert!(folder.stderr.contains("there is no room for"), "{}", folder.stderr);

    node.settings = String::new();
    node.restart().unwrap();
    node.apply(&document(&oci("ratelimit"))).unwrap().success().unwrap();
}

#[test]
fn a_tag_that_moved_changes_nothing_that_runs() {
    let pair = Pair::new().unwrap();
    let registry = DockerRegistry::start(&pair.right, 5000).unwrap();
    let reference = registry.reference("l3af/moving:latest");
    push(&pair, "sanity", &reference);
    let node = Node::start(&pair.right, &listed(&registry.reference("l3af"))).unwrap();
    node.apply(&document(&format!("oci://{reference}"))).unwrap().success().unwrap();
    let before = node.members().unwrap();
    let digest = push(&pair, "ratelimit", &reference);
    node.l3af(&["change", "sanity", "--disable"]).unwrap();
    node.l3af(&["change", "sanity", "--enable"]).unwrap();
    assert_eq!(node.members().unwrap()[0].package, before[0].package);
    // Its digest says that the other one is meant.
    node.apply(&document(&format!("oci://{reference}@{digest}"))).unwrap().success().unwrap();
    assert_eq!(node.members().unwrap()[0].package, "l3af/ratelimit");
}

#[test]
fn nothing_is_fetched_from_where_the_policy_does_not_say() {
    let pair = Pair::new().unwrap();
    // Nobody answers there, and nobody is asked.
    let package = "oci://127.0.0.1:5000/l3af/sanity:0.1.0";
    for policy in [packages().policy(), listed("127.0.0.1:5000/l3af/san"), "mode = \"normal\"\n".to_owned()] {
        let node = Node::start(&pair.right, &policy).unwrap();
        let refused = node.apply(&document(package)).unwrap();
        assert!(!refused.ok);
        let lacks = format!("package `{package}` lies in no repository that the trust policy lists");
        assert!(refused.stderr.contains(&lacks), "{}", refused.stderr);
        let hint = "add `[[repository]]` with `url = \"127.0.0.1:5000/l3af/sanity\"`";
        assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    }
}

#[test]
fn a_daemon_that_waits_for_a_registry_answers_others() {
    let pair = Pair::new().unwrap();
    // It takes connections and says nothing.
    let silent = pair.right.inside(|| std::net::TcpListener::bind("127.0.0.1:5000").unwrap()).unwrap();
    let node = Node::start(&pair.right, &listed("127.0.0.1:5000/l3af")).unwrap();
    let waiting = std::thread::scope(|scope| {
        let applied = scope.spawn(|| node.apply(&document("oci://127.0.0.1:5000/l3af/sanity:0.1.0")));
        let connection = silent.accept().unwrap();
        let status = node.l3af(&["status"]).unwrap();
        // The registry goes away, and is not there for the next attempts.
        let waits = !applied.is_finished();
        drop((connection, silent));
        (waits, status, applied.join().unwrap().unwrap())
    });
    let (waits, status, applied) = waiting;
    assert!(waits && status.contains("generation"), "{status}");
    assert!(applied.stderr.contains("does not answer as it should"), "{}", applied.stderr);
}

#[test]
fn a_key_that_is_revoked_beside_a_package_takes_out_what_it_signed_and_stays_revoked() {
    let pair = Pair::new().unwrap();
    let registry = DockerRegistry::start(&pair.right, 5000).unwrap();
    let reference = registry.reference("l3af/revocable:0.1.0");
    let path = |name: &str| packages().path(&format!("revocable-{name}"));
    let (root, old, new, folder) = (path("root"), path("old"), path("new"), path("publisher"));
    for key in [&root, &old, &new] {
        l3af(&pair, &format!("key new {key} --no-passphrase")).unwrap();
    }
    let publisher = |line: &str| l3af(&pair, &format!("publisher {line} --folder {folder}")).unwrap();
    publisher(&format!("init l3af --root {root}.pub --release {old}.pub --key {root}"));
    for name in ["revocable", "revocable-other"] {
        packages().build_one("sanity", name).unwrap();
        l3af(&pair, &format!("sign {} --key {old}", packages().path(name))).unwrap();
    }
    push(&pair, "revocable", &reference);
    let repository = registry.reference("l3af");
    let policy = format!(
        "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nroot_file = \"{folder}/1.root.json\"\n[[repository]]\nurl = \
         \"{repository}\"\n"
    );
    let mut node = Node::start(&pair.right, &policy).unwrap();
    node.apply(&document(&format!("oci://{reference}"))).unwrap().success().unwrap();
    assert_eq!(node.members().unwrap().len(), 1);

    let id = l3af(&pair, &format!("key show {old}.pub")).unwrap();
    let id = id.split_ascii_whitespace().next().unwrap().to_owned();
    publisher(&format!("rotate --from {id} --to {new}.pub --key {root}"));
    publisher(&format!("attach oci://{reference}"));
    node.hang_up().unwrap();
    node.wait("it is taken out", || node.chains().unwrap().iter().all(|chain| chain.members.is_empty()));
    assert!(node.status().unwrap().alarms[0].title.contains("revocable"), "{:?}", node.status());
    // What was signed by the same key elsewhere is refused as well.
    let other = node.cli(&["run", &packages().path("revocable-other"), "--on", "right0"]).unwrap();
    assert!(other.stderr.contains("0 of the trusted signers signed it"), "{}", other.stderr);
    // It is known without the registry, and after a restart.
    drop(registry);
    node.end().unwrap();
    node.restart().unwrap();
    node.wait("the alarm is back", || !node.status().unwrap().alarms.is_empty());
    assert!(node.chains().unwrap().iter().all(|chain| chain.members.is_empty()));
}
