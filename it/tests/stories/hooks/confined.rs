// SPDX-License-Identifier: Apache-2.0
//! Programs in user space that try what nobody granted them: the kernel refuses it, and what is in force is told.

use std::collections::BTreeMap;
use std::fs;

use it::{Node, run};

use crate::user::{asking, document, granting, only};
use crate::{kernel, packages, scene};

/// Tries each thing, and says the error number of it, or 0.
const NOSY: &str = r#"#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void said(const char *name, long result)
{
	printf("%s %d\n", name, result < 0 ? errno : 0);
	fflush(stdout);
}

static void *nothing(void *unused) { return unused; }

int main(void)
{
	char attributes[128] = { 0 };
	pthread_t thread;
	int status = -1;

	said("mount", mount("none", "/no/such/place", "tmpfs", 0, ""));
	said("ptrace", syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
	said("unshare", unshare(CLONE_NEWUSER));
	said("clone", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	said("clone3", syscall(SYS_clone3, attributes, sizeof(attributes)));
	said("io_uring", syscall(SYS_io_uring_setup, 1, attributes));
	said("userfaultfd", syscall(SYS_userfaultfd, 1));
	said("keyctl", syscall(SYS_keyctl, 0, -3, 1));
	said("perf", syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0));
	said("module", syscall(SYS_init_module, attributes, sizeof(attributes), ""));
	said("kexec", syscall(SYS_kexec_load, 0, 0, 0, 0));
#ifdef __x86_64__
	said("x32", syscall(0x40000000 + SYS_keyctl, 0, -3, 1));
#endif
	((int *)attributes)[0] = 2; /* an array of one number */
	((int *)attributes)[1] = ((int *)attributes)[2] = 4;
	((int *)attributes)[3] = 1;
	said("bpf", syscall(SYS_bpf, 0, attributes, 72));

	said("thread", pthread_create(&thread, 0, nothing, 0) ? -1 : 0);
	said("own", open("own", O_CREAT | O_RDWR, 0600));
	said("execute", system("/bin/true > inside") == 0 ? 0 : -1);
	said("read", open("/etc/passwd", O_RDONLY));
	said("null", open("/dev/null", O_RDWR));
	said("temporary", open("/tmp/" NAME "-was-here", O_CREAT | O_WRONLY, 0600));
	said("outside", open("/var", O_RDONLY | O_DIRECTORY));
	if (fork() == 0)
		exit(0);
	said("fork", wait(&status));
	printf("done 0\n");
	fflush(stdout);
	for (;;)
		pause();
}
"#;

fn nosy(name: &str) -> Vec<u8> {
    let (source, output) = (packages().path(&format!("{name}.c")), packages().path(&format!("{name}.bin")));
    fs::write(&source, NOSY).unwrap();
    run(&format!("cc -static -pthread -DNAME=\"{name}\" -o {output} {source}")).unwrap();
    fs::read(output).unwrap()
}

/// What became of each thing that it tried.
fn tried(node: &Node, package: &str) -> BTreeMap<String, i32> {
    let said = || node.l3af(&["logs", package]).unwrap();
    node.wait("it tried all", || said().contains("done"));
    let lines = said();
    let lines = lines.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(name, error)| (name.to_owned(), error.parse().unwrap())).collect()
}

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const ENOSYS: i32 = 38;

#[test]
fn a_program_is_refused_what_nobody_granted_it() {
    let (_pair, node) = scene();
    let package = asking("nosy", "1.0.0", &nosy("nosy"), "");
    node.apply(&document(&package)).unwrap().success().unwrap();
    let tried = tried(&node, "nosy");
    let refused =
        ["mount", "ptrace", "unshare", "clone", "io_uring", "userfaultfd", "keyctl", "perf", "module"];
    for call in refused.iter().chain(["kexec", "bpf"].iter()) {
        assert_eq!(tried[*call], EPERM, "{call}: {tried:?}");
    }
    assert_eq!(tried["clone3"], ENOSYS);
    assert_eq!(tried.get("x32").copied().unwrap_or(EPERM), EPERM, "a filter that another ABI goes around");
    for call in ["thread", "own", "execute", "read", "null", "fork"] {
        assert_eq!(tried[call], 0, "{call}: {tried:?}");
    }
    let confinement = only(&node).confinement.unwrap();
    assert!(confinement.seccomp);
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains(&format!("; {confinement}")), "{status}");
    assert!(node.log().contains(&format!("runs, {confinement}")), "{}", node.log());
    if let Some(version) = confinement.landlock {
        assert!(status.contains(&format!("confined by seccomp and landlock {version}")), "{status}");
        assert_eq!((tried["temporary"], tried["outside"]), (EACCES, EACCES), "{tried:?}");
        assert!(!fs::exists("/tmp/nosy-was-here").unwrap());
    } else {
        let reason = confinement.reason.unwrap();
        // Where the kernel has it, only its command line can be why it is not there.
        let is_old = kernel() < "5.13".parse().unwrap();
        assert!(reason.contains(if is_old { "this kernel has none" } else { "it is off" }), "{reason}");
        fs::remove_file("/tmp/nosy-was-here").unwrap();
    }
    let folders = fs::read_dir(node.state().join("user")).unwrap().map(|entry| entry.unwrap().path());
    let [folder] = folders.collect::<Vec<_>>().try_into().unwrap();
    assert!(fs::exists(folder.join("own")).unwrap());
    node.l3af(&["stop", "--all"]).unwrap();
    node.wait("what it wrote is gone", || !fs::exists(&folder).unwrap());
}

#[test]
fn a_program_may_make_the_calls_that_its_capabilities_are_for() {
    let (_pair, node) = scene();
    let package = asking("granted", "1.0.0", &nosy("granted"), "capabilities = [\"bpf\", \"dac_override\"]");
    node.trust(&granting("user_capabilities = [\"bpf\", \"dac_override\"]"));
    node.apply(&document(&package)).unwrap().success().unwrap();
    let granted = tried(&node, "granted");
    assert_eq!((granted["bpf"], granted["mount"], granted["keyctl"]), (0, EPERM, EPERM), "{granted:?}");
    // Who may write the files of others is not fenced from them.
    assert_eq!((granted["temporary"], granted["outside"]), (0, 0), "{granted:?}");
    fs::remove_file("/tmp/granted-was-here").unwrap();
    // Who is root is confined by nothing.
    let rooted =
        asking("nosy-root", "1.0.0", b"#!/bin/sh\necho \"done $(id -u)\"\nsleep 600\n", "root = true");
    node.trust(&granting("user_root = true"));
    node.apply(&document(&rooted)).unwrap().success().unwrap();
    assert_eq!(tried(&node, "nosy-root")["done"], 0);
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains("; NOT confined: it is root"), "{status}");
}
