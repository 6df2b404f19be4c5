// SPDX-License-Identifier: Apache-2.0
//! Installations of l3afd v1: its end-to-end suite, byte by byte, and what its clients rely on beside that.

mod built;
mod errands;
mod probes;
mod release;

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

use it::{Artifacts, Chaining, Site, Tunnel};
use serde_json::Value;

const NORMAL: &str = "mode = \"normal\"\n";
const CONFIGS: &str = "/l3af/configs/v1";
/// The directions, as payloads have them, in the order of answers.
const DIRECTIONS: [&str; 3] = ["xdp_ingress", "tc_ingress", "tc_egress"];

/// The programs of `it/fixtures`, built once for all stories.
fn artifacts() -> &'static Artifacts {
    static ARTIFACTS: OnceLock<Artifacts> = OnceLock::new();
    ARTIFACTS.get_or_init(|| Artifacts::build().expect("the programs build; stories need root and clang 19"))
}

/// A site whose daemon runs under a policy.
fn site(artifacts: &Artifacts, policy: &str) -> Site {
    let mut site = Site::new(artifacts, policy).unwrap();
    site.start().unwrap();
    site
}

/// Sends a payload, and expects that it is taken.
#[track_caller]
fn post(site: &Site, action: &str, payload: &str) {
    taken(site, action, &site.payload(payload).unwrap());
}

/// Sends a body, and expects that it is taken.
#[track_caller]
fn taken(site: &Site, action: &str, body: &str) {
    let answer = site.post(&format!("{CONFIGS}/{action}"), body).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{body}\n{}", site.log());
}

/// What is expected to run: a direction and the program, for each.
fn programs(site: &Site, expected: &str) -> Vec<(&'static str, Value)> {
    let expected: Value = serde_json::from_str(&site.payload(expected).unwrap()).unwrap();
    let of = |direction: &'static str| {
        let listed = expected["bpf_programs"][direction].as_array().cloned().unwrap_or_default();
        listed.into_iter().map(move |program| (direction, program))
    };
    DIRECTIONS.into_iter().flat_map(of).collect()
}

/// What the suite looks at after each change.
#[track_caller]
fn validate(site: &Site, expected: &str) {
    validate_answer(site, expected);
    validate_debug(site, expected);
    for (direction, program) in programs(site, expected) {
        match (program["name"].as_str().unwrap(), direction) {
            ("ratelimiting", _) => rises(site, "rl_drop_count_map_0_scalar"),
            ("connection-limit", _) => rises(site, "cl_recv_count_map_0_scalar"),
            ("ipfix-flow-exporter", "tc_ingress") => exports(site, 4755),
            ("ipfix-flow-exporter", "tc_egress") => exports(site, 4756),
            ("traffic-mirroring", "tc_ingress") => mirrors(site, "dst"),
            ("traffic-mirroring", "tc_egress") => mirrors(site, "src"),
            (name, direction) => panic!("nobody knows what `{name}` does at `{direction}`"),
        }
    }
}

#[track_caller]
fn validate_answer(site: &Site, expected: &str) {
    let answer = site.get(&format!("{CONFIGS}/ibpfbr")).unwrap();
    assert_eq!(answer.status, 200);
    // The file has a newline at its end, which the answer has not.
    let (is, should) = (format!("{}\n", answer.text()), site.payload(expected).unwrap());
    let line = is.lines().zip(should.lines()).position(|(is, should)| is != should);
    assert!(is == should, "it is not `{expected}`, from line {line:?}:\n{is}\n{}", site.log());
}

/// Every program is told of, with an identity that the kernel knows.
#[track_caller]
fn validate_debug(site: &Site, expected: &str) {
    let told = site.debug("ibpfbr").unwrap();
    for program in &told {
        let id = program["ProgID"].as_u64().unwrap();
        site.run(&format!("bpftool prog show id {id}")).unwrap();
    }
    let names = |program: &Value| (program["name"].to_string(), program["map_name"].to_string());
    let told: BTreeSet<_> = told.iter().map(|program| names(&program["Program"])).collect();
    for (_, program) in programs(site, expected) {
        assert!(told.contains(&names(&program)), "{program} is not in {told:?}");
    }
}

