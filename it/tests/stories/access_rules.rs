// SPDX-License-Identifier: Apache-2.0
//! What callers may do: roles, policies of the administrator, limits, and the record of changes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use it::run;
use serde_json::Value;

use crate::access::{Scene, text};
use crate::packages;

const ACCESS: &str = "[access]\npolicies = [\"<folder>/access.cedar\"]\naudit = \"<folder>/audit.jsonl\"\n";

/// A daemon with policies, as files must be there before it starts.
fn scene(policies: &str, tables: &str) -> Scene {
    let mut scene = Scene::new("client_roots = \"<ca>\"", "");
    scene.put("access.cedar", policies);
    let folder = scene.file("x").parent().map(text).unwrap();
    scene.node.settings.push_str(&format!("{ACCESS}{tables}").replace("<folder>", &folder));
    scene.node.restart().unwrap();
    scene
}

fn records(scene: &Scene) -> Vec<Value> {
    let text = fs::read_to_string(scene.file("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn document(scene: &Scene, text: &str) -> String {
    scene.put("document.toml", text);
    scene.file("document.toml").display().to_string()
}

#[test]
fn policies_say_who_may_attach_what_where() {
    let policies = "
        permit (principal, action in [Action::\"read\", Action::\"plan\"], resource);
        @id(\"net\") permit (principal, action in Action::\"change\", resource in Interface::\"right0\")
        when { principal.names.contains(\"net.example.org\") };
        @id(\"buyer\") permit (principal, action == Action::\"apply\", resource in Publisher::\"l3af\")
        when { principal.names.contains(\"buyer.example.org\") };
        @id(\"other\") permit (principal, action == Action::\"apply\", resource in Publisher::\"somebody\")
        when { principal.names.contains(\"other.example.org\") };
        @id(\"sanity stays in front\") forbid (principal, action in Action::\"change\", resource is Member)
        when { resource.name == \"sanity\" && (context.change == \"remove\" || resource.position != 1) };";
    let scene = scene(policies, "");
    it::run_in(&scene.pair.right.namespace, "ip link add spare0 type veth peer name spare1").unwrap();
    let [net, buyer, other] =
        ["net", "buyer", "other"].map(|name| scene.sign(&format!("{name}.example.org")));
    let apply = |who, text: &str| scene.with(who, &["apply", &document(&scene, text)]);
    let (here, there) =
        (packages().document("right0", &["ratelimit"]), packages().document("spare0", &["ratelimit"]));
    apply(&net, &here).success().unwrap();
    let refused = apply(&net, &format!("{here}{there}"));
    assert!(
        !refused.ok && refused.stderr.contains("`certificate:net.example.org` may not apply"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("add member `ratelimit` of package `l3af/ratelimit` at position 1 of `spare0/xdp`: no policy permits it"),
        "{}",
        refused.stderr
    );
    // The same again touches nothing.
    apply(&net, &here).success().unwrap();
    let refused = apply(&other, &format!("{here}{there}"));
    assert!(refused.stderr.contains("no policy permits it"), "{}", refused.stderr);
    apply(&buyer, &format!("{here}{there}")).success().unwrap();
    assert_eq!(scene.node.names().unwrap().len(), 2);
    // It may apply, and not stop.
    let refused = scene.with(&buyer, &["stop", "--all"]);
    assert!(refused.stderr.contains("`certificate:buyer.example.org` may not stop"), "{}", refused.stderr);

    // A policy that forbids counts for root as well.
    let guarded = packages().document("right0", &["sanity", "ratelimit"]) + &there;
    scene.node.apply(&guarded).unwrap().success().unwrap();
    for refused in [
        scene.node.apply(&here).unwrap(),
        scene.node.cli(&["stop", "--all"]).unwrap(),
        scene.node.cli(&["rollback"]).unwrap(),
        scene.node.cli(&["change", "sanity", "--at", "2"]).unwrap(),
    ] {
        let words = "the policy `sanity stays in front` forbids it";
        assert!(!refused.ok && refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert_eq!(scene.node.names().unwrap().len(), 3);

    // Policies that are not valid are told, and those of before count.
    scene.put("access.cedar", "permit (principal, action == Action::\"fly\", resource);");
    scene.node.hang_up().unwrap();
    let notices = || scene.node.status().unwrap().notices.join("\n");
    scene.node.wait("it is told", || notices().contains("those of before count"));
    assert!(!scene.node.cli(&["stop", "--all"]).unwrap().ok);
    scene.put("access.cedar", "");
    scene.node.wait("others count", || notices().is_empty());
    assert!(!scene.with(&net, &["status"]).ok);
    scene.node.l3af(&["stop", "--all"]).unwrap();
}

#[test]
fn a_daemon_does_not_begin_with_policies_that_are_not_valid() {
    let mut scene = scene("", "");
    scene.put("access.cedar", "permit (principal, action, resource in Interfase::\"right0\");");
    let failed = scene.node.restart().unwrap_err().to_string();
    assert!(failed.contains("the policies of access in") && failed.contains("Interfase"), "{failed}");
    scene.put("access.cedar", "");
    scene.node.restart().unwrap();
}

#[test]
fn users_of_this_machine_are_known_by_the_kernel() {
    let policies = "permit (principal in UnixGroup::\"nogroup\", action == Action::\"read\", resource);";
    let mut scene = scene(policies, "[limits]\nchanges_per_minute = 2\n");
    scene.node.settings.insert_str(0, "socket_group = \"nogroup\"\n");
    scene.node.restart().unwrap();
    let socket = scene.node.socket();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    fs::set_permissions(socket.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    let ask = |rest: &str| {
        let curl = format!("curl -s -i -m 30 --unix-socket {} {rest}", socket.display());
        run(&format!("setpriv --reuid=65534 --regid=65534 --clear-groups {curl}")).unwrap()
    };
    assert!(ask("http://l3afd/v1/status").starts_with("HTTP/1.1 200"));
    let stop = || ask("-X DELETE http://l3afd/v1/desired");
    let denied = stop();
    assert!(denied.starts_with("HTTP/1.1 403") && denied.contains("`user:nobody` may not stop"), "{denied}");
    assert!(stop().starts_with("HTTP/1.1 403"));
    // What is denied counts as asked for.
    let too_many = stop();
    assert!(too_many.starts_with("HTTP/1.1 429") && too_many.contains("retry-after: "), "{too_many}");
    assert!(ask("http://l3afd/v1/status").starts_with("HTTP/1.1 200"));
    for _ in 0..3 {
        scene.node.l3af(&["stop", "--all"]).unwrap();
    }
}

#[test]
fn each_change_is_written_down_and_each_that_was_refused() {
    let scene =
        scene("permit (principal, action == Action::\"read\", resource);", "[limits]\nbody = \"64KiB\"\n");
    let somebody = scene.sign("a.example.org");
    scene.node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    assert!(!scene.with(&somebody, &["stop", "--all"]).ok);
    assert!(scene.with(&somebody, &["status"]).ok);
    let long = packages().document("right0", &["sanity"]) + &format!("# {}", "x".repeat(100));
    scene.node.apply(&long).unwrap().success().unwrap();
    fs::write(scene.file("large"), format!("{{\"chain\": [], \"x\": \"{}\"}}", "x".repeat(70_000))).unwrap();
    let large = run(&format!(
        "curl -s -i -m 30 --unix-socket {} -X PUT -H Content-Type:application/json --data @{} http://l3afd/v1/desired",
        scene.node.socket().display(),
        scene.file("large").display()
    ))
    .unwrap();
    assert!(large.contains("HTTP/1.1 413") && large.contains("application/problem+json"), "{large}");
    scene.node.l3af(&["rollback", "0"]).unwrap();

    let records = records(&scene);
    let told: Vec<[String; 5]> = records
        .iter()
        .map(|record| {
            ["caller", "action", "outcome", "generation_before", "generation_after"]
                .map(|key| record[key].to_string().trim_matches('"').to_owned())
        })
        .collect();
    let expected = [
        ["user:root", "apply", "done", "0", "1"],
        ["certificate:a.example.org", "stop", "denied", "null", "null"],
        ["user:root", "apply", "done", "1", "2"],
        ["user:root", "apply", "refused", "null", "null"],
        ["user:root", "rollback", "done", "2", "3"],
    ];
    assert_eq!(told, expected.map(|record| record.map(str::to_owned)));
    assert!(records[1]["problem"].as_str().unwrap().contains("no policy permits it"), "{}", records[1]);
    assert_eq!(records[1]["via"], "certificate");
    assert!(records[1]["address"].as_str().unwrap().starts_with(&scene.pair.left.address));
    let mode = fs::metadata(scene.file("audit.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn nobody_is_waited_for_for_ever_and_others_are_served_meanwhile() {
    // An emulated machine needs more than a second for a handshake.
    let seconds = crate::rounds(1, 10);
    let limits =
        format!("[limits]\nread_seconds = {seconds}\nhandshake_seconds = {seconds}\nconnections = 3\n");
    let scene = scene("permit (principal, action == Action::\"read\", resource);", &limits);
    let socket = scene.node.socket();
    let patience = Some(Duration::from_mins(1));
    let open = |begin: &str| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(patience).unwrap();
        stream.write_all(begin.as_bytes()).unwrap();
        stream
    };
    // Nothing, half a head, and a call whose body does not come.
    let calls = [
        "",
        "GET /v1/status HTT",
        "PUT /v1/desired HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
    ];
    let mut silent = calls.map(open);
    // As many connections as there may be: the next call waits until one of these is cut off.
    assert!(scene.node.cli(&["status"]).unwrap().ok);
    for stream in &mut silent {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let address = format!("{}:7443", scene.pair.right.address);
    let ended = scene.pair.left.inside(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(patience).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap()
    });
    assert_eq!(ended.unwrap(), 0);
    assert!(scene.with(&scene.sign("a.example.org"), &["status"]).ok);
}

#[test]
fn a_file_that_says_what_is_desired_is_written_down_as_well() {
    let mut scene = scene("", "");
    let document = document(&scene, &packages().document("right0", &["sanity"]));
    scene.node.settings.insert_str(0, &format!("document = \"{document}\"\n"));
    scene.node.restart().unwrap();
    scene.node.wait("it is applied", || scene.node.names().unwrap() == ["sanity"]);
    scene.put("document.toml", "[[chain]]\ninterface = 5\n");
    scene.node.wait("it is refused", || records(&scene).len() > 1);
    let records = records(&scene);
    assert_eq!(records[0]["caller"], format!("file:{document}"));
    assert_eq!((&records[0]["generation_after"], &records[0]["outcome"]), (&1.into(), &"done".into()));
    assert_eq!((&records[1]["generation_after"], &records[1]["outcome"]), (&1.into(), &"refused".into()));
    assert!(scene.node.l3af(&["generations"]).unwrap().contains(&format!("file:{document}")));
}
