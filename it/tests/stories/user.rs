// SPDX-License-Identifier: Apache-2.0
//! Programs in user space: they run from the bytes that were signed, again and again, and go with their package.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use it::{Node, Pair, binary, run};
use wire::{LimitMeans, UserProgramState, UserProgramView};

use crate::{packages, scene};

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
    asking(name, version, user, "")
}

/// The same, with a user program that asks for something.
pub(crate) fn asking(name: &str, version: &str, user: &[u8], asks: &str) -> String {
    let folder = packages().path(&format!("{name}-{version}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(format!("{folder}/helper"), user).unwrap();
    let manifest = format!(
        "[[program]]\nfunction = \"passes\"\nobject = \"{name}.bpf.o\"\nsource = \"{name}.bpf.c\"\nhook = \"xdp\"\n\n\
         [user]\ncommand = \"helper\"\nargs = [\"--level\", \"a b\"]\n{asks}\n\n"
    );
    packages().from_source((name, version), KERNEL_PART, &manifest).unwrap()
}

fn compiled(name: &str) -> Vec<u8> {
    let (source, output) = (packages().path(&format!("{name}.c")), packages().path(&format!("{name}.bin")));
    fs::write(&source, USER_PART).unwrap();
    run(&format!("cc -static -o {output} {source}")).unwrap();
    fs::read(output).unwrap()
}

pub(crate) fn document(package: &str) -> String {
    format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"m\"\npackage = \"{package}\"\n"
    )
}

pub(crate) fn only(node: &Node) -> UserProgramView {
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
    node.wait("it writes", || fs::read_to_string(&log).unwrap().contains("environment TMPDIR"));
    let said = fs::read_to_string(&log).unwrap();
    assert!(
        said.starts_with(
            "argument helper\nargument --level\nargument a b\nenvironment L3AF_MAPS=\nenvironment PATH="
        ),
        "{said}"
    );
    let folder = node.state().join("user");
    assert!(said.contains(&format!("environment TMPDIR={}/", folder.display())), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("environment")).count(), 3, "{said}");
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

/// A daemon with more in its configuration.
fn configured(config: &str) -> (Pair, Node) {
    let (pair, mut node) = scene();
    config.clone_into(&mut node.settings);
    node.restart().unwrap();
    (pair, node)
}

/// The policy with more in the table of the publisher.
pub(crate) fn granting(grants: &str) -> String {
    format!("{}{grants}\n", packages().policy())
}

/// A line of `/proc/PID/status`, in words.
fn status_of(pid: u32, key: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

/// All sets of capabilities of a process, as one, which they must be.
fn capabilities_of(pid: u32) -> u64 {
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| status_of(pid, set)[0].clone());
    assert!(sets.windows(2).all(|two| two[0] == two[1]), "{sets:?}");
    u64::from_str_radix(&sets[0], 16).unwrap()
}

#[test]
fn a_user_program_is_a_user_of_its_own_and_may_do_nothing_in_particular() {
    let (_pair, node) = scene();
    let bytes = compiled("plain-user");
    let both = format!("{}{}", document(&package("plain", "1.0.0", &bytes)), {
        let other = package("other-plain", "1.0.0", &bytes);
        format!("[[chain.member]]\nname = \"o\"\npackage = \"{other}\"\n")
    });
    node.apply(&both).unwrap().success().unwrap();
    let run_as_own = |view: &UserProgramView| {
        let executes = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
        view.pid.as_ref().and_then(executes).is_some_and(|path| path.to_string_lossy().starts_with("/memfd:"))
    };
    node.wait("both run", || {
        let programs = node.status().unwrap().user_programs;
        programs.len() == 2 && programs.iter().all(run_as_own)
    });
    let programs = node.status().unwrap().user_programs;
    assert_ne!(programs[0].user, programs[1].user);
    for program in &programs {
        let (pid, user) = (program.pid.unwrap(), program.user.unwrap());
        assert!((61_184..=65_519).contains(&user));
        assert_eq!(status_of(pid, "Uid"), vec![user.to_string(); 4]);
        assert_eq!(status_of(pid, "Gid"), vec![user.to_string(); 4]);
        assert_eq!(status_of(pid, "Groups"), Vec::<String>::new());
        assert_eq!(status_of(pid, "NoNewPrivs"), ["1"]);
        assert_eq!(status_of(pid, "Umask"), ["0077"]);
        assert_eq!(capabilities_of(pid), 0);
    }
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains(&format!(", as user {}", programs[0].user.unwrap())), "{status}");
}

