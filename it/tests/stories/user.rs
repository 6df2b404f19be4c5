// SPDX-License-Identifier: Apache-2.0
//! Programs in user space: they run from the bytes that were signed, again and again, and go with their package.

use std::fs;
use std::path::PathBuf;

use it::{Node, Pair, run};
use wire::{UserProgramState, UserProgramView};

use crate::packages;

const KERNEL_PART: &str = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\nstruct xdp_md { unsigned data, data_end; };\n\
                           __attribute__((section(\"xdp\"), used)) int passes(struct xdp_md *ctx)\n{\n\treturn 2;\n}\n\
                           char LICENSE[] __attribute__((section(\"license\"), used)) = \"Dual BSD/GPL\";\n";

/// Says what it was given and what it sees, and waits for signals. It leaves a child behind when it is killed.
const USER_PART: &str = "#include <stdio.h>\n#include <unistd.h>\nextern char **environ;\n\
                         int main(int count, char **words)\n{\n\
                         for (int i = 0; i < count; i++) printf(\"argument %s\\n\", words[i]);\n\
                         for (char **e = environ; *e; e++) printf(\"environment %s\\n\", *e);\n\
                         fflush(stdout);\n\
                         if (fork() == 0) { pause(); return 0; }\n\
                         for (;;) pause();\n}\n";

/// Builds and signs a package whose user program is made of these bytes.
fn package(name: &str, version: &str, user: &[u8]) -> String {
    let folder = packages().path(&format!("{name}-{version}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(format!("{folder}/helper"), user).unwrap();
    let manifest = format!(
        "[[program]]\nfunction = \"passes\"\nobject = \"{name}.bpf.o\"\nsource = \"{name}.bpf.c\"\nhook = \"xdp\"\n\n\
         [user]\ncommand = \"helper\"\nargs = [\"--level\", \"a b\"]\n\n"
    );
    packages().from_source((name, version), KERNEL_PART, &manifest).unwrap()
}

fn compiled(name: &str) -> Vec<u8> {
    let (source, output) = (packages().path(&format!("{name}.c")), packages().path(&format!("{name}.bin")));
    fs::write(&source, USER_PART).unwrap();
    run(&format!("cc -static -o {output} {source}")).unwrap();
    fs::read(output).unwrap()
}

fn document(package: &str) -> String {
    format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"m\"\npackage = \"{package}\"\n"
    )
}

fn scene() -> (Pair, Node) {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    (pair, node)
}

fn only(node: &Node) -> UserProgramView {
    let programs = node.status().unwrap().user_programs;
    assert_eq!(programs.len(), 1, "{programs:?}");
    programs.into_iter().next().unwrap()
}

/// The process of the only program, once it runs its own bytes.
fn running(node: &Node) -> u32 {
    let executes = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let is_own = |path: PathBuf| path.to_string_lossy().starts_with("/memfd:");
    node.wait("it runs", || only(node).pid.and_then(executes).is_some_and(is_own));
    only(node).pid.unwrap()
}

fn exists(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

fn children(pid: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    listed.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

fn kill(pid: u32) {
    run(&format!("kill -KILL {pid}")).unwrap();
}

#[test]
fn a_user_program_runs_from_the_signed_bytes_and_again_when_it_dies() {
    let (_pair, node) = scene();
    let bytes = compiled("steady-user");
    let package = package("userlike", "1.0.0", &bytes);
    node.apply(&document(&package)).unwrap().success().unwrap();
    let pid = running(&node);
    assert_eq!(fs::read(format!("/proc/{pid}/exe")).unwrap(), bytes);
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap().path());
    let open: Vec<PathBuf> = open.filter_map(|path| fs::read_link(path).ok()).collect();
    let of_daemon = |path: &&PathBuf| {
        let path = path.to_string_lossy();
        path.starts_with("socket:") || path.contains("bpf")
    };
    assert_eq!(open.iter().find(of_daemon), None, "it gets nothing that the daemon has open");
    let session = run(&format!("ps -o sid= -p {pid}")).unwrap();
    assert_eq!(session.trim(), pid.to_string(), "it has a session of its own");
    let log = only(&node).log;
    node.wait("it writes", || fs::read_to_string(&log).unwrap().contains("environment"));
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.starts_with("argument helper\nargument --level\nargument a b\nenvironment PATH="), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("environment")).count(), 1, "{said}");
    // Nothing in a file system has a say in what is started next.
    run(&format!("cp /bin/true {package}/helper")).unwrap();
    fs::write(packages().path("userlike-1.0.0/helper"), "#!/bin/sh\n").unwrap();
    node.wait("it has a child", || !children(pid).is_empty());
    let left_behind = children(pid)[0];
    kill(pid);
    node.wait("it is started again", || only(&node).restarts == 1);
    let next = running(&node);
    assert_ne!(pid, next);
    assert_eq!(fs::read(format!("/proc/{next}/exe")).unwrap(), bytes);
    node.wait("what it left behind is gone", || !exists(left_behind));
    let view = only(&node);
    assert_eq!((view.state, view.name.as_str()), (UserProgramState::Running, "helper"));
    assert!(view.last.as_ref().is_some_and(|last| last.contains("signal: 9")), "{view:?}");
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains(&format!("`helper` of l3af/userlike 1.0.0 runs as process {next}")), "{status}");
    // It goes with its package.
    node.l3af(&["stop", "--all"]).unwrap();
    node.wait("it ends", || !exists(next));
    node.wait("it is not shown", || node.status().unwrap().user_programs.is_empty());
}

#[test]
fn a_user_program_ends_with_the_daemon_and_comes_back_with_it() {
    let (_pair, mut node) = scene();
    let package = package("mortal", "1.0.0", &compiled("mortal-user"));
    node.apply(&document(&package)).unwrap().success().unwrap();
    let first = running(&node);
    node.end().unwrap();
    assert!(!exists(first), "a daemon that ends waits for it");
    node.restart().unwrap();
    let second = running(&node);
    node.kill().unwrap();
    node.wait("it dies with a daemon that is killed", || !exists(second));
    node.restart().unwrap();
    running(&node);
    // A revoked package has no program in user space either.
    let revoked = "[[revoked]]\nrelease = \"l3af/mortal@*\"\nreason = \"a hole\"\n";
    node.trust(&format!("{}{revoked}", packages().policy()));
    node.wait("it ends", || node.status().unwrap().user_programs.is_empty());
}

#[test]
fn a_store_that_was_changed_starts_nothing() {
    let (_pair, mut node) = scene();
    let package = package("stored", "1.0.0", &compiled("stored-user"));
    node.apply(&document(&package)).unwrap().success().unwrap();
    running(&node);
    node.end().unwrap();
    let blobs = fs::read_dir(node.state().join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let layer = blobs.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, bytes).unwrap();
    node.restart().unwrap();
    let status = node.status().unwrap();
    assert_eq!(status.user_programs, []);
    let problem = status.problem.unwrap().to_string();
    assert!(problem.contains("has other bytes: their digest is"), "{problem}");
}

#[test]
fn a_script_runs_from_its_sealed_bytes_too_and_what_cannot_run_says_why() {
    let (_pair, node) = scene();
    let script = package("script", "1.0.0", b"#!/bin/sh\necho \"script $*\"\nwhile :; do sleep 60; done\n");
    node.apply(&document(&script)).unwrap().success().unwrap();
    let log = only(&node).log;
    node.wait("it writes", || fs::read_to_string(&log).is_ok_and(|said| said.contains("script --level a b")));
    let broken = package("broken", "1.0.0", b"touch /tmp/no-shell-runs-this\n");
    node.apply(&document(&broken)).unwrap().success().unwrap();
    let said = |node: &Node| {
        let programs = node.status().unwrap().user_programs;
        let broken = programs.into_iter().find(|program| program.package.as_ref() == "broken");
        broken.and_then(|program| program.last).unwrap_or_default()
    };
    node.wait("it is refused", || said(&node).contains("neither an ELF file nor a script"));
    assert_eq!(node.members().unwrap().len(), 1, "the chain runs all the same");
}
