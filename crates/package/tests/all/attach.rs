// SPDX-License-Identifier: Apache-2.0
//! Where probes attach: what the section, the manifest and the document say together, and what cannot be.

use package::{AttachOptions, Attachment, Manifest, ProbeKind, ProgramKind};
use proptest::prelude::*;

use crate::manifest::MANIFEST;

/// Options as a document has them.
fn options(toml: &str) -> AttachOptions {
    toml::from_str(toml).unwrap()
}

fn settle(kind: &str, section: &str, toml: &str) -> String {
    let Ok(ProgramKind::Probe(kind)) = kind.parse() else { panic!("{kind} is no kind of probe") };
    match Attachment::settle(kind, section, &options(toml)) {
        Ok(attachment) => {
            assert_eq!(attachment.kind(), kind);
            let json = serde_json::to_string(&attachment).unwrap();
            assert_eq!(serde_json::from_str::<Attachment>(&json).unwrap(), attachment, "{json}");
            attachment.to_string()
        }
        Err(bad) => bad.to_string(),
    }
}

#[test]
fn a_section_says_where_where_nothing_else_does() {
    for (kind, section, target) in [
        ("kprobe", "kprobe/tcp_connect", "tcp_connect"),
        ("kprobe", "kprobe/tcp_connect+0x8", "tcp_connect+0x8"),
        ("kretprobe", "kretprobe/tcp_connect", "tcp_connect"),
        ("tracepoint", "tp/sched/sched_switch", "sched:sched_switch"),
        ("tracepoint", "tracepoint/sched/sched_switch", "sched:sched_switch"),
        ("raw-tracepoint", "raw_tp/sched_switch", "sched_switch"),
        ("tp-btf", "tp_btf/sched_switch", "sched_switch"),
        ("uprobe", "uprobe//usr/bin/bash:readline", "/usr/bin/bash:readline"),
        ("uretprobe", "uretprobe.s//usr/bin/bash:readline+4", "/usr/bin/bash:readline+0x4"),
        ("usdt", "usdt//usr/bin/bash:bash:prompt", "/usr/bin/bash:bash:prompt"),
        ("fentry", "fentry/tcp_connect", "tcp_connect"),
        ("fexit", "fexit.s/tcp_connect", "tcp_connect"),
        ("lsm", "lsm/file_open", "file_open"),
        ("iter", "iter/task", "task"),
        ("cgroup", "cgroup_skb/egress", "/sys/fs/cgroup:egress"),
        ("cgroup", "cgroup/connect4", "/sys/fs/cgroup:connect4"),
        ("cgroup", "cgroup/sock", "/sys/fs/cgroup:sock_create"),
        ("sockops", "sockops", "/sys/fs/cgroup"),
        ("sk-lookup", "sk_lookup", "own network namespace"),
    ] {
        assert_eq!(settle(kind, section, ""), target, "{section}");
    }
}

#[test]
fn what_a_document_says_goes_before_the_section() {
    let check = |kind, section, toml, target: &str| assert_eq!(settle(kind, section, toml), target);
    check("kprobe", "kprobe/tcp_connect+8", "symbol = \"tcp_close\"", "tcp_close");
    check("kprobe", "kprobe/tcp_connect+8", "offset = 16", "tcp_connect+0x10");
    check("kprobe", "l3af_old", "symbol = \"tcp_close\"", "tcp_close");
    check("uprobe", "uprobe", "path = \"/bin/x\"\noffset = 4096", "/bin/x+0x1000");
    check("cgroup", "cgroup/skb", "event = \"ingress\"\ncgroup = \"/g\"", "/g:ingress");
    let filter = "family = \"ipv4\"\nhook = \"input\"\npriority = -5\ndefragment = true";
    check("netfilter", "netfilter", filter, "ipv4:input:-5");
    check("perf-event", "perf_event", "event = \"cpu-clock\"\nfrequency = 99\ncpu = 0", "cpu-clock");
    check("netkit-peer", "netkit/peer", "interface = \"nk0\"", "nk0");
}