#[test]
fn more_is_given_only_where_the_policy_grants_it() {
    const NET_ADMIN: u64 = 1 << 12;
    const BPF: u64 = 1 << 39;
    let (_pair, mut node) = scene();
    let bytes = compiled("capable-user");
    let capable = asking("capable", "1.0.0", &bytes, "capabilities = [\"net_admin\", \"bpf\"]");
    node.trust(&granting("user_capabilities = [\"net_admin\"]"));
    let refused = node.apply(&document(&capable)).unwrap();
    assert!(!refused.ok);
    let words = "the user program of package `capable` asks for the capability `bpf`, which the policy does not grant to `l3af`";
    assert!(refused.stderr.contains(words), "{}", refused.stderr);
    let hint = "hint: if you trust them with it, add `\"bpf\"` to the `user_capabilities` of the `[[publisher]]` named `l3af`";
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    node.trust(&granting("user_capabilities = [\"net_admin\", \"bpf\", \"kill\"]"));
    node.apply(&document(&capable)).unwrap().success().unwrap();
    let pid = running(&node);
    assert_ne!(status_of(pid, "Uid")[0], "0");
    assert_eq!(capabilities_of(pid), NET_ADMIN | BPF);
    assert_eq!(only(&node).capabilities, ["net_admin", "bpf"]);
    node.kill().unwrap();
    node.wait("it dies with a daemon that is killed", || !exists(pid));
    node.restart().unwrap();
    let rooted = asking("rooted", "1.0.0", &bytes, "root = true");
    let refused = node.apply(&document(&rooted)).unwrap();
    assert!(refused.stderr.contains("add `user_root = true` to the `[[publisher]]`"), "{}", refused.stderr);
    node.trust(&granting("user_root = true"));
    node.apply(&document(&rooted)).unwrap().success().unwrap();
    let is_rooted =
        || node.status().unwrap().user_programs.iter().all(|view| view.package.as_ref() == "rooted");
    node.wait("the other one is gone", is_rooted);
    let pid = running(&node);
    assert_eq!(status_of(pid, "Uid"), vec!["0"; 4]);
    assert_eq!((only(&node).user, status_of(pid, "Umask")), (Some(0), vec!["0077".to_owned()]));
    // A grant that is taken back takes out what runs.
    node.trust(&packages().policy());
    node.wait("it ends", || node.status().unwrap().user_programs.is_empty());
}

#[test]
fn a_program_that_ends_again_and_again_is_given_up_for_a_while() {
    let (_pair, node) = configured("[user_programs]\nfailures = 2\nwindow_seconds = 30\n");
    let failing = package("failing", "1.0.0", b"#!/bin/sh\necho tried\nexit 3\n");
    node.apply(&document(&failing)).unwrap().success().unwrap();
    node.wait("it is given up", || only(&node).state == UserProgramState::Failed);
    let view = only(&node);
    assert_eq!((view.restarts, view.pid), (1, None));
    assert!(view.retry_seconds.is_some_and(|seconds| seconds <= 30), "{view:?}");
    assert_eq!(view.last.as_deref(), Some("it ended: exit status: 3"));
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains("is given up, and tried again in "), "{status}");
    assert!(
        node.log().contains("that were 2 times within 30 s: it is given up for as long"),
        "{}",
        node.log()
    );
    let socket = node.socket().to_string_lossy().into_owned();
    let metrics = run(&format!("curl -s --unix-socket {socket} http://l3afd/metrics")).unwrap();
    let failed = "l3af_user_program_failed{package=\"l3af/failing\",version=\"1.0.0\"} 1";
    assert!(metrics.contains(failed), "{metrics}");
    // The same document again: whoever applies it wants to see whether it works now.
    node.apply(&document(&failing)).unwrap().success().unwrap();
    node.wait("it is tried again", || only(&node).restarts >= 2);
    node.wait("it is given up once more", || only(&node).state == UserProgramState::Failed);
    assert_eq!(only(&node).restarts, 3);
    node.wait("it is tried after the window by itself", || only(&node).restarts >= 4);
    node.l3af(&["stop", "--all"]).unwrap();
    node.wait("it is not shown", || node.status().unwrap().user_programs.is_empty());
}

#[test]
fn what_a_program_writes_is_told_and_followed_through_restarts_and_rotation() {
    let (_pair, node) = scene();
    let script = "#!/bin/sh\necho \"begun $$\"\necho complaint >&2\nwhile :; do sleep 1; done\n";
    let talking = package("talking", "1.0.0", script.as_bytes());
    node.apply(&document(&talking)).unwrap().success().unwrap();
    let said = || node.l3af(&["logs", "l3af/talking", "-n", "2"]).unwrap();
    node.wait("it writes", || said().ends_with("complaint\n"));
    let first = said();
    assert!(first.starts_with("begun "), "{first}");
    assert_eq!(node.l3af(&["logs", "talking", "--lines", "1"]).unwrap(), "complaint\n");
    let json: wire::UserProgramLog =
        serde_json::from_str(&node.l3af(&["logs", "talking", "--json"]).unwrap()).unwrap();
    assert_eq!(json.lines.len(), 2);
    // It is put aside when the program starts again.
    let log = only(&node).log;
    let mut child = Command::new(binary("l3af").unwrap())
        .arg("--socket")
        .arg(node.socket())
        .args(["logs", "talking", "-f", "-n", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "complaint");
    let mut file = fs::File::options().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut file, format!("{}\nbefore\n", "x".repeat(1 << 20)).as_bytes()).unwrap();
    kill(only(&node).pid.unwrap());
    let mut lines = lines.filter(|line| !line.starts_with('x'));
    assert_eq!(lines.next().unwrap(), "before");
    let again = lines.next().unwrap();
    assert!(again.starts_with("begun ") && !first.starts_with(&again), "{again}");
    assert_eq!(lines.next().unwrap(), "complaint");
    assert!(fs::exists(format!("{log}.old")).unwrap(), "it was put aside");
    assert_eq!(node.l3af(&["logs", "talking", "-n", "3"]).unwrap(), format!("before\n{again}\ncomplaint\n"));
    // Another release goes on in the same log.
    let next = package("talking", "1.0.1", b"#!/bin/sh\necho next\nsleep 600\n");
    node.apply(&document(&next)).unwrap().success().unwrap();
    assert_eq!(lines.next().unwrap(), "next");
    run(&format!("kill -INT {}", child.id())).unwrap();
    assert!(child.wait().unwrap().success(), "Ctrl-C is how it ends");
}

