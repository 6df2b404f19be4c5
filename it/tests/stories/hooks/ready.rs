// SPDX-License-Identifier: Apache-2.0
//! User programs that are handed the maps of their package, and are ready before packets come.

use std::fs;

use it::{Node, run, stream_while};
use package::KernelVersion;

use crate::user::{document, granting, only};
use crate::{kernel, packages, scene};

/// Lets packets pass once somebody opened the gate.
const KERNEL_PART: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} gate SEC(".maps");

__u64 seen;

SEC("xdp")
int guarded(struct xdp_md *ctx)
{
	__u32 first = 0, *open = bpf_map_lookup_elem(&gate, &first);

	__sync_fetch_and_add(&seen, 1);
	return open && *open ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

/// Opens the gate of each member that it is told of, after a while, and then says that it is ready. It tells what it was handed, and
/// what bpf(2) refuses it.
const USER_PART: &str = r#"#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int say(const char *text)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(to.sun_path, getenv("NOTIFY_SOCKET"), sizeof(to.sun_path) - 1);
	return sendto(end, text, strlen(text), 0, (void *)&to, sizeof(to)) < 0 ? errno : 0;
}

static long open_gate(int map)
{
	unsigned first = 0, opened = 1;
	union bpf_attr what = { .map_fd = map, .key = (long)&first, .value = (long)&opened };

	return syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &what, sizeof(what)) ? errno : 0;
}

int main(void)
{
	union bpf_attr other = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
	const char *lines = getenv("L3AF_MAPS");
	char map[64], member[64], hook[64];
	int number, length;

	usleep(DELAY);
	while (sscanf(lines, "%d %63s %63s %63s\n%n", &number, map, member, hook, &length) == 4) {
		printf("handed %s of %s at %s\n", map, member, hook);
		if (!strcmp(map, "gate"))
			printf("opened %ld\n", open_gate(number));
		lines += length;
	}
	printf("made %d\n", syscall(SYS_bpf, BPF_MAP_CREATE, &other, sizeof(other)) < 0 ? errno : 0);
	fflush(stdout);
	if (READY)
		printf("said %d\n", say("READY=1"));
	fflush(stdout);
	for (;;)
		pause();
}
"#;

/// Before Linux 5.19 nobody without the capability `bpf` reaches a map, where `kernel.unprivileged_bpf_disabled` is set.
fn needs_capability() -> bool {
    kernel() < KernelVersion { major: 5, minor: 19 }
}

/// A package whose user program does so, after a number of microseconds.
fn package(name: &str, version: &str, delay: u32, is_ready: bool) -> String {
    let folder = packages().path(&format!("{name}-{version}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(format!("{folder}/helper.c"), USER_PART).unwrap();
    let ready = u8::from(is_ready);
    run(&format!("cc -static -DDELAY={delay} -DREADY={ready} -o {folder}/helper {folder}/helper.c")).unwrap();
    let asks = if needs_capability() { "capabilities = [\"bpf\"]\n" } else { "" };
    let manifest = format!(
        "[[program]]\nfunction = \"guarded\"\nobject = \"{name}.bpf.o\"\nsource = \"{name}.bpf.c\"\nhook = \"xdp\"\n\n\
         [user]\ncommand = \"helper\"\nready_seconds = 2\n{asks}\n"
    );
    packages().from_source((name, version), KERNEL_PART, &manifest).unwrap()
}

fn trusting() -> (it::Pair, Node) {
    let (pair, node) = scene();
    if needs_capability() {
        node.trust(&granting("user_capabilities = [\"bpf\"]"));
    }
    (pair, node)
}

#[test]
fn packets_come_when_the_user_program_is_ready_and_it_needs_no_more_than_its_maps() {
    let (pair, node) = trusting();
    let first = package("gated", "1.0.0", 300_000, true);
    let (sent, received, ()) =
        stream_while(&pair, || node.apply(&document(&first))?.success().map(drop)).unwrap();
    assert_eq!(sent, received, "somebody met the gate before it was open");
    let program = only(&node);
    assert_eq!(program.ready, Some(true), "{program:?}");
    let said = node.l3af(&["logs", "gated"]).unwrap();
    for line in ["handed gate of m at right0/xdp", "handed .bss of m at right0/xdp", "opened 0", "said 0"] {
        assert!(said.lines().any(|told| told == line), "{line}: {said}");
    }
    assert_eq!(said.contains("made 1\n"), !needs_capability(), "{said}");
    // The next release is ready before the one before ends, and its maps begin where those are.
    let next = package("gated", "1.0.1", 300_000, true);
    let file = packages().path("ready.toml");
    fs::write(&file, document(&next)).unwrap();
    let plan = node.l3af(&["plan", &file]).unwrap();
    let start = "start the user program of gated 1.0.1 (it is to be ready before packets come)";
    assert!(plan.contains(start), "{plan}");
    let before = program.pid.unwrap();
    let (sent, received, ()) =
        stream_while(&pair, || node.apply(&document(&next))?.success().map(drop)).unwrap();
    assert_eq!(sent, received);
    node.wait("the one before ended", || only(&node).version.to_string() == "1.0.1");
    assert!(!fs::exists(format!("/proc/{before}")).unwrap());
    // One more member has maps of its own: the program is started again with all of them, and handed each.
    let both = format!("{}[[chain.member]]\nname = \"n\"\npackage = \"{next}\"\n", document(&next));
    let (sent, received, ()) = stream_while(&pair, || node.apply(&both)?.success().map(drop)).unwrap();
    assert_eq!(sent, received);
    node.wait("one runs", || node.status().unwrap().user_programs.len() == 1);
    let said = node.l3af(&["logs", "gated"]).unwrap();
    assert!(said.contains("handed gate of n at right0/xdp\n"), "{said}");
    // It comes back with its maps after it died, and with the daemon.
    let pid = only(&node).pid.unwrap();
    run(&format!("kill -KILL {pid}")).unwrap();
    node.wait("it is ready again", || only(&node).ready == Some(true) && only(&node).restarts == 1);
}

#[test]
fn who_does_not_get_ready_in_time_gets_no_packets() {
    let (pair, node) = trusting();
    let good = package("late", "1.0.0", 0, true);
    node.apply(&document(&good)).unwrap().success().unwrap();
    let running = only(&node).pid;
    let mute = package("late", "1.1.0", 0, false);
    let (sent, received, refused) = stream_while(&pair, || node.apply(&document(&mute))).unwrap();
    assert!(!refused.ok);
    let words = "it did not say within 2 s that it is ready (`READY=1`, sd_notify(3))";
    assert!(refused.stderr.contains(words), "{}", refused.stderr);
    assert!(refused.stderr.contains("start the user program of late 1.1.0"), "{}", refused.stderr);
    assert_eq!(sent, received);
    node.wait("it ended", || node.status().unwrap().user_programs.len() == 1);
    assert_eq!((only(&node).pid, only(&node).version.to_string()), (running, "1.0.0".to_owned()));
    assert_eq!(node.members().unwrap()[0].instance, "m#1");
    assert_eq!(node.status().unwrap().generation, 1);
}
