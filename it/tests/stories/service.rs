// SPDX-License-Identifier: Apache-2.0
//! The daemon under a manager of services: the units, the socket that is handed over, and what the manager is told.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use it::{Pair, binary, repository, run, unique};

use crate::packages;

#[test]
fn the_units_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let units = repository().join("deploy/systemd");
    for unit in ["l3afd.service", "l3afd.socket", "l3af-hub.service"] {
        let mut text = fs::read_to_string(units.join(unit)).unwrap();
        for program in ["l3afd", "l3af-hub"] {
            let built = binary(program).unwrap();
            text = text.replace(&format!("/usr/bin/{program} "), &format!("{} ", built.display()));
        }
        fs::write(folder.path().join(unit), text).unwrap();
    }
    let all = "{0}/l3afd.service {0}/l3afd.socket {0}/l3af-hub.service";
    run(&format!("systemd-analyze verify {}", all.replace("{0}", &folder.path().display().to_string())))
        .unwrap();
}

#[test]
fn the_sample_of_a_configuration_is_one() {
    let file = repository().join("deploy/l3afd.toml");
    let text = fs::read_to_string(&file).unwrap();
    // With every key in force, but for those whose files are not there.
    let is_said = |line: &&str| line.contains(" = ") || line.starts_with('[');
    let keys = text.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_said);
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<&str> = keys.filter(|line| !line.starts_with("smoke")).collect();
    fs::write(folder.path().join("l3afd.toml"), all.join("\n")).unwrap();
    for file in [file, folder.path().join("l3afd.toml")] {
        let pins = Path::new("/sys/fs/bpf").join(unique("l3af-it-"));
        run(&format!(
            "{} --detach --config {} --pins {}",
            binary("l3afd").unwrap().display(),
            file.display(),
            pins.display()
        ))
        .unwrap();
        drop(fs::remove_dir(pins));
    }
}

#[test]
fn the_manager_hands_over_the_socket_and_hears_how_the_daemon_is() {
    let pair = Pair::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    fs::write(path("trust.toml"), packages().policy()).unwrap();
    let manager = UnixDatagram::bind(path("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let pins = Path::new("/sys/fs/bpf").join(unique("l3af-it-"));
    let mut daemon = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{}", pair.right.namespace))
        .args(["systemd-socket-activate", "--listen", &path("api"), "--setenv=WATCHDOG_USEC=200000"])
        .arg(format!("--setenv=NOTIFY_SOCKET={}", path("notify")))
        .arg(binary("l3afd").unwrap())
        .args(["--socket", &path("api"), "--state", &path("state"), "--policy", &path("trust.toml")])
        .arg("--pins")
        .arg(&pins)
        .stdout(Stdio::null())
        .stderr(fs::File::create(path("log")).unwrap())
        .spawn()
        .unwrap();
    let heard = || {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    while !Path::new(&path("api")).exists() {
        std::thread::yield_now();
    }
    // The first call starts it, and waits until it answers.
    let curl = |resource: &str| {
        run(&format!("curl -s --unix-socket {} -w %{{http_code}} http://l3afd{resource}", path("api")))
            .unwrap()
    };
    assert_eq!(curl("/healthz"), "alive\n200");
    let ready = heard();
    assert!(ready.contains("READY=1") && ready.contains("STATUS=generation 0 is in force"), "{ready}");
    assert!(heard().contains("WATCHDOG=1") && heard().contains("WATCHDOG=1"));
    assert_eq!(curl("/readyz"), "converged\n200");
    // A policy that cannot be read.
    fs::write(path("trust.toml"), "publisher = 5").unwrap();
    let mut unready = curl("/readyz");
    while unready.ends_with("200") {
        unready = curl("/readyz");
    }
    assert_eq!(unready, "refused\n503");
    run(&format!("kill -TERM {}", daemon.id())).unwrap();
    while !heard().contains("STOPPING=1") {}
    assert!(daemon.wait().unwrap().success());
    assert!(Path::new(&path("api")).exists(), "the socket is the manager's");
    drop(fs::remove_dir(pins));
}
