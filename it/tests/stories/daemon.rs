// SPDX-License-Identifier: Apache-2.0
//! The daemon: what it accepts, what survives it, and what is left when it is told to go.

use it::{Pair, connect, ping, run_in};

use crate::{packages, scene};

fn has_xdp(pair: &Pair) -> bool {
    run_in(&pair.right.namespace, "ip link show right0").unwrap().contains("xdp")
}

#[test]
fn programs_run_on_without_the_daemon_and_are_adopted_when_it_returns() {
    let (pair, mut node) = scene();
    let limited = "ratelimit:config = { connections_per_second = 1, burst = 3 }";
    node.apply(&packages().document("right0", &["sanity", limited])).unwrap().success().unwrap();
    let before: Vec<String> = node.members().unwrap().into_iter().map(|member| member.instance).collect();
    node.kill().unwrap();
    assert!(connect(&pair, 8080, 20).unwrap().connected < 10);
    node.restart().unwrap();
    let after: Vec<String> = node.members().unwrap().into_iter().map(|member| member.instance).collect();
    assert_eq!(before, after);
    assert!(connect(&pair, 8080, 20).unwrap().connected < 10);
    assert!(node.l3af(&["status"]).unwrap().contains("converged"));
}

#[test]
fn what_was_accepted_needs_its_folder_no_more() {
    let (_pair, mut node) = scene();
    let copy = packages().path("gone");
    packages().build_one("sanity", "gone").unwrap();
    packages().l3af(&["sign", "gone", "--key", "key"]).unwrap().success().unwrap();
    node.l3af(&["run", &copy, "--on", "right0"]).unwrap();
    std::fs::remove_dir_all(&copy).unwrap();
    node.kill().unwrap();
    // A reboot takes all pins; here they are taken by hand.
    std::fs::remove_dir_all(node.pins.join("right0")).unwrap();
    node.restart().unwrap();
    assert_eq!(node.members().unwrap().len(), 1);
}

#[test]
fn detach_works_without_the_daemon_and_holds_until_the_next_document() {
    let (pair, mut node) = scene();
    let document = packages().document("right0", &["sanity", "ratelimit"]);
    node.apply(&document).unwrap().success().unwrap();
    node.kill().unwrap();
    assert!(has_xdp(&pair));
    let (pins, state) =
        (node.pins.to_string_lossy().into_owned(), node.state().to_string_lossy().into_owned());
    node.l3af(&["detach", "--all", "--pins", &pins, "--state", &state]).unwrap();
    assert!(!has_xdp(&pair));
    assert_eq!(std::fs::read_dir(&node.pins).unwrap().count(), 0);
    node.restart().unwrap();
    assert!(!has_xdp(&pair));
    assert!(node.l3af(&["status"]).unwrap().contains("detached"));
    node.apply(&document).unwrap().success().unwrap();
    assert!(has_xdp(&pair));
    assert!(node.l3af(&["status"]).unwrap().contains("converged"));
}

#[test]
fn in_safe_mode_nothing_is_applied_and_all_is_told() {
    let (pair, mut node) = scene();
    let document = packages().document("right0", &["sanity"]);
    node.apply(&document).unwrap().success().unwrap();
    node.kill().unwrap();
    // A reboot takes all pins; here they are taken by hand.
    std::fs::remove_dir_all(node.pins.join("right0")).unwrap();
    node.flags = vec!["--safe"];
    node.restart().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(!has_xdp(&pair));
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains("safe") && status.contains("generation   1"), "{status}");
    for refused in [node.apply(&document).unwrap(), node.cli(&["rollback"]).unwrap()] {
        assert!(refused.stderr.contains("the daemon is in safe mode"), "{}", refused.stderr);
    }
    node.kill().unwrap();
    node.flags.clear();
    node.restart().unwrap();
    assert!(has_xdp(&pair));
}

