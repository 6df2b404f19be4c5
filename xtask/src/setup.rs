// SPDX-License-Identifier: Apache-2.0
//! System packages: found by what they bring, installed by apt where they are missing.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{exists, is_root, run, say};

/// Something that a chore needs, and the package of Debian and Ubuntu that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// A program, or the path of a file.
    probe: &'static str,
    package: &'static str,
}

const fn need(probe: &'static str, package: &'static str) -> Need {
    Need { probe, package }
}

/// To compile the project and its eBPF programs.
pub(crate) const BUILD: &[Need] = &[
    need("cc", "gcc"),
    need("make", "make"),
    need("pkg-config", "pkg-config"),
    need("/usr/include/libelf.h", "libelf-dev"),
    need("/usr/include/zlib.h", "zlib1g-dev"),
    need("clang-19", "clang-19"),
    need("llvm-strip-19", "llvm-19"),
];

/// To run the demo.
pub(crate) const DEMO: &[Need] = &[
    need("ip", "iproute2"),
    need("ping", "iputils-ping"),
    need("nsenter", "util-linux"),
    need("sysctl", "procps"),
];

/// To run the tests, beside the other two.
const TEST: &[Need] = &[
    need("clang-format-19", "clang-format-19"),
    need("curl", "curl"),
    // Bindings in Go are compiled, and the daemon is spoken to with them.
    need("go", "golang-go"),
    need("skopeo", "skopeo"),
    // A provider of OpenID Connect.
    need("node", "nodejs"),
    need("npm", "npm"),
    // A hub is filled with packages to search among.
    need("sqlite3", "sqlite3"),
    // A driver of Windows, and a signature of Windows in it.
    need("lld-link-19", "lld-19"),
    need("osslsigncode", "osslsigncode"),
    // Signers and verifiers of others, and a terminal.
    need("openssl", "openssl"),
    need("softhsm2-util", "softhsm2"),
    need("strace", "strace"),
    need("script", "bsdutils"),
    // The manager of services, as far as it can be tried without being the first process.
    need("systemd-socket-activate", "systemd"),
    need("docker-registry", "docker-registry"),
    need("/usr/lib/postgresql", "postgresql"),
    // A reader of captures.
    need("tshark", "tshark"),
    // A collector of flow records.
    need("nfcapd", "nfdump"),
    need("bpftool", "bpftool"),
    // Perl with its modules: programs with threads are watched.
    need("prove", "perl"),
    // Offloads of the cables between namespaces are switched with it.
    need("ethtool", "ethtool"),
    // Programs of others, which must be able to be members.
    need("xdp-filter", "xdp-tools"),
    need("qemu-system-x86_64", "qemu-system-x86"),
    need("mkfs.ext4", "e2fsprogs"),
    need("/bin/busybox", "busybox-static"),
    need("cpio", "cpio"),
    need("depmod", "kmod"),
    need("xz", "xz-utils"),
    need("dpkg", "dpkg"),
    need("/usr/lib/x86_64-linux-gnu/bpf/xdp-dispatcher.o", "libxdp1"),
];

/// To do all of it.
pub(crate) const EVERYTHING: &[&[Need]] = &[BUILD, DEMO, TEST];

/// Installs what is missing. Nothing is asked of apt where nothing is.
pub(crate) fn install(needs: &[&[Need]]) -> Result<()> {
    let missing: Vec<&str> =
        needs.iter().copied().flatten().filter(|need| !is_there(need)).map(|need| need.package).collect();
    if missing.is_empty() { Ok(()) } else { add(&missing) }
}

/// Installs packages of Debian and Ubuntu.
pub(crate) fn add(missing: &[&str]) -> Result<()> {
    let list = missing.join(" ");
    if !has_apt() {
        bail!("these packages of Debian are missing, and this is neither Debian nor Ubuntu: {list}");
    }
    if !is_root() {
        bail!("packages are missing. Run: sudo apt-get install --no-install-recommends {list}");
    }
    say(&format!("Installing {list}"));
    run(apt().args(["-qq", "update"]))?;
    run(apt().args(["-qq", "-y", "--no-install-recommends", "install"]).args(missing))
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn is_there(need: &Need) -> bool {
    if need.probe.starts_with('/') {
        return Path::new(need.probe).exists();
    }
    // Administrators' programs are not always in everybody's path.
    exists(need.probe)
        || ["/sbin", "/usr/sbin"].iter().any(|folder| Path::new(folder).join(need.probe).exists())
}

fn has_apt() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    exists("apt-get")
        && (release.contains("ID=debian")
            || release.contains("ID=ubuntu")
            || release.contains("ID_LIKE=debian"))
}
