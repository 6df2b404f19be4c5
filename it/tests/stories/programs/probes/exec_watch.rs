// SPDX-License-Identifier: Apache-2.0
//! `exec-watch`: which programs start and how they end.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use it::unique;
use tempfile::TempDir;

use super::{
    Events, alone, assert_readable, assert_refused, attach, document, fill, inode, metric, package,
    wait_for_metric,
};
use crate::hooks::probes::Group;
use crate::{is_emulated, scene};

/// A shell under a name that no other program of this machine has.
struct Shell {
    _folder: TempDir,
    name: String,
    path: PathBuf,
}

impl Shell {
    fn new() -> Self {
        let (folder, name) = (tempfile::tempdir().unwrap(), unique("w"));
        let path = folder.path().join(&name);
        symlink("/bin/sh", &path).unwrap();
        Self { _folder: folder, name, path }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.path).args(arguments).output().unwrap()
    }
}

/// The two probes, with parameters for the first one.
fn probes(config: &str) -> [(&'static str, &'static str, String); 2] {
    [("starts", "on_exec", format!("config = {{ {config} }}")), ("ends", "on_exit", String::new())]
}

#[track_caller]
fn watch(node: &it::Node, config: &str) -> bool {
    let [one, other] = probes(config);
    let probes = [(one.0, one.1, one.2.as_str()), (other.0, other.1, other.2.as_str())];
    attach(node, (5, 15), &package("exec-watch"), &probes)
}

#[test]
fn programs_are_told_when_they_start_and_when_they_end() {
    let _turn = alone();
    let (_pair, node) = scene();
    let shell = Shell::new();
    if !watch(&node, &format!("command_prefix = \"{}\"", shell.name)) {
        return;
    }
    assert_eq!(shell.run(&["-c", "exit 3", "a b", "grün"]).status.code(), Some(3));
    // What does not fit is cut, and not in the middle of a character.
    let long = "ü".repeat(300);
    assert!(shell.run(&["-c", "true", &long]).status.success());
    shell.run(&["-c", "kill -KILL $$"]);

    let starts = Events::of(&node, "starts", "started");
    let path = shell.path.display().to_string();
    let first = starts.next(|event| event["process"]["command"] == shell.name.as_str());
    assert_eq!(first["arguments"], format!("{path} -c exit 3 a b grün"), "{first}");
    assert_eq!(first["argument_bytes"], format!("{path} -c exit 3 a b grün ").len());
    assert_eq!((&first["file"], &first["process"]["uid"]), (&path.clone().into(), &0.into()));
    assert_eq!(first["process"]["parent"], std::process::id());
    let second = starts.next(|_| true);
    let told = second["arguments"].as_str().unwrap();
    assert!(told.starts_with(&format!("{path} -c true ü")) && told.len() >= 253, "{second}");
    assert_eq!(second["argument_bytes"], format!("{path} -c true {long} ").len());

    let ends = Events::of(&node, "ends", "ended");
    let end = ends.next(|event| event["process"]["pid"] == first["process"]["pid"]);
    assert_eq!((&end["code"], &end["signal"]), (&3.into(), &0.into()), "{end}");
    assert_eq!(end["process"]["command"], shell.name.as_str());
    assert!(end["lasted"] != "0s", "{end}");
    assert_eq!(ends.next(|_| true)["code"], 0);
    let killed = ends.next(|_| true);
    assert_eq!((&killed["code"], &killed["signal"]), (&0.into(), &9.into()), "{killed}");

    let label = format!("command=\"{}\"", shell.name);
    let of = |metric: &str| format!("l3af_map_exec_watch_{metric},{label}}}");
    wait_for_metric(&node, &of("starts_programs{member=\"starts\""), 3);
    for ended in ["succeeded", "failed", "killed"] {
        let words = of(&format!("ends_{ended}_programs{{member=\"ends\""));
        assert_eq!(metric(&node, &words), Some(1), "{words}");
    }
    let all =
        format!("l3af_map_exec_watch_ends_lasted_seconds_bucket{{member=\"ends\",{label},le=\"+Inf\"}}");
    assert_eq!(metric(&node, &all), Some(3));
    assert_readable(&node);
}