#[test]
fn stopping_members_leaves_nothing_behind() {
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity", "ratelimit"])).unwrap().success().unwrap();
    node.l3af(&["stop", "sanity"]).unwrap();
    assert_eq!(node.members().unwrap().len(), 1);
    let unknown = node.cli(&["stop", "sanity"]).unwrap();
    assert!(unknown.stderr.contains("no chain has a member `sanity`"), "{}", unknown.stderr);
    node.l3af(&["stop", "--all"]).unwrap();
    assert!(!has_xdp(&pair));
    assert_eq!(std::fs::read_dir(&node.pins).unwrap().count(), 0);
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

#[test]
fn a_change_that_somebody_else_made_meanwhile_is_not_overwritten() {
    let (_pair, node) = scene();
    node.l3af(&["run", &packages().path("sanity"), "--on", "right0"]).unwrap();
    let path = packages().path("meanwhile.toml");
    std::fs::write(&path, packages().document("right0", &["ratelimit"])).unwrap();
    let refused = node.cli(&["apply", &path, "--expect-generation", "7"]).unwrap();
    assert!(
        refused.stderr.contains("generation 7 was expected, but generation 1 is in force"),
        "{}",
        refused.stderr
    );
    node.l3af(&["apply", &path, "--expect-generation", "1"]).unwrap();
}

#[test]
fn bad_documents_are_refused_whole_and_say_what_to_do() {
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    let twice = packages().document("right0", &["sanity"]).repeat(2);
    let cases = [
        (packages().document("nowhere0", &["sanity"]), "there is no interface `nowhere0`"),
        (packages().document("right0", &["sanity", "sanity"]), "two members named `sanity`"),
        (
            packages().document("right0", &["sanity:proceed = [\"ok\"]"]),
            "`ok` is not a verdict of the hook `xdp`",
        ),
        (
            packages().document("right0", &["sanity:config = { nope = 1 }"]),
            "config/nope` = 1: does not exist; expected a parameter (`check_header`",
        ),
        (
            packages().document("right0", &["ratelimit:config = { first_port = 70000 }"]),
            "config/first_port` = 70000: expected a whole number from 0 to 65535",
        ),
        (
            packages().document("right0", &["sanity:config = { check_land = 3 }"]),
            "config/check_land` = 3: expected `true` or `false`",
        ),
        (packages().document("right0", &["ratelimit:program = \"other\""]), "has no program `other`"),
        (twice, "the document has two chains for `right0/xdp`"),
    ];
    for (document, words) in cases {
        let refused = node.apply(&document).unwrap();
        assert!(!refused.ok && refused.stderr.contains(words), "{words}: {}", refused.stderr);
        assert_eq!(node.members().unwrap().len(), 1);
    }
    assert!(has_xdp(&pair));
    assert!(node.l3af(&["status"]).unwrap().contains("generation   1"));
}

#[test]
fn an_interface_that_others_use_is_left_to_them() {
    let (pair, node) = scene();
    let object = packages().path("other.o");
    let source = it::repository().join("crates/package/testdata/small.bpf.o");
    std::fs::copy(source, &object).unwrap();
    run_in(&pair.right.namespace, &format!("ip link set dev right0 xdpdrv object {object} section xdp"))
        .unwrap();
    let refused = node.apply(&packages().document("right0", &["sanity"])).unwrap();
    assert!(refused.stderr.contains("`right0/xdp` is occupied by XDP program `first`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("held by no process"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: say `occupied = \"keep\"`"), "{}", refused.stderr);
    run_in(&pair.right.namespace, "ip link set dev right0 xdp off").unwrap();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
}

#[test]
fn a_chain_waits_for_its_interface_and_does_not_hold_up_the_others() {
    let (pair, mut node) = scene();
    let namespace = &pair.right.namespace;
    run_in(namespace, "ip link add spare0 type veth peer name spare1").unwrap();
    let both = packages().document("right0", &["sanity"]) + &packages().document("spare0", &["sanity"]);
    node.apply(&both).unwrap().success().unwrap();
    node.kill().unwrap();
    run_in(namespace, "ip link del spare0").unwrap();
    node.restart().unwrap();
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains("waiting") && status.contains("spare0/xdp"), "{status}");
    // Another chain can be changed meanwhile.
    node.l3af(&["run", &packages().path("ratelimit"), "--on", "right0"]).unwrap();
    run_in(namespace, "ip link add spare0 type veth peer name spare1").unwrap();
    let begin = std::time::Instant::now();
    while !node.l3af(&["status"]).unwrap().contains("converged") {
        assert!(begin.elapsed().as_secs() < 60, "{}", node.log());
        std::thread::yield_now();
    }
    assert!(node.chains().unwrap().iter().all(|chain| chain.attached));
}