#[test]
fn a_log_is_found_by_the_name_of_a_package_and_no_other_way() {
    let (_pair, mut node) = scene();
    let quiet = package("quiet", "1.0.0", b"#!/bin/sh\necho here\nsleep 600\n");
    node.apply(&document(&quiet)).unwrap().success().unwrap();
    let unknown = node.cli(&["logs", "loud"]).unwrap();
    assert!(unknown.stderr.contains("no user program of a package `loud` is to run"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("hint: `l3af status` lists the user programs"), "{}", unknown.stderr);
    let socket = node.socket().to_string_lossy().into_owned();
    let get = |path: &str| {
        run(&format!("curl -s --path-as-is --unix-socket {socket} http://l3afd/v1/user-programs/{path}"))
            .unwrap()
    };
    for path in
        ["..%2F..%2Fetc%2Fpasswd/log", "%2Fetc%2Fpasswd/log", "user-l3af_quiet.log/log", "../logs/log"]
    {
        let answer = get(path);
        assert!(answer.contains("\"status\":40"), "{path}: {answer}");
    }
    assert!(get("quiet/log?lines=10001").contains("at most 10000 lines"));
    assert!(get("quiet/log?path=x").contains("unknown field `path`"));
    // A daemon that ends does not wait for those who follow.
    node.wait("it writes", || node.l3af(&["logs", "quiet"]).unwrap() == "here\n");
    let mut command = Command::new(binary("l3af").unwrap());
    command.arg("--socket").arg(node.socket()).args(["logs", "quiet", "-f"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "here");
    node.end().unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && said.contains("or the daemon ended"), "{said}");
}

/// Takes 96 MiB at once, and says how that went.
const HUNGRY: &str = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
                      int main(void)\n{\n\
                      char *taken = malloc(96 << 20);\n\
                      puts(taken ? \"granted\" : \"refused\");\n\
                      fflush(stdout);\n\
                      if (taken) { memset(taken, 1, 96 << 20); puts(\"used\"); fflush(stdout); }\n\
                      for (;;) pause();\n}\n";

#[test]
fn a_program_gets_no_more_memory_than_it_asks_for_and_the_node_allows() {
    let (_pair, node) = configured("[user_programs]\nmemory = \"64MiB\"\n");
    let (source, output) = (packages().path("hungry.c"), packages().path("hungry.bin"));
    fs::write(&source, HUNGRY).unwrap();
    run(&format!("cc -static -O0 -o {output} {source}")).unwrap();
    let hungry = asking("hungry", "1.0.0", &fs::read(output).unwrap(), "memory = \"1GiB\"\ncpu = 50");
    node.apply(&document(&hungry)).unwrap().success().unwrap();
    let said = || node.l3af(&["logs", "hungry"]).unwrap();
    node.wait("it begins", || !said().is_empty());
    let limits = only(&node).limits;
    assert_eq!((limits[0].resource.as_str(), limits[0].limit.as_str()), ("memory", "64MiB"));
    assert_eq!((limits[1].resource.as_str(), limits[1].limit.as_str()), ("cpu", "50%"));
    if limits[0].means == LimitMeans::Cgroup {
        // The control group lets it have the address space, and kills it when it uses that.
        node.wait("it is killed", || only(&node).last.is_some_and(|last| last.contains("signal: 9")));
        assert!(!said().contains("used"));
    } else {
        assert_eq!((said().as_str(), limits[0].means), ("refused\n", LimitMeans::Rlimit));
        node.wait("its process is known", || only(&node).pid.is_some());
        let limit = fs::read_to_string(format!("/proc/{}/limits", only(&node).pid.unwrap())).unwrap();
        assert!(
            limit.lines().any(|line| line.starts_with("Max address space") && line.contains("67108864")),
            "{limit}"
        );
    }
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains("; memory 64MiB "), "{status}");
    if limits[1].means == LimitMeans::None {
        assert!(status.contains("; cpu NOT limited to 50%: "), "{status}");
    }
}