/// A counter that is exported rises while there are new connections.
#[track_caller]
fn rises(site: &Site, counter: &str) {
    let before = site.metric(counter).unwrap();
    // As often as the suite looks. Metrics are taken once a second.
    let mut tries = 0..100;
    let has_risen = tries.any(|_| {
        site.load(40).unwrap();
        site.metric(counter).unwrap() > before
    });
    assert!(has_risen, "`{counter}` stays at {before}:\n{}", site.log());
}

/// Flows arrive at the collector, from the port of a direction.
#[track_caller]
fn exports(site: &Site, port: u16) {
    let load = || site.load(20).map(drop);
    site.seen_while("ibpfbr", "port 8080", load).unwrap();
    // Messages with templates alone have 156 bytes, and UDP has 8 more.
    let filter = format!("udp src port {port} and dst port 49280 and udp[4:2] > 164");
    site.seen_while("lo", &filter, load).unwrap();
}

/// Packets to or from port 8080 go into the tunnel, and out of it where it is wrapped.
#[track_caller]
fn mirrors(site: &Site, end: &str) {
    let load = || site.load(20).map(drop);
    site.seen_while("gue1", &format!("tcp {end} port 8080"), load).unwrap();
    site.seen_while("lo", "udp and port 6081", load).unwrap();
}

fn identities(site: &Site) -> Vec<u64> {
    let told = site.debug("ibpfbr").unwrap();
    told.iter().map(|program| program["ProgID"].as_u64().unwrap()).collect()
}

/// The daemon makes place for another one, and nothing that is attached goes.
#[track_caller]
fn restart(site: &mut Site) {
    let (pid, attached) = (site.pid().unwrap(), identities(site));
    let answer = site.put(&format!("{CONFIGS}/restart"), &site.payload("restart_payload").unwrap()).unwrap();
    // The one that goes may hang up before it answers.
    assert!([0, 200].contains(&answer.status) && answer.body.is_empty(), "{answer:?}\n{}", site.log());
    site.wait("another process runs", |site| site.pid().is_ok_and(|other| other != pid)).unwrap();
    site.wait("it answers", |site| site.get(&format!("{CONFIGS}/ibpfbr")).is_ok()).unwrap();
    assert_eq!(identities(site), attached, "{}", site.log());
}

#[test]
fn the_end_to_end_suite_of_l3afd_passes() {
    suite(&mut site(artifacts(), NORMAL));
}

#[test]
fn the_suite_passes_with_artifacts_that_the_site_signed_and_with_no_others() {
    let artifacts = Artifacts::build().unwrap();
    let mut site = site(&artifacts, "");
    let way_over = format!("l3af adopt-l3afd {}", site.configuration().display());
    refused(&site, &[ADD], &site.payload("add_payload").unwrap(), &way_over);
    adopt(&site);
    suite(&mut site);
    site.start().unwrap();
    let status = l3af(&site, "status");
    assert!(status.contains("mode         trusted"), "{status}");
}

/// Runs `l3af` against the daemon.
fn l3af(site: &Site, command: &str) -> String {
    let program = it::binary("l3af").unwrap();
    site.run(&format!("{} --socket {} {command}", program.display(), site.socket().display())).unwrap()
}

/// Signs the artifacts of a site, and has its policy trust them.
fn adopt(site: &Site) {
    fs::remove_file(site.policy()).unwrap();
    let key = site.policy().with_file_name("site.key");
    l3af(site, &format!("key new {} --no-passphrase", key.display()));
    let (config, policy) = (site.configuration(), site.policy());
    let line =
        format!("adopt-l3afd {} --key {} --policy {}", config.display(), key.display(), policy.display());
    assert_eq!(l3af(site, &line).lines().count(), 4, "each artifact is signed");
    let written = fs::read_to_string(&policy).unwrap();
    l3af(site, &line);
    assert_eq!(fs::read_to_string(&policy).unwrap(), written, "a policy that is there stays");
}

/// The suite, step by step.
fn suite(site: &mut Site) {
    if crate::is_emulated() {
        return what_depends_on_the_kernel(site);
    }
    chained_programs_are_added(site);
    restart(site);
    a_limit_is_raised(site);
    mirroring_joins(site);
    restart(site);
    what_is_before_mirroring_is_deleted(site);
    the_rest_is_deleted(site);
    chaining_is_turned_off(site);
    programs_are_added_alone(site);
    restart(site);
    a_limit_is_raised_without_chaining(site);
    programs_that_were_alone_are_deleted(site);
    mirroring_is_added_alone(site);
    mirroring_is_deleted(site);
    nothing_is_left_by_a_daemon_that_ends(site);
}

