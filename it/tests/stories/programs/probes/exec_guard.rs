// SPDX-License-Identifier: Apache-2.0
//! `exec-guard`: what may be executed, by where it lies.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use it::Node;

use super::{Events, assert_refused, attach, document, fill, inode, metric, package, python};
use crate::hooks::probes::Group;
use crate::{is_emulated, scene};

/// Whether this kernel asks BPF programs for permission: before Linux 6.1, those of Debian have to be told to.
fn is_asked() -> bool {
    let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    !is_emulated() || modules.trim().split(',').any(|module| module == "bpf")
}

/// Guards what a control group executes, so that a mistake does not lock out the machine.
#[track_caller]
fn guard(node: &Node, group: &Group, config: &str) -> bool {
    let rest = format!("config = {{ cgroup = {}, {config} }}", inode(&group.0));
    attach(node, (6, 1), &package("exec-guard"), &[("guard", "on_execute", &rest)])
}

/// Runs a line of the shell as a process of the group.
fn runs(group: &Group, line: &str) -> bool {
    let script = format!("echo $$ > {}/cgroup.procs && {line}", group.0);
    Command::new("bash").args(["-c", &script]).status().unwrap().success()
}

fn program(path: &Path) -> String {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy("/bin/true", path).unwrap();
    path.display().to_string()
}

#[test]
fn programs_in_a_place_that_is_denied_are_told_and_then_denied() {
    let (_pair, node) = scene();
    let (folder, group) = (tempfile::tempdir().unwrap(), Group::new());
    let place = folder.path().display().to_string();
    let denied = program(&folder.path().join("deep/down/denied"));
    let allowed = program(&folder.path().join("tools/allowed"));
    let beside = program(&folder.path().with_extension("beside").join("program"));
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let link = folder.path().with_extension("beside").join("link");
    symlink(&denied, &link).unwrap();
    let (script, link) = (script.display(), link.display());
    let places = format!("places = {{ \"{place}\" = \"DENY\", \"{place}/tools\" = \"ALLOW\" }}");
    if !is_asked() || !guard(&node, &group, &places) {
        return;
    }
    assert!(runs(&group, &denied) && runs(&group, &allowed));
    let events = Events::of(&node, "guard", "decisions");
    let observed = events.next(|_| true);
    assert_eq!((&observed["path"], &observed["place"]), (&denied.clone().into(), &place.clone().into()));
    assert_eq!((&observed["denied"], &observed["reason"]), (&false.into(), &"PLACE".into()), "{observed}");
    assert_eq!(observed["process"]["command"], "bash");
    drop(events);

    assert!(guard(&node, &group, &format!("mode = \"ENFORCE\", {places}")));
    for line in [&denied, &format!("cd {place}; deep/down/denied"), &script.to_string(), &link.to_string()] {
        assert!(!runs(&group, line), "{line} is executed");
    }
    for line in [&allowed, &beside, &format!("sh {script}")] {
        assert!(runs(&group, line), "{line} is not executed");
    }
    assert!(Command::new(&denied).status().unwrap().success(), "it is about a control group");
    let events = Events::of(&node, "guard", "decisions");
    for _ in 0..2 {
        let told = events.next(|event| event["denied"] == true);
        assert_eq!(told["path"], denied.as_str(), "{told}");
    }
    let of = |what: &str| {
        let words = format!(
            "l3af_map_exec_guard_executions_{what}_executions{{member=\"guard\",place=\"{place}\",reason=\"PLACE\"}}"
        );
        metric(&node, &words).unwrap_or_default()
    };
    assert_eq!((of("observed"), of("denied")), (1, 4));
    drop(events);
    // What is not told is denied all the same.
    fill(&node, "guard", &["decisions"]);
    assert!(!runs(&group, &denied));
    assert_eq!(of("denied"), 5);
    assert_eq!(metric(&node, "l3af_map_exec_guard_untold_events{member=\"guard\",key=\"0\"}"), Some(1));
    fs::remove_dir_all(folder.path().with_extension("beside")).unwrap();
}