#[test]
fn options_that_do_not_say_where_are_refused_with_option_and_kind() {
    insta::assert_snapshot!(settle("kprobe", "kprobe/x", "path = \"/bin/x\""), @"the kind `kprobe` has no option `path`; it has `symbol`, `offset`, `cookie`");
    insta::assert_snapshot!(settle("kprobe", "kprobe", ""), @"the kind `kprobe` needs the option `symbol`");
    insta::assert_snapshot!(settle("kprobe", "kprobe/x", "offset = -1"), @"the option `offset` of the kind `kprobe` cannot be `-1`: invalid digit found in string");
    insta::assert_snapshot!(settle("tracepoint", "tp", "tracepoint = \"exec\""), @"the option `tracepoint` of the kind `tracepoint` cannot be `exec`: it must be `category:name`");
    insta::assert_snapshot!(settle("uprobe", "uprobe/bash:readline", ""), @"the option `path` of the kind `uprobe` cannot be `bash`: `bash` is not a path: it must be an absolute path of at most 4095 bytes");
    insta::assert_snapshot!(settle("uprobe", "uprobe", "path = \"/bin/x\""), @"the kind `uprobe` needs the option `symbol`");
    insta::assert_snapshot!(settle("usdt", "usdt//bin/x", "name = \"y\""), @"the kind `usdt` needs the option `path`");
    insta::assert_snapshot!(settle("cgroup", "cgroup/skb", ""), @"the kind `cgroup` needs the option `event`");
    insta::assert_snapshot!(settle("netfilter", "netfilter", "family = \"ip\"\nhook = \"input\"\npriority = 0"), @"the option `family` of the kind `netfilter` cannot be `ip`: it must be one of ipv4, ipv6");
    insta::assert_snapshot!(settle("netfilter", "netfilter", "family = \"ipv4\"\nhook = \"input\"\npriority = -2147483648"), @"the option `priority` of the kind `netfilter` cannot be `-2147483648`: it must be -2147483647 to 2147483646");
    insta::assert_snapshot!(settle("perf-event", "perf_event", "event = \"cpu-clock\"\nfrequency = 9\nperiod = 9"), @"the kind `perf-event` takes `frequency` or `period`, not both");
    insta::assert_snapshot!(settle("perf-event", "perf_event", "event = \"cpu-clock\""), @"the kind `perf-event` needs the option `frequency`");
    assert!(
        toml::from_str::<AttachOptions>("simbol = 1")
            .unwrap_err()
            .to_string()
            .contains("unknown variant `simbol`")
    );
}

#[test]
fn a_manifest_keeps_probes_and_members_apart() {
    let with = |program: &str| {
        let head = MANIFEST.split("[[program]]").next().unwrap();
        Manifest::parse(&format!("{head}[[program]]\nfunction = \"f\"\nobject = \"f.o\"\n{program}"))
    };
    let probe = with("hook = \"kprobe\"\nattach = { symbol = \"tcp_connect\" }").unwrap();
    assert_eq!(probe.programs[0].hook, ProgramKind::Probe(ProbeKind::Kprobe));
    let refused = |program: &str| with(program).unwrap_err().to_string();
    insta::assert_snapshot!(refused("hook = \"kprobe\"\nproceed = [\"pass\"]"), @"`proceed` of the program `f` in `package.toml` is for members of chains; it is a `kprobe`");
    insta::assert_snapshot!(refused("hook = \"lsm\"\ntail_calls = 3"), @"`tail_calls` of the program `f` in `package.toml` is for members of chains; it is a `lsm`");
    insta::assert_snapshot!(refused("hook = \"xdp\"\nattach = { cookie = 3 }"), @"`attach` of the program `f` in `package.toml` is for probes; it is for the hook `xdp`");
    insta::assert_snapshot!(refused("hook = \"kprobe\"\nattach = { path = \"/x\" }"), @"`attach` of the program `f` in `package.toml`: the kind `kprobe` has no option `path`; it has `symbol`, `offset`, `cookie`");
    assert!(refused("hook = \"kporbe\"").contains("`kporbe` is not a kind of program"));
}

proptest! {
    #[test]
    fn no_section_makes_the_reader_panic(section in "[a-z_.]{0,12}(/[ -~]{0,30}){0,3}", kind in 0..ProbeKind::ALL.len()) {
        drop(Attachment::settle(ProbeKind::ALL[kind], &section, &AttachOptions::default()));
    }
}