#[test]
fn threads_do_not_end_a_program_but_the_last_of_them() {
    let _turn = alone();
    let (_pair, node) = scene();
    let (folder, name) = (tempfile::tempdir().unwrap(), unique("t"));
    let path = folder.path().join(&name);
    symlink("/usr/bin/perl", &path).unwrap();
    if !watch(&node, &format!("command_prefix = \"{name}\", tell = false")) {
        return;
    }
    // The first thread ends by itself (system call 60 of x86-64), the other one goes on, and ends the process.
    if cfg!(target_arch = "x86_64") {
        let script = "use threads; threads->create(sub { select(undef, undef, undef, 0.2); syscall(231, 7) }); syscall(60, 1);";
        assert_eq!(Command::new(&path).args(["-e", script]).status().unwrap().code(), Some(7));
        let ends = Events::of(&node, "ends", "ended");
        let end = ends.next(|_| true);
        assert_eq!((&end["code"], &end["process"]["command"]), (&7.into(), &name.clone().into()), "{end}");
    }
    let untold = format!("l3af_map_exec_watch_starts_programs{{member=\"starts\",command=\"{name}\"}}");
    assert_eq!(metric(&node, &untold), Some(1));
}

#[test]
fn only_programs_of_a_user_or_a_control_group_are_watched_where_that_is_said() {
    let _turn = alone();
    let (pair, node) = scene();
    let (shell, group) = (Shell::new(), Group::new());
    let name = &shell.name;
    let count = |node: &it::Node| {
        let words = format!("l3af_map_exec_watch_starts_programs{{member=\"starts\",command=\"{name}\"}}");
        metric(node, &words).unwrap_or_default()
    };
    let of_group = format!("command_prefix = \"{name}\", cgroup = {}", inode(&group.0));
    if !watch(&node, &of_group) {
        return;
    }
    assert!(shell.run(&["-c", "true"]).status.success());
    let line = format!("{} -c true", shell.path.display());
    group.run(&pair.left.namespace, &line);
    assert_eq!(count(&node), 1);
    assert!(watch(&node, &format!("command_prefix = \"{name}\", first_uid = 1")));
    assert!(shell.run(&["-c", "true"]).status.success());
    assert_eq!(count(&node), 1);
    assert!(watch(&node, &format!("command_prefix = \"{name}\", last_uid = 0")));
    assert!(shell.run(&["-c", "true"]).status.success());
    assert_eq!(count(&node), 2);

    let package = package("exec-watch");
    for (config, words) in [
        ("last_uid = 4294967296", "last_uid"),
        ("command_prefix = \"a-name-of-17-byte\"", "command_prefix"),
        ("tell = 2", "tell"),
    ] {
        let rest = format!("config = {{ {config} }}");
        assert_refused(&node, &document(&package, &[("starts", "on_exec", &rest)]), words);
    }
}

#[test]
fn what_has_no_room_is_counted() {
    let _turn = alone();
    let (_pair, node) = scene();
    let shell = Shell::new();
    let other = shell.path.with_file_name(format!("{}2", shell.name));
    symlink("/bin/sh", &other).unwrap();
    if !watch(&node, &format!("command_prefix = \"{}\"", shell.name)) {
        return;
    }
    shell.run(&["-c", "true"]);
    fill(&node, "starts", &["starts", "started"]);
    fill(&node, "ends", &["ends", "ended"]);
    assert!(Command::new(other).args(["-c", "exit 0"]).status().unwrap().success());
    for (words, programs) in [
        ("starts_programs{member=\"starts\",command=\"(others)\"}", 1),
        ("starts_untold_events{member=\"starts\",key=\"0\"}", 1),
        ("ends_succeeded_programs{member=\"ends\",command=\"(others)\"}", 1),
        ("ends_untold_events{member=\"ends\",key=\"0\"}", 1),
    ] {
        assert_eq!(metric(&node, &format!("l3af_map_exec_watch_{words}")), Some(programs), "{words}");
    }
}

#[test]
fn starts_that_nobody_reads_are_counted() {
    // Emulated, so many programs take too long; what is counted there is the same.
    if is_emulated() {
        return;
    }
    let _turn = alone();
    let (_pair, node) = scene();
    let shell = Shell::new();
    if !watch(&node, &format!("command_prefix = \"{}\"", shell.name)) {
        return;
    }
    // An event takes 592 bytes, and the buffer has 524288.
    let script = format!("for n in $(seq 1000); do {} -c :; done", shell.path.display());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let untold =
        metric(&node, "l3af_map_exec_watch_starts_untold_events{member=\"starts\",key=\"0\"}").unwrap();
    assert!((100..500).contains(&untold), "{untold}");
    let label =
        format!("l3af_map_exec_watch_starts_programs{{member=\"starts\",command=\"{}\"}}", shell.name);
    assert_eq!(metric(&node, &label), Some(1000));
}