/// Emulated, to watch for packets after each change takes a quarter of an hour; what that shows is the same on all kernels.
fn what_depends_on_the_kernel(site: &mut Site) {
    post(site, "add", "add_payload");
    validate_answer(site, "exp_output_1");
    validate_debug(site, "exp_output_1");
    rises(site, "rl_drop_count_map_0_scalar");
    restart(site);
    post(site, "delete", "del_payload");
    validate_answer(site, "exp_output_nil");
    nothing_is_left_by_a_daemon_that_ends(site);
}

fn chained_programs_are_added(site: &Site) {
    post(site, "add", "add_payload");
    validate(site, "exp_output_1");
}

fn a_limit_is_raised(site: &Site) {
    post(site, "update", "upd_payload");
    validate(site, "exp_output_2");
    let map = "/sys/fs/bpf/ibpfbr/connection-limit/latest/cl_max_conn";
    assert_eq!(number_at(site, map), 5);
}

/// What a map holds at its first key.
fn number_at(site: &Site, map: &str) -> u64 {
    let dump = site.run(&format!("bpftool -j map dump pinned {map}")).unwrap();
    let dump: Value = serde_json::from_str(&dump).unwrap();
    dump[0]["formatted"]["value"].as_u64().unwrap_or_else(|| panic!("{dump} has no number"))
}

fn mirroring_joins(site: &Site) {
    post(site, "add", "add_tm_payload");
    validate(site, "exp_output_3");
}

fn what_is_before_mirroring_is_deleted(site: &Site) {
    post(site, "delete", "del_ipfix_payload");
    validate(site, "exp_output_4");
}

/// The payload names what was deleted before, too.
fn the_rest_is_deleted(site: &Site) {
    post(site, "delete", "del_payload");
    validate(site, "exp_output_nil");
}

fn chaining_is_turned_off(site: &mut Site) {
    site.interrupt().unwrap();
    fs::remove_file(site.store()).unwrap();
    site.configure(Chaining::Disabled).unwrap();
    site.start().unwrap();
}

fn programs_are_added_alone(site: &Site) {
    post(site, "add", "add_without_chaining_payload");
    validate(site, "exp_output_5");
}

fn a_limit_is_raised_without_chaining(site: &Site) {
    post(site, "update", "upd_without_chaining_payload");
    validate(site, "exp_output_6");
    assert_eq!(number_at(site, "/sys/fs/bpf/ibpfbr/ratelimiting/latest/rl_config_map"), 5);
}

fn programs_that_were_alone_are_deleted(site: &Site) {
    post(site, "delete", "del_without_chaining_payload");
    validate(site, "exp_output_nil");
}

fn mirroring_is_added_alone(site: &Site) {
    post(site, "add", "add_tm_payload");
    validate(site, "exp_output_7");
}

fn mirroring_is_deleted(site: &Site) {
    post(site, "delete", "del_tm_payload");
    validate(site, "exp_output_nil");
}

fn nothing_is_left_by_a_daemon_that_ends(site: &mut Site) {
    site.interrupt().unwrap();
    assert_eq!(site.user_programs().unwrap(), Vec::<Vec<String>>::new());
    assert_eq!(attached(site), "", "nothing was configured any more");
}