#[test]
fn the_api_describes_itself() {
    let (_pair, node) = scene();
    let socket = node.socket().to_string_lossy().into_owned();
    let described = it::run(&format!("curl -s --unix-socket {socket} http://l3afd/openapi.json")).unwrap();
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    let paths: Vec<&String> = described["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            "/",
            "/healthz",
            "/metrics",
            "/readyz",
            "/v1/chains",
            "/v1/desired",
            "/v1/desired/confirmation",
            "/v1/desired/explanations",
            "/v1/desired/members/{member}",
            "/v1/events",
            "/v1/generations",
            "/v1/generations/{number}",
            "/v1/maps",
            "/v1/maps/{member}/{map}",
            "/v1/maps/{member}/{map}/entries",
            "/v1/maps/{member}/{map}/watch",
            "/v1/plan",
            "/v1/probes",
            "/v1/profile",
            "/v1/rollback",
            "/v1/samples",
            "/v1/status",
            "/v1/tests",
            "/v1/user-programs/{name}/log"
        ]
    );
    let schemes = described["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["certificate", "token"]);
    assert_eq!(described["security"].as_array().unwrap().len(), 3);
    let missing = it::run(&format!("curl -s --unix-socket {socket} http://l3afd/v2")).unwrap();
    assert!(missing.contains("there is no such resource"), "{missing}");
}

