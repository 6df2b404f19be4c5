// SPDX-License-Identifier: Apache-2.0
//! Where l3afd v1 has its files, below a folder; and the configuration that says so.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Artifacts;
use crate::binary;

/// The version that is installed, as far as a restart knows.
const VERSION: &str = "v2.0.0";

/// Whether programs of a hook are chained, or have it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chaining {
    /// Each calls the next.
    Enabled,
    /// There is one of each hook.
    Disabled,
}

/// The files of an installation.
#[derive(Debug)]
pub(super) struct Layout {
    folder: PathBuf,
    packages: PathBuf,
}

impl Layout {
    /// Makes the folders, and what a restart looks for: `latest` is a folder of links into that of the version.
    pub(super) fn new(folder: &Path, artifacts: &Artifacts) -> Result<Self> {
        let layout = Self { folder: folder.to_owned(), packages: artifacts.folder() };
        for name in ["run", "shm", "log", "store", "artifacts"] {
            fs::create_dir(folder.join(name))?;
        }
        let (version, latest) = (layout.base().join(VERSION).join("l3afd"), layout.base().join("latest"));
        fs::create_dir_all(&version)?;
        fs::create_dir_all(&latest)?;
        symlink(binary("l3afd")?, version.join("l3afd"))?;
        for name in ["l3afd", "l3afd.cfg"] {
            symlink(version.join(name), latest.join(name))?;
        }
        Ok(layout)
    }

    fn base(&self) -> PathBuf {
        self.folder.join("base")
    }

    pub(super) fn executable(&self) -> PathBuf {
        self.base().join("latest/l3afd")
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.base().join("latest/l3afd.cfg")
    }

    pub(super) fn pid_file(&self) -> PathBuf {
        self.folder.join("run/l3afd.pid")
    }

    pub(super) fn store(&self) -> PathBuf {
        self.folder.join("store/l3af-config.json")
    }

    pub(super) fn bpf_dir(&self) -> PathBuf {
        self.folder.join("shm")
    }

    /// Writes the configuration: every key that installations have, those for programs that no longer exist too.
    pub(super) fn write(&self, chaining: Chaining) -> Result<()> {
        let text = TEMPLATE
            .replace("@folder@", &self.folder.to_string_lossy())
            .replace("@packages@", &self.packages.to_string_lossy())
            .replace("@chaining@", if chaining == Chaining::Enabled { "true" } else { "false" });
        Ok(fs::write(self.configuration(), text)?)
    }
}

/// Two sections have the same name: that is so in the wild, and the later one counts.
const TEMPLATE: &str = "[DEFAULT]

[l3afd]
pid-file: @folder@/run/l3afd.pid
datacenter: dummy
bpf-dir: @folder@/shm
bpf-log-dir:
kernel-major-version: 5
kernel-minor-version: 10
shutdown-timeout: 25s
http-client-timeout: 10s
max-ebpf-restart-count: 3
bpf-chaining-enabled: @chaining@
swagger-api-enabled: true
environment: DEV
BpfMapDefaultPath: /sys/fs/bpf
file-log-location: @folder@/log/l3afd.log
file-log-max-size: 100
file-log-max-backups: 10
file-log-max-age: 60
json-format-logs: false

[ebpf-repo]
url: file://@packages@

[web]
metrics-addr: 127.0.0.1:8898
ebpf-poll-interval: 1s
n-metric-samples: 20

[xdp-root]
package-name: xdp-root
artifact: l3af_xdp_root.tar.gz
command: xdp_root
ingress-map-name: xdp_root_array
version: latest
object-file: xdp_root.bpf.o
entry-function-name: xdp_root

[tc-root]
package-name: tc-root
artifact: l3af_tc_root.tar.gz
ingress-map-name: tc_ingress_root_array
egress-map-name: tc_egress_root_array
command: tc_root
version: latest
ingress-object-file: tc_root_ingress.bpf.o
egress-object-file: tc_root_egress.bpf.o
ingress-entry-function-name: tc_ingress_root
egress-entry-function-name: tc_egress_root

[ebpf-chain-debug]
addr: 127.0.0.1:8899
enabled: true

[l3af-configs]
restapi-addr: 127.0.0.1:7080

[l3af-config-store]
filename: /nowhere/l3af-config.json

[mtls]
enabled: false
# TLS_1_2 or TLS_1_3
# min-tls-version: TLS_1_3
# cert-dir: /etc/l3af/certs
# cacert-filename: ca.pem
# server-crt-filename: server.crt
# server-key-filename: server.key
# cert-expiry-warning-days: 30
# san-match-rules: .+l3afd.l3af.io,^l3afd.l3af.io$

[l3af-config-store]
filename: @folder@/store/l3af-config.json

[graceful-restart]
restart-artifacts-url: file://@folder@/artifacts
time-to-restart: 7
basepath: @folder@/base
version-limit: 100
";