/// What is attached at the interface, in the lines of `bpftool`.
fn attached(site: &Site) -> String {
    let shown = site.run("bpftool net show dev ibpfbr").unwrap();
    let lines = shown.lines().filter(|line| line.contains("ibpfbr"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn programs_and_maps_are_pinned_where_user_programs_look() {
    let site = site(artifacts(), NORMAL);
    post(&site, "add", "add_payload");
    post(&site, "add", "add_tm_payload");
    let maps = [
        "ibpfbr/ratelimiting/latest/rl_config_map",
        "ibpfbr/ratelimiting/latest/rl_window_map",
        "ibpfbr/ratelimiting/latest/xdp_rl_ingress_next_prog",
        "ibpfbr/connection-limit/latest/cl_conn_count",
        "ibpfbr/connection-limit/latest/cl_conn_info",
        "tc/globals/ibpfbr/ipfix-flow-exporter/latest/ingress_flow_record_info_map",
        "tc/globals/ibpfbr/ipfix-flow-exporter/latest/last_egress_flow_record_info_map",
        "tc/globals/ibpfbr/ipfix-flow-exporter/latest/ipfix_egress_jmp_table",
        "tc/globals/ibpfbr/traffic-mirroring/latest/redirect_iface",
        "tc/globals/ibpfbr/traffic-mirroring/latest/mirroring_ingress_jmp_table",
    ];
    for map in maps {
        site.run(&format!("bpftool map show pinned /sys/fs/bpf/{map}")).unwrap();
    }
    let programs = [
        "ratelimiting/latest/_xdp_ratelimiting_xdp",
        "connection-limit/latest/_xdp_limit_conn_xdp",
        "ipfix-flow-exporter/latest/_ingress_flow_monitoring_tc",
        "traffic-mirroring/latest/_egress_redirect_tc",
    ];
    for program in programs {
        site.run(&format!("bpftool prog show pinned /sys/fs/bpf/progs/ibpfbr/{program}")).unwrap();
    }
    // The user program wrote what the arguments said; both directions share the map.
    let index = site.run("ip -j link show gue1").unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let map = "/sys/fs/bpf/tc/globals/ibpfbr/traffic-mirroring/latest/redirect_iface";
    assert_eq!(number_at(&site, map), index[0]["ifindex"].as_u64().unwrap());
    post(&site, "delete", "del_payload");
    let left = site.run("find /sys/fs/bpf/ibpfbr /sys/fs/bpf/tc/globals/ibpfbr -type f").unwrap_or_default();
    assert_eq!(left, "", "what is deleted leaves no pins");
}

#[test]
fn daemons_of_packages_get_the_arguments_of_old_and_end_with_their_program() {
    let mut site = site(artifacts(), NORMAL);
    post(&site, "add", "add_payload");
    let exporters = |site: &Site| -> Vec<Vec<String>> {
        let all = site.user_programs().unwrap();
        all.into_iter().filter(|words| words[0].contains("bpf_ipfix_")).collect()
    };
    let mut running = exporters(&site);
    running.sort();
    assert_eq!(running.len(), 2, "{running:?}");
    for (words, direction) in running.iter().zip(["egress", "ingress"]) {
        assert!(words[0].ends_with(&format!("bpf_ipfix_{direction}")), "{words:?}");
        let first = ["--iface=ibpfbr", &format!("--direction={direction}"), "--version=latest"];
        assert_eq!(words[1..4], first, "{words:?}");
        let others: BTreeSet<&str> = words[4..].iter().map(String::as_str).collect();
        let expected = ["--collector_ip=127.0.0.1", "--collector_port=49280", "--verbose=2"];
        assert_eq!((others, words.len()), (BTreeSet::from(expected), 7));
    }
    post(&site, "delete", "del_ipfix_payload");
    site.wait("they end", |site| exporters(site).is_empty()).unwrap();
}

#[test]
fn what_is_stored_is_what_is_told_and_runs_after_a_start() {
    let mut site = site(artifacts(), NORMAL);
    post(&site, "add", "add_payload");
    let stored = || fs::read_to_string(site.store()).unwrap();
    // One blank for each level, and the whole in an array.
    let told = site.get(&format!("{CONFIGS}/ibpfbr")).unwrap().text();
    let narrow = |line: &str| {
        let text = line.trim_start();
        format!("{}{text}", " ".repeat((line.len() - text.len()) / 2 + 1))
    };
    let narrow: Vec<String> = told.lines().map(narrow).collect();
    assert_eq!(stored(), format!("[\n{}\n]", narrow.join("\n")));
    let before = stored();
    site.interrupt().unwrap();
    assert_eq!(fs::read_to_string(site.store()).unwrap(), before, "an end is not a change");
    site.start().unwrap();
    site.wait("it is deployed", |site| identities(site).len() >= 4).unwrap();
    validate_answer(&site, "exp_output_1");
    rises(&site, "rl_drop_count_map_0_scalar");
}

/// The links that are pinned on this site, by their numbers in the kernel.
fn links(site: &Site) -> BTreeSet<u64> {
    let told: Value = serde_json::from_str(&site.run("bpftool -f -j link list").unwrap()).unwrap();
    let kinds = ["xdp", "tcx"].map(Value::from);
    let is_here = |link: &&Value| {
        let is_pinned = link["pinned"].as_array().is_some_and(|pins| !pins.is_empty());
        is_pinned && kinds.contains(&link["type"])
    };
    told.as_array().unwrap().iter().filter(is_here).map(|link| link["id"].as_u64().unwrap()).collect()
}

/// The filters for packets that are sent.
fn filters(site: &Site) -> String {
    site.run("tc filter show dev ibpfbr egress").unwrap()
}

#[test]
fn the_hooks_of_a_l3afd_that_runs_are_taken_over_without_a_lost_packet_and_given_back() {
    let mut site = site(artifacts(), NORMAL);
    post(&site, "add", "add_payload");
    validate_answer(&site, "exp_output_1");
    let (old, child) = site.make_old().unwrap();
    let before = links(&site);
    assert!(!before.is_empty() && filters(&site).contains("pref 49152 bpf"), "it is attached still");
    // Nothing of it is signed, and nothing is trusted: what the old one attached runs on.
    fs::write(site.policy(), "").unwrap();
    site.start_with(&["--take-over"]).unwrap();
    site.wait("it is refused", |site| site.log().contains("cannot be taken over")).unwrap();
    assert_eq!(links(&site), before);
    site.interrupt().unwrap();
    fs::write(site.policy(), NORMAL).unwrap();
    let client = site.client().to_owned();
    let pings = std::thread::spawn(move || it::run_in(&client, "ping -q -i 0.01 -c 500 192.168.15.80"));
    site.start_with(&["--take-over"]).unwrap();
    site.wait("it is deployed", |site| identities(site).len() >= 4).unwrap();
    assert!(!Site::is_running(old) && !Site::is_running(child), "the old one and its own are gone");
    validate_answer(&site, "exp_output_1");
    assert!(before.is_subset(&links(&site)), "packets come by the same links");
    assert!(!filters(&site).contains("pref 49152 bpf"), "{}", filters(&site));
    assert_eq!(site.run("find /sys/fs/bpf/links -type f").unwrap(), "");
    let report = pings.join().unwrap().unwrap();
    assert!(report.contains("500 received"), "{report}");
    rises(&site, "rl_drop_count_map_0_scalar");
    // And the way back: everything is off, and the store has what is to run.
    let stored = fs::read_to_string(site.store()).unwrap();
    let line = format!(
        "{} adopt-l3afd {} --back --state {}",
        it::binary("l3af").unwrap().display(),
        site.configuration().display(),
        site.state().display()
    );
    site.run(&line).unwrap();
    assert_eq!((attached(&site).as_str(), site.pid().is_err()), ("", true));
    assert_eq!(fs::read_to_string(site.store()).unwrap(), stored);
    // A daemon that starts by mistake leaves the hooks alone, until it is to take over again.
    site.start().unwrap();
    assert_eq!(attached(&site), "");
    site.interrupt().unwrap();
    site.start_with(&["--take-over"]).unwrap();
    site.wait("it is deployed", |site| identities(site).len() >= 4).unwrap();
    validate_answer(&site, "exp_output_1");
}

#[test]
fn an_interface_that_nobody_configured_has_nothing() {
    let site = site(artifacts(), NORMAL);
    let answer = site.get(&format!("{CONFIGS}/nosuch0")).unwrap();
    let nothing = site.payload("exp_output_nil").unwrap();
    let nothing = nothing.replace("ibpfbr", "nosuch0").replace("192.168.15.80", "");
    assert_eq!((answer.status, format!("{}\n", answer.text())), (200, nothing));
    let all = site.get(CONFIGS).unwrap();
    assert_eq!(all.status, 200);
    assert!(["[]", "null"].contains(&all.text().as_str()), "{}", all.text());
    assert_eq!(site.debug("nosuch0").unwrap(), Vec::<Value>::new());
}

/// Sends a body to each path that changes something, and expects this of the texts of the errors.
#[track_caller]
fn refused(site: &Site, actions: &[(&str, &str)], body: &str, because: &str) {
    for (action, begin) in actions {
        let answer = site.post(&format!("{CONFIGS}/{action}"), body).unwrap();
        let text = answer.text();
        assert_eq!(answer.status, 500, "{action}: {text}");
        assert!(text.starts_with(begin) && text.contains(because), "{action}: {text}");
    }
    assert_eq!(attached(site), "", "nothing runs");
}

const ADD: (&str, &str) = ("add", "failed to AddEbpfPrograms : ");
const UPDATE: (&str, &str) = ("update", "failed to deploy ebpf programs: ");
const DELETE: (&str, &str) = ("delete", "failed to DeleteEbpfPrograms : ");

#[test]
fn what_a_document_says_is_looked_at_as_a_payload_is() {
    let (_pair, node) = crate::scene();
    let good = [
        ("name", "sanity"),
        ("version", "latest"),
        ("artifact", "a.tar.gz"),
        ("object_file", "sanity.bpf.o"),
        ("admin_status", "enabled"),
        ("prog_type", "xdp"),
        ("entry_function_name", "sanity"),
    ];
    let apply = |interface: &str, key: &str, value: &str| {
        let table =
            good.map(|(known, good)| format!("{known} = \"{}\"", if known == key { value } else { good }));
        let own = if good.iter().any(|(known, _)| *known == key) {
            String::new()
        } else {
            format!(", {key} = \"{value}\"")
        };
        let member = format!("sanity:program = \"sanity\"\nl3afd = {{ {}{own} }}", table.join(", "));
        node.apply(&crate::packages().document(interface, &[&member])).unwrap()
    };
    for (interface, key, value, because) in [
        ("right0", "name", "../../other", "`name` of the program `../../other`"),
        ("right0", "version", "..", "`version` of the program `sanity`"),
        ("right0", "entry_function_name", "../../other", "`entry_function_name` of the program `sanity`"),
        ("right0", "rules_file", "../../etc/passwd", "`rules_file` of the program `sanity`"),
        ("right0", "object_file", "other.bpf.o", "is in the object `sanity.bpf.o`, not in `other.bpf.o`"),
        ("right0", "cmd_start", "none", "has no executable `none`"),
        ("right*", "name", "sanity", "cannot be at `right*/xdp`"),
    ] {
        let refused = apply(interface, key, value);
        assert!(!refused.ok && refused.stderr.contains(because), "{because}: {}", refused.stderr);
    }
    assert!(apply("right0", "name", "sanity").ok);
    node.l3af(&["stop", "--all"]).unwrap();
}

#[test]
fn what_is_no_payload_is_refused_in_the_words_of_old() {
    let site = site(artifacts(), NORMAL);
    let actions = ["add", "update", "delete"].map(|action| (action, "failed to unmarshal payload: "));
    let no_number = site.payload("add_payload").unwrap().replace("\"seq_id\": 1", "\"seq_id\": \"1\"");
    for body in ["nothing", "[{", "{}", "[1]"] {
        refused(&site, &actions, body, "");
    }
    refused(&site, &actions[..2], &no_number, "");
}

#[test]
fn the_api_tells_what_it_is_where_it_always_did() {
    let site = site(artifacts(), NORMAL);
    let description: Value = serde_json::from_slice(&site.get("/swagger/doc.json").unwrap().body).unwrap();
    let restart = &description["paths"]["/l3af/configs/{version}/restart"]["put"]["summary"];
    assert_eq!(restart, "Lets another version of the daemon take over.");
    let page = site.get("/swagger/index.html").unwrap().text();
    assert!(page.contains("POST /l3af/configs/{version}/update") && page.contains("seq_id"), "{page}");
}

#[test]
fn a_payload_for_another_host_is_refused() {
    let site = site(artifacts(), NORMAL);
    let because = "provided bpf programs do not belong to this host";
    let own = format!("\"{}\"", Site::host().unwrap());
    let other = |name: &str| site.payload(name).unwrap().replace(&own, "\"another-host\"");
    refused(&site, &[ADD, UPDATE], &other("add_payload"), because);
    refused(&site, &[DELETE], &other("del_payload"), because);
}

#[test]
fn nothing_outside_of_an_artifact_is_run_or_read() {
    let site = site(artifacts(), NORMAL);
    let payload = site.payload("add_without_chaining_payload").unwrap();
    let attempts = [
        ("\"cmd_start\": \"bpf_ipfix_", "\"cmd_start\": \"../../../../bin/sh_"),
        ("\"name\": \"ipfix-flow-exporter\"", "\"name\": \"../ipfix-flow-exporter\""),
        ("\"version\": \"latest\"", "\"version\": \"../latest\""),
        ("\"artifact\": \"l3af_bpf_ipfix", "\"artifact\": \"../l3af_bpf_ipfix"),
        ("\"object_file\": \"bpf_ipfix_", "\"object_file\": \"../bpf_ipfix_"),
    ];
    for (from, to) in attempts {
        let changed: Value = serde_json::from_str(&payload.replace(from, to)).unwrap();
        assert_ne!(changed, serde_json::from_str::<Value>(&payload).unwrap(), "{to}");
        // What is refused is alone, so that nothing else runs.
        let mut only = changed;
        only[0]["bpf_programs"]["xdp_ingress"] = Value::Null;
        refused(&site, &[ADD, UPDATE], &only.to_string(), "");
        assert_eq!(site.user_programs().unwrap(), Vec::<Vec<String>>::new());
    }
}

#[test]
fn a_site_is_what_its_suite_needs() {
    let site = Site::new(artifacts(), NORMAL).unwrap();
    assert_eq!(site.load(40).unwrap(), 40, "nobody limits anything");
    let ping = || site.run("ping -c 1 -W 1 -q 192.168.15.1").map(drop);
    assert!(!site.seen_while("ibpfbr", "icmp", ping).unwrap().is_empty());
    // What goes into the tunnel comes out wrapped.
    if site.tunnel == Tunnel::Vxlan {
        site.run("ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev gue1").unwrap();
    }
    site.run("ip route add 192.0.2.1 dev gue1").unwrap();
    // Nobody answers there.
    let ping = || {
        drop(site.run("ping -c 1 -W 0.1 -q 192.0.2.1"));
        Ok(())
    };
    assert!(!site.seen_while("lo", "udp and port 6081", ping).unwrap().is_empty());
    assert_eq!(site.run("find /sys/fs/bpf -mindepth 1 -not -name *.debug").unwrap(), "");
    assert_eq!(site.user_programs().unwrap(), Vec::<Vec<String>>::new());
    let files =
        ["ratelimiting", "connection-limit", "ipfix-flow-exporter", "traffic-mirroring"].map(|name| {
            let archive = artifacts().archive(name).unwrap();
            it::run(&format!("tar --list --verbose --gzip --file {}", archive.display())).unwrap()
        });
    for listed in files {
        let first = listed.lines().next().unwrap();
        assert!(first.starts_with("drwx") && first.ends_with('/'), "{listed}");
        let commands = listed.lines().skip(1).filter(|line| !line.ends_with(".bpf.o"));
        assert!(commands.into_iter().all(|line| line.starts_with("-rwxr-xr-x")), "{listed}");
    }
}

#[test]
fn the_answers_that_are_expected_are_the_payloads_with_defaults() {
    let site = Site::new(artifacts(), NORMAL).unwrap();
    let read = |name: &str| -> Value { serde_json::from_str(&site.payload(name).unwrap()).unwrap() };
    let pairs = [
        ("add_payload", "exp_output_1", 2),
        ("upd_payload", "exp_output_2", 2),
        ("add_without_chaining_payload", "exp_output_5", 1),
        ("upd_without_chaining_payload", "exp_output_6", 1),
        ("add_tm_payload", "exp_output_7", 0),
    ];
    for (payload, expected, at_xdp) in pairs {
        let (asked, told) = (&read(payload)[0], read(expected));
        assert_eq!(told["bpf_programs"]["xdp_ingress"].as_array().map_or(0, Vec::len), at_xdp);
        for (direction, program) in programs(&site, expected) {
            let mine = asked["bpf_programs"][direction].as_array().unwrap().iter();
            let mine =
                mine.filter(|asked| asked["name"] == program["name"]).filter_map(|asked| asked.as_object());
            for (key, value) in mine.flatten() {
                assert_eq!(&program[key], value, "`{key}` in `{expected}`");
            }
        }
    }
    for name in ["exp_output_3", "exp_output_4", "exp_output_7", "exp_output_nil"] {
        assert_eq!(read(name)["ipv4_address"], "192.168.15.80");
        assert_eq!(read(name)["bpf_programs"]["probes"], Value::Null);
    }
}
