// SPDX-License-Identifier: Apache-2.0
//! What became of packets in their chain, and who decided: records say what the chain's own counters say.

use super::{Got, OURS, apply, datagrams, document, log, metering, process, scene, send};
use crate::packages;

/// A package that drops what goes to a port of UDP.
fn guard(name: &str, port: u16) -> String {
    let source = format!(
        "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n\
         #include \"vmlinux.h\"\n#include <bpf/bpf_endian.h>\n#include <bpf/bpf_helpers.h>\n\
         SEC(\"tc\") int guard(struct __sk_buff *ctx)\n{{\n\
         struct ethhdr *ethernet = (void *)(long)ctx->data;\nstruct iphdr *ip = (void *)(ethernet + 1);\n\
         struct udphdr *udp = (void *)(ip + 1);\n\
         if ((void *)(udp + 1) > (void *)(long)ctx->data_end) return TC_ACT_UNSPEC;\n\
         if (ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP) return TC_ACT_UNSPEC;\n\
         return udp->dest == bpf_htons({port}) ? TC_ACT_SHOT : TC_ACT_UNSPEC;\n}}\n\
         char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";\n"
    );
    let program = format!(
        "[[program]]\nfunction = \"guard\"\nobject = \"{name}.bpf.o\"\nsource = \"{name}.bpf.c\"\nhook = \"tc-ingress\"\n"
    );
    packages().from_source((name, "0.1.0"), &source, &program).unwrap()
}

/// Verdict, position, member, forwarding status and packets of each record of a flow.
fn verdicts(got: &Got, port: u64) -> Vec<(u64, u64, String, u64, u64)> {
    let records = got.records.values().filter(|record| record.values.contains_key(&(0, 11)));
    let of_flow = records.filter(|record| record.number(0, 11) == port);
    let mut verdicts: Vec<(u64, u64, String, u64, u64)> = of_flow
        .map(|record| {
            let dropped = if record.number(OURS, 1) == 3 { record.number(0, 2) } else { 0 };
            assert_eq!(record.number(0, 133), dropped);
            let (verdict, position) = (record.number(OURS, 1), record.number(OURS, 3));
            (verdict, position, record.text(OURS, 2), record.number(0, 89), record.number(0, 2))
        })
        .collect();
    verdicts.sort();
    verdicts
}

#[test]
fn records_say_which_member_decided_and_what() {
    let Some((pair, node)) = scene() else { return };
    let (socket, port) = datagrams(&pair, "127.0.0.1");
    let (first, second) = (guard("guard-first", 1001), guard("guard-second", 1002));
    let checkpoint = |position: u8, behind: &str, more: &str| {
        format!(
            "{{ name = \"behind-{behind}\", deployment = \"flows\", program = \"checkpoint_ingress\", \
             config = {{ position = {position}, behind = \"{behind}\"{more} }} }}"
        )
    };
    let members = [
        "{ name = \"flows\", program = \"flows_ingress\" }".to_owned(),
        format!("{{ name = \"first\", package = \"{first}\" }}"),
        checkpoint(1, "first", ", ended_as = \"dropped\""),
        format!("{{ name = \"second\", package = \"{second}\" }}"),
        checkpoint(2, "second", ""),
    ];
    let config = format!(
        "collector = \"127.0.0.1\", collector_port = {port}, idle_timeout = 1, checkpoints = 2, enterprise_number = {OURS}"
    );
    apply(&node, &document(&config, &members.join(", ")));
    for (to, count) in [(1001, 5), (1002, 6), (1003, 7)] {
        send(&pair, "0.0.0.0:40000", &format!("10.213.7.2:{to}"), count, 100);
    }
    let mut got = Got::default();
    let is_all = |got: &Got| (1001..=1003).all(|port| !verdicts(got, port).is_empty());
    got.receive(&socket, "all is told of", is_all);
    assert_eq!(verdicts(&got, 1001), [(3, 1, "first".to_owned(), 128, 5)]);
    assert_eq!(verdicts(&got, 1002), [(2, 2, "second".to_owned(), 0, 6)]);
    assert_eq!(verdicts(&got, 1003), [(1, 0, String::new(), 64, 7)]);
    // The daemon counts the same where packets leave the chain.
    let members = node.members().unwrap();
    let dropped = |name: &str| {
        members.iter().find(|member| member.name.to_string() == name).unwrap().left["shot"].packets
    };
    assert_eq!((dropped("first"), dropped("second")), (5, 6));
    assert_eq!(metering(&node, "unnoted"), 0);

    // Without the first guard packets of one flow fare differently, and are in two records.
    let before = process(&node);
    let changed =
        members_without_first(&config, &second, &checkpoint(1, "second", ", ended_as = \"dropped\""));
    send(&pair, "0.0.0.0:40001", "10.213.7.2:1002", 3, 100);
    apply(&node, &changed);
    send(&pair, "0.0.0.0:40001", "10.213.7.2:1002", 4, 100);
    node.wait("it is configured anew", || process(&node).is_some_and(|pid| Some(pid) != before));
    got.receive(&socket, "the changed chain is told of", |got| got.udp(40_001, 1002).0 == 7);
    let told = verdicts(&got, 1002);
    assert!(told.contains(&(3, 1, "second".to_owned(), 128, 4)), "{told:?}");
    assert!(log(&node).contains("flows are told to"), "{}", log(&node));
}

fn members_without_first(config: &str, second: &str, checkpoint: &str) -> String {
    let members = format!(
        "{{ name = \"flows\", program = \"flows_ingress\" }}, {{ name = \"second\", package = \"{second}\" }}, {checkpoint}"
    );
    document(&config.replace("checkpoints = 2", "checkpoints = 1"), &members)
}