#[test]
fn a_file_says_what_is_desired_and_nobody_else() {
    let (pair, mut node) = scene();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("desired.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write(&packages().document("right0", &["sanity"]));
    node.settings = format!("document = \"{}\"\n", file.display());
    node.restart().unwrap();
    node.wait("the file is applied", || node.names().unwrap() == ["sanity"]);
    for arguments in [&["stop", "sanity"][..], &["stop", "--all"], &["rollback", "0"]] {
        let refused = node.cli(arguments).unwrap();
        let words = format!("the desired state is that of the file `{}`", file.display());
        assert!(!refused.ok && refused.stderr.contains(&words), "{}", refused.stderr);
    }
    let refused = node.apply(&packages().document("right0", &["ratelimit"])).unwrap();
    assert!(
        refused.stderr.contains("take `document` out of the daemon's configuration"),
        "{}",
        refused.stderr
    );

    write(&packages().document("right0", &["sanity", "ratelimit"]));
    node.wait("the change is applied", || node.names().unwrap() == ["sanity", "ratelimit"]);
    write("[[chain]]\ninterface = 5\n");
    node.wait("it is refused", || node.l3af(&["status"]).unwrap().contains("invalid type: integer `5`"));
    assert_eq!(node.names().unwrap(), ["sanity", "ratelimit"]);
    assert_eq!(node.status().unwrap().state, wire::State::Refused);
    // The same document is no new generation, a restart neither.
    write(&packages().document("right0", &["sanity", "ratelimit"]));
    node.wait("it is well again", || node.status().unwrap().state == wire::State::Converged);
    node.restart().unwrap();
    assert_eq!((node.names().unwrap().len(), node.status().unwrap().generation), (2, 2));

    let (pins, state) = (node.pins.to_string_lossy().into_owned(), node.state());
    node.cli(&["detach", "--all", "--pins", &pins, "--state", &state.to_string_lossy()])
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(it::ping(&pair, 2).unwrap(), 2);
    node.restart().unwrap();
    assert!(node.names().unwrap().is_empty());
    write(&packages().document("right0", &["sanity", "ratelimit"]));
    node.wait("what was written since is applied", || node.names().unwrap() == ["sanity", "ratelimit"]);
}

#[test]
fn all_that_is_wrong_with_a_document_is_told_at_once() {
    let (_pair, node) = scene();
    let refused =
        node.apply("[[chain]]\ninterface = \"a b\"\nhook = \"xpd\"\n[[probe]]\nname = 5\n").unwrap().stderr;
    for line in ["line 2, `/chain/0/interface`", "line 3, `/chain/0/hook`", "line 5, `/probe/0/name`"] {
        assert!(refused.contains(line), "{line}: {refused}");
    }
    let body = r#"{"chain":[{"interface":"a/b","hook":"xpd","member":[{"name":"A"}]}],"colour":"red"}"#;
    let answer = it::run(&format!(
        "curl -sS --unix-socket {} -X PUT -H Content-Type:application/json -d {body} http://l3afd/v1/desired",
        node.socket().display()
    ))
    .unwrap();
    let problem: wire::Problem = serde_json::from_str(&answer).unwrap();
    let places: Vec<&str> = problem.errors.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(places, ["/chain/0/hook", "/chain/0/interface", "/chain/0/member/0/name", "/colour"]);
    assert_eq!(problem.status, 422);
    assert_eq!(node.status().unwrap().generation, 0);
}

#[test]
fn all_that_cannot_be_as_a_document_says_is_told_at_once() {
    let (_pair, node) = scene();
    let sanity = packages().path("sanity");
    let member = |name: &str, more: &str| {
        format!("[[chain.member]]\nname = \"{name}\"\npackage = \"{sanity}\"\n{more}\n")
    };
    let chain = "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n";
    let document = [
        chain,
        &member("a", "config = { no_such = 1 }"),
        &member("b", "proceed = [\"ok\"]"),
        &member("c", "program = \"other\""),
        chain,
        "[[chain.member]]\nname = \"d\"\n[[probe]]\nname = \"e\"\n[[deployment]]\nname = \"f\"\n",
        &format!("package = \"{sanity}\"\n"),
    ];
    let refused = node.apply(&document.concat()).unwrap().stderr;
    for told in [
        "`/deployment/0`: no member and no probe is part of the deployment `f`",
        "`/chain/0/member/0/config/no_such` = 1: does not exist; expected a parameter (`check_header`",
        "`/chain/0/member/1`: the chain on `right0/xdp` cannot be made: the proceed set of `b` cannot be used",
        "`/chain/0/member/2`: the chain on `right0/xdp` cannot be made: package `sanity` has no program `other`",
        "`/chain/1`: the document has two chains for `right0/xdp`",
        "`/chain/1/member/0`: `d` names no package",
        "`/probe/0`: `e` names no package",
    ] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
    let checks = "[[check]]\nname = \"x\"\n[[check]]\nname = \"y\"\ncommand = \"none\"\n";
    let refused = node.apply(&(packages().document("right0", &["sanity"]) + checks)).unwrap().stderr;
    assert!(refused.contains("`/check/0`: ") && refused.contains("`/check/1`: "), "{refused}");
    assert_eq!(node.status().unwrap().generation, 0);
}

#[test]
fn all_that_a_machine_cannot_run_is_told_at_once_with_its_place() {
    let (_pair, node) = scene();
    let member = format!("[[chain.member]]\nname = \"m\"\npackage = \"{}\"\n", packages().path("sanity"));
    let chain = |interface: &str, more: &str| {
        format!("[[chain]]\ninterface = \"{interface}\"\nhook = \"xdp\"\n{more}\n{member}")
    };
    let wrong = format!(
        "{}{}{}",
        chain("nosuch0", ""),
        chain("right0", "position = \"first\""),
        chain("nosuch1", "position = \"first\"")
    );
    let refused = node.apply(&wrong).unwrap();
    for line in [
        "`/chain/0`: there is no interface `nosuch0` for the chain on `nosuch0/xdp`",
        "`/chain/1`: `position` has no meaning for the chain on `right0/xdp`",
        "`/chain/2`: there is no interface `nosuch1` for the chain on `nosuch1/xdp`",
        "`/chain/2`: `position` has no meaning for the chain on `nosuch1/xdp`",
    ] {
        assert!(refused.stderr.contains(line), "{line}: {}", refused.stderr);
    }
    assert_eq!(node.chains().unwrap(), []);
}