#[test]
fn programs_that_come_when_too_many_begin_are_denied_and_counted() {
    let (_pair, node) = scene();
    let group = Group::new();
    if !is_asked() || !guard(&node, &group, "") {
        return;
    }
    let of = |what: &str| {
        let labels = "member=\"guard\",place=\"\",reason=\"TOO_MANY\"";
        metric(&node, &format!("l3af_map_exec_guard_executions_{what}_executions{{{labels}}}"))
            .unwrap_or_default()
    };
    fill(&node, "guard", &["drafts"]);
    assert!(runs(&group, "/bin/true"));
    assert_eq!((of("observed"), of("denied")), (1, 0));
    assert!(guard(&node, &group, "mode = \"ENFORCE\""));
    fill(&node, "guard", &["drafts"]);
    assert!(!runs(&group, "/bin/true"));
    assert_eq!(of("denied"), 1);
    assert!(
        metric(&node, "l3af_map_exec_guard_untold_events{member=\"guard\",key=\"0\"}")
            .is_some_and(|events| events >= 1)
    );
    assert!(guard(&node, &group, "mode = \"ENFORCE\", unknown_path = \"ALLOW\""));
    fill(&node, "guard", &["drafts"]);
    assert!(runs(&group, "/bin/true"));
}

#[test]
fn programs_in_memory_and_with_long_paths_are_denied_where_that_is_said() {
    let (_pair, node) = scene();
    let (folder, group) = (tempfile::tempdir().unwrap(), Group::new());
    let in_memory = program(&folder.path().join("program"));
    let deep: Vec<String> = (0..6).map(|_| "d".repeat(50)).collect();
    let long = program(&folder.path().join(deep.join("/")).join("program"));
    let enforced = "mode = \"ENFORCE\", from_memory = \"DENY\"";
    if !is_asked() || !guard(&node, &group, enforced) {
        return;
    }
    // A file that has no name at all.
    let nameless = "perl -e 'my $f = syscall(319, my $n = \"x\", 0); open(my $i, \"<\", \"/bin/true\"); open(my $o, \">&=\", $f); \
                    local $/; print {$o} <$i>; $o->flush; exec(\"/proc/self/fd/$f\"); exit 1'";
    for line in [in_memory.as_str(), &long, nameless] {
        assert!(!runs(&group, line), "{line} is executed");
    }
    let events = Events::of(&node, "guard", "decisions");
    assert_eq!(events.next(|_| true)["reason"], "MEMORY");
    let unknown = events.next(|_| true);
    assert_eq!((&unknown["reason"], &unknown["denied"]), (&"UNKNOWN".into(), &true.into()), "{unknown}");
    let told = events.next(|_| true);
    assert!(told["path"].as_str().unwrap().starts_with("/memfd:x"), "{told}");
    drop(events);
    // Huge pages have a file system of their own.
    let pages = "/proc/sys/vm/nr_hugepages";
    fs::write(pages, "4").unwrap();
    let script = "import mmap, os; f = os.memfd_create(\"h\", 4); os.ftruncate(f, 2 << 20); \
                  mmap.mmap(f, 2 << 20)[:12] = b\"#!/bin/true\\n\"; os.execv(f\"/proc/self/fd/{f}\", [\"h\"])";
    let huge = format!("exec {} -c '{script}'", python().display());
    assert!(!runs(&group, &huge));
    let own = |event: &serde_json::Value| event["path"].as_str().unwrap().contains("memfd:h");
    assert_eq!(Events::of(&node, "guard", "decisions").next(own)["reason"], "MEMORY");
    fs::write(pages, "0").unwrap();
    // What a place says goes first, and a shorter reach is said as well.
    let place = folder.path().display();
    assert!(guard(
        &node,
        &group,
        &format!("{enforced}, places = {{ \"{place}\" = \"ALLOW\" }}, unknown_path = \"ALLOW\"")
    ));
    assert!(runs(&group, &in_memory) && runs(&group, &long));
    assert!(guard(&node, &group, &format!("{enforced}, first_uid = 1")));
    assert!(runs(&group, &in_memory));
    let package = package("exec-guard");
    for (config, words) in [
        ("mode = \"ENFORCED\"", "mode"),
        ("first_uid = -1", "first_uid"),
        ("places = { \"/tmp\" = 2 }", "places"),
    ] {
        let rest = format!("config = {{ {config} }}");
        assert_refused(&node, &document(&package, &[("guard", "on_execute", &rest)]), words);
    }
}
