// SPDX-License-Identifier: Apache-2.0
//! Trust, while a node runs: nothing older comes back, what loses its trust goes and returns with it, and everybody is told.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ::package::{HookPoint, Package, Referrer, ReferrerKind};
use ::trust::{Envelope, PAYLOAD_TYPE, PrivateKey, Sign, Statement, Terms};
use it::{Node, Side, ping, run, run_in, unique};
use jiff::{SignedDuration, Timestamp};
use wire::{Layout, Problem, State};

use crate::{packages, scene};

const SOURCE: &str = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\nstruct xdp_md { unsigned data, data_end; };\n\
                      __attribute__((section(\"xdp\"), used)) int passes(struct xdp_md *ctx)\n{\n\treturn 2;\n}\n\
                      char LICENSE[] __attribute__((section(\"license\"), used)) = \"Dual BSD/GPL\";\n";

fn manifest(name: &str) -> String {
    format!(
        "[[program]]\nfunction = \"passes\"\nobject = \"{name}.bpf.o\"\nsource = \"{name}.bpf.c\"\nhook = \"xdp\"\n\n"
    )
}

/// A signed package that passes every packet.
fn passes(name: &str, version: &str) -> String {
    packages().from_source((name, version), SOURCE, &manifest(name)).unwrap()
}

fn document(packages: &[(&str, &str)]) -> String {
    let member = |(name, package): &(&str, &str)| {
        format!("[[chain.member]]\nname = \"{name}\"\npackage = \"{package}\"\n")
    };
    let members: String = packages.iter().map(member).collect();
    format!("[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n{members}")
}

fn revoking(release: &str) -> String {
    format!("{}[[revoked]]\nrelease = \"{release}\"\nreason = \"a hole was found\"\n", packages().policy())
}

/// Calls the API and returns what it answers, whatever that is.
fn curl(node: &Node, arguments: &str) -> String {
    run(&format!("curl -s --unix-socket {} {arguments}", node.socket().display())).unwrap()
}

#[test]
fn an_older_release_is_refused_although_it_is_signed() {
    let (_pair, mut node) = scene();
    let (old, new) = (passes("older", "1.0.0"), passes("older", "1.1.0"));
    node.apply(&document(&[("older", &new)])).unwrap().success().unwrap();
    let refuse = |node: &Node| {
        let refused = node.apply(&document(&[("older", &old)])).unwrap();
        let words = "version 1.0.0 of package `older` is lower than 1.1.0";
        assert!(!refused.ok && refused.stderr.contains(words), "{}", refused.stderr);
    };
    refuse(&node);
    // Neither a restart nor an empty chain in between makes it forget.
    node.l3af(&["stop", "--all"]).unwrap();
    node.kill().unwrap();
    node.restart().unwrap();
    refuse(&node);
    // Another package of the same publisher has versions of its own.
    node.apply(&document(&[("other", &passes("other", "0.1.0"))])).unwrap().success().unwrap();
}

#[test]
fn what_the_kernel_refused_is_not_remembered() {
    let (_pair, node) = scene();
    let wild = SOURCE.replace("return 2;", "return *(char *)(long)ctx->data;");
    let wild = packages().from_source(("wilder", "2.0.0"), &wild, &manifest("wilder")).unwrap();
    let refused = node.apply(&document(&[("wilder", &wild)])).unwrap();
    assert!(refused.stderr.contains("verifier rejects"), "{}", refused.stderr);
    node.apply(&document(&[("wilder", &passes("wilder", "1.0.0"))])).unwrap().success().unwrap();
}

#[test]
fn a_damaged_memory_is_told_and_not_forgotten() {
    let (_pair, mut node) = scene();
    node.apply(&document(&[("kept", &passes("kept", "1.0.0"))])).unwrap().success().unwrap();
    node.kill().unwrap();
    let memory = node.state().join("memory.json");
    let good = fs::read(&memory).unwrap();
    fs::write(&memory, &good[..good.len() / 2]).unwrap();
    node.restart().unwrap();
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains("what this node accepted before cannot be read"), "{status}");
    assert!(status.contains("restore it from a backup"), "{status}");
    assert_eq!(node.names().unwrap(), ["kept"], "what runs is left alone");
    let refused = node.apply(&document(&[("more", &passes("more", "1.0.0"))])).unwrap();
    assert!(!refused.ok && refused.stderr.contains("memory.json"), "{}", refused.stderr);
    fs::write(&memory, good).unwrap();
    node.wait("it recovers", || node.status().unwrap().state == State::Converged);
}

/// Signs a package for a few seconds only.
fn sign_for(package: &str, life: SignedDuration) -> Timestamp {
    let layout = Layout::open(Path::new(package)).unwrap();
    let read = Package::read(&layout, &layout.index().unwrap()).unwrap();
    let key = PrivateKey::from_pem(&fs::read_to_string(packages().path("key")).unwrap()).unwrap();
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let expires = now + life;
    let statement = Statement::about(&read, Terms { expires: Some(expires), ..Terms::from(now) });
    let signed = Envelope::sign(PAYLOAD_TYPE, statement.to_json(), &[&key as &dyn Sign]).unwrap();
    layout.refer(&Referrer { kind: ReferrerKind::Statement, bytes: signed.to_json() }).unwrap();
    expires
}

#[test]
fn what_runs_may_expire_and_survives_a_restart_and_a_reboot() {
    let (_pair, mut node) = scene();
    let brief = packages().unsigned(("brief", "1.0.0"), SOURCE, &manifest("brief")).unwrap();
    let expires = sign_for(&brief, SignedDuration::from_secs(20));
    node.apply(&document(&[("brief", &brief)])).unwrap().success().unwrap();
    while Timestamp::now() <= expires {
        std::thread::yield_now();
    }
    node.hang_up().unwrap();
    node.kill().unwrap();
    // A reboot takes all pins; here they are taken by hand.
    fs::remove_dir_all(node.pins.join("right0")).unwrap();
    node.restart().unwrap();
    assert_eq!(node.names().unwrap(), ["brief"]);
    assert_eq!(node.status().unwrap().alarms, []);
    // It may be applied again as it is, and not begin to run elsewhere.
    node.apply(&document(&[("brief", &brief)])).unwrap().success().unwrap();
    node.l3af(&["stop", "--all"]).unwrap();
    let refused = node.apply(&document(&[("brief", &brief)])).unwrap();
    assert!(refused.stderr.contains("it expired at"), "{}", refused.stderr);
}

#[test]
fn what_is_revoked_leaves_its_chain_and_returns_with_the_trust() {
    let (pair, mut node) = scene();
    let (good, bad) = (passes("good", "1.0.0"), passes("bad", "1.0.0"));
    node.apply(&document(&[("bad", &bad), ("good", &good)])).unwrap().success().unwrap();
    let kept = node.members().unwrap()[1].instance.clone();
    let ends = (&pair.left, &pair.right);
    let (sent, heard, ()) = it::flood_while(ends, Duration::from_micros(100), || {
        node.trust(&revoking("l3af/bad@*"));
        node.wait("it is taken out", || node.names().unwrap() == ["good"]);
        Ok(())
    })
    .unwrap();
    assert!(sent > 100);
    assert_eq!(heard, sent, "taking it out costs no packet");
    assert_eq!(node.members().unwrap()[0].instance, kept, "the others are not touched");
    let status = node.status().unwrap();
    assert_eq!((status.state, status.generation), (State::Converged, 1));
    let [alarm] = status.alarms.as_slice() else { panic!("{:?}", status.alarms) };
    assert_eq!(alarm.removed, ["right0/xdp bad"]);
    assert!(alarm.detail.contains("a hole was found"), "{}", alarm.detail);
    assert!(node.l3af(&["status"]).unwrap().contains("ALARM"));
    assert!(curl(&node, "http://l3afd/metrics").contains("\nl3af_trust_alarms 1\n"));
    let explained = node.l3af(&["status", "--explain"]).unwrap();
    assert!(
        explained.contains("trusted no longer:\n") && explained.contains("FAILED  revocation"),
        "{explained}"
    );
    // A restart does not bring it back, and tells it again.
    node.kill().unwrap();
    node.restart().unwrap();
    assert_eq!(node.names().unwrap(), ["good"]);
    assert_eq!(node.log().matches("is trusted no longer").count(), 2, "{}", node.log());
    // It cannot be applied, which is told by rule; what else there is can be taken out.
    let refused = node.apply(&document(&[("bad", &bad), ("good", &good)])).unwrap();
    assert!(refused.stderr.contains("a hole was found"), "{}", refused.stderr);
    node.trust(&packages().policy());
    node.wait("it comes back", || node.names().unwrap() == ["bad", "good"]);
    assert_eq!(node.status().unwrap().alarms, []);
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

#[test]
fn where_the_policy_says_keep_it_runs_on_and_an_alarm_is_raised() {
    let (_pair, mut node) = scene();
    let lost = passes("lost", "1.0.0");
    node.apply(&document(&[("lost", &lost)])).unwrap().success().unwrap();
    let keep = format!("{}[[hook]]\nname = \"right0/xdp\"\non_revoked = \"keep\"\n", revoking("l3af/lost@*"));
    node.trust(&keep);
    node.hang_up().unwrap();
    node.wait("the alarm", || !node.status().unwrap().alarms.is_empty());
    assert_eq!(node.status().unwrap().alarms[0].kept, ["right0/xdp lost"]);
    node.kill().unwrap();
    fs::remove_dir_all(node.pins.join("right0")).unwrap();
    node.restart().unwrap();
    assert_eq!(node.names().unwrap(), ["lost"], "it runs on after a reboot as well");
    assert_eq!(node.status().unwrap().alarms[0].kept, ["right0/xdp lost"]);
    node.trust(&revoking("l3af/lost@*"));
    node.wait("it goes", || node.names().unwrap().is_empty());
}

#[test]
fn members_beside_what_is_revoked_can_be_taken_out() {
    let (_pair, node) = scene();
    let members = [("first", passes("first", "1.0.0")), ("gone", passes("gone", "1.0.0"))];
    let members: Vec<(&str, &str)> = members.iter().map(|(name, path)| (*name, path.as_str())).collect();
    node.apply(&document(&members)).unwrap().success().unwrap();
    node.trust(&revoking("l3af/gone@1.0.0"));
    node.wait("it is taken out", || node.names().unwrap() == ["first"]);
    node.l3af(&["stop", "first"]).unwrap();
    assert!(node.names().unwrap().is_empty());
    let explained = node.l3af(&["status", "--explain", "--json"]).unwrap();
    let explained: Vec<wire::Explained> = serde_json::from_str(&explained).unwrap();
    let fails =
        |rulings: &[wire::Ruling]| rulings.iter().any(|ruling| ruling.outcome == wire::Verdict::Failed);
    assert!(explained.len() == 1 && !fails(&explained[0].accepted) && fails(&explained[0].withdrawn));
    node.trust(&packages().policy());
    node.wait("it comes back", || node.names().unwrap() == ["gone"]);
}

#[test]
fn a_policy_that_is_gone_or_broken_takes_nothing_out() {
    let (_pair, node) = scene();
    node.apply(&document(&[("steady", &passes("steady", "1.0.0"))])).unwrap().success().unwrap();
    for broken in [None, Some("[[publisher]]\n")] {
        match broken {
            None => fs::remove_file(node.policy()).unwrap(),
            Some(text) => node.trust(text),
        }
        node.wait("it is told", || node.l3af(&["status"]).unwrap().contains("cannot be used"));
        assert_eq!(node.names().unwrap(), ["steady"]);
        let refused = node.apply(&document(&[("new", &passes("new", "1.0.0"))])).unwrap();
        assert!(!refused.ok, "nothing new is accepted meanwhile");
    }
    // All can be taken off whatever the policy says.
    node.l3af(&["stop", "--all"]).unwrap();
    assert!(node.names().unwrap().is_empty());
}

#[test]
fn the_mode_comes_from_the_policy_file_and_from_nowhere_else() {
    let (_pair, node) = scene();
    let plain = packages().unsigned(("unsigned", "1.0.0"), SOURCE, &manifest("unsigned")).unwrap();
    let wanted = document(&[("unsigned", &plain)]);
    let refused = node.apply(&format!("mode = \"normal\"\n{wanted}")).unwrap();
    assert!(refused.stderr.contains("unknown field `mode`"), "{}", refused.stderr);
    let body = packages().path("unsigned.json");
    let json = |extra: &str| {
        format!(
            "{{{extra}\"chain\":[{{\"interface\":\"right0\",\"hook\":\"xdp\",\"member\":[{{\"name\":\"a\",\"package\":\"file:{plain}\"}}]}}]}}"
        )
    };
    let put = |extra: &str, query: &str| -> Problem {
        fs::write(&body, json(extra)).unwrap();
        let call = format!(
            "-X PUT -H content-type:application/json -H mode:normal -d @{body} http://l3afd/v1/desired{query}"
        );
        serde_json::from_str(&curl(&node, &call)).unwrap()
    };
    assert_eq!(put("\"mode\":\"normal\",", "").status, 422);
    assert_eq!(put("", "?mode=normal").kind, "urn:l3af:problem:query");
    let refused = put("", "");
    assert_eq!((refused.status, refused.kind.as_str()), (403, "urn:l3af:problem:untrusted"));
    let failed: Vec<&str> = refused.rules.iter().map(|ruling| ruling.rule.as_str()).collect();
    assert_eq!(failed, ["envelope"], "a refusal tells the rules that do not hold");
    assert!(node.names().unwrap().is_empty());
    // The file decides, and every list says so from then on.
    node.trust("mode = \"normal\"\n");
    node.apply(&wanted).unwrap().success().unwrap();
    for command in ["ps", "chain", "probes", "status"] {
        assert!(node.l3af(&[command]).unwrap().contains("packages are NOT verified"), "{command}");
        let listed: serde_json::Value =
            serde_json::from_str(&node.l3af(&[command, "--json"]).unwrap()).unwrap();
        assert_eq!(listed["mode"], "normal", "{command}");
    }
    assert!(curl(&node, "http://l3afd/metrics").contains("l3af_trust_mode{l3af_trust_mode=\"normal\"} 1"));
    node.wait("the log says it", || node.log().contains("packages are NOT verified"));
    // What nobody signed goes when packages are verified again.
    node.trust(&packages().policy());
    node.wait("it goes", || node.names().unwrap().is_empty());
}

#[test]
fn what_was_accepted_is_explained_rule_by_rule() {
    let (_pair, node) = scene();
    node.apply(&document(&[("clear", &passes("clear", "1.0.0"))])).unwrap().success().unwrap();
    let explained = node.l3af(&["status", "--explain"]).unwrap();
    for rule in ["mode", "revocation", "publisher", "minimum-version", "signatures", "files", "expiry"] {
        assert!(
            explained.lines().any(|line| line.split_whitespace().nth(1) == Some(rule)),
            "{rule}: {explained}"
        );
    }
    let json: Vec<wire::Explained> =
        serde_json::from_str(&node.l3af(&["status", "--explain", "--json"]).unwrap()).unwrap();
    assert!(json[0].package.ends_with("clear-1.0.0.oci") && json[0].withdrawn.is_empty());
    let kept = fs::read_to_string(node.state().join("generations/1.json")).unwrap();
    assert!(kept.contains("\"explanations\"") && kept.contains("\"minimum-version\""), "{kept}");
}

#[test]
fn metrics_tell_of_trust_and_count_packets() {
    let (pair, node) = scene();
    node.apply(&document(&[("counted", &passes("counted", "1.0.0"))])).unwrap().success().unwrap();
    ping(&pair, 3).unwrap();
    let metrics = curl(&node, "http://l3afd/metrics");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    for line in ["l3af_trust_mode{l3af_trust_mode=\"trusted\"} 1", "l3af_trust_alarms 0", "l3af_generation 1"]
    {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    let number = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    assert!(number("l3af_trust_knowledge_age_seconds ") < 3600.0);
    let of =
        "{interface=\"right0\",hook=\"xdp\",member=\"counted\",package=\"l3af/counted\",version=\"1.0.0\"";
    assert!(number(&format!("l3af_member_seen_packets_total{of}}}")) >= 3.0);
    assert!(number(&format!("l3af_member_left_bytes_total{of},verdict=\"pass\"}}")) >= 3.0 * 84.0);
    let head =
        run(&format!("curl -sI -X GET --unix-socket {} http://l3afd/metrics", node.socket().display()));
    assert!(head.unwrap().contains("application/openmetrics-text; version=1.0.0"));
}

#[test]
fn all_of_it_works_without_any_network() {
    let namespace = unique("l3af-alone");
    run(&format!("ip netns add {namespace}")).unwrap();
    let side = Side { namespace: namespace.clone(), interface: "lo".to_owned(), address: String::new() };
    let links = run_in(&namespace, "ip -brief link").unwrap();
    assert!(links.lines().count() == 1 && links.contains("DOWN"), "only `lo`, and it is down: {links}");
    let package = packages().unsigned(("alone", "1.0.0"), SOURCE, &manifest("alone")).unwrap();
    let (l3af, key) = (it::binary("l3af").unwrap().display().to_string(), packages().path("key"));
    run_in(&namespace, &format!("{l3af} sign {package} --key {key}")).unwrap();
    run_in(&namespace, &format!("{l3af} verify {package} --key {key}.pub")).unwrap();
    {
        let node = Node::start(&side, &packages().policy()).unwrap();
        let document = format!(
            "[[chain]]\ninterface = \"lo\"\nhook = \"{}\"\n[[chain.member]]\nname = \"alone\"\npackage = \"{package}\"\n",
            HookPoint::Xdp
        );
        node.apply(&document).unwrap().success().unwrap();
        assert_eq!(node.names().unwrap(), ["alone"]);
        node.trust(&revoking("l3af/alone@*"));
        node.wait("it is taken out", || node.names().unwrap().is_empty());
    }
    run(&format!("ip netns del {namespace}")).unwrap();
}
