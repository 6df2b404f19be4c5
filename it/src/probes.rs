// SPDX-License-Identifier: Apache-2.0
//! Probes of the stories: packages made of `it/probes`, something to attach to, and how often each ran.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use wire::ProbeView;

use crate::packages::write_manifest;
use crate::{Node, Packages, repository, run};

/// The programs of each package, with their kinds.
const PROGRAMS: [(&str, &[(&str, &str)]); 4] = [
    (
        "code",
        &[
            ("on_entry", "kprobe"),
            ("on_return", "kretprobe"),
            ("on_user_entry", "uprobe"),
            ("on_user_return", "uretprobe"),
            ("on_sample", "perf-event"),
        ],
    ),
    (
        "events",
        &[
            ("on_exec", "tracepoint"),
            ("on_raw_exec", "raw-tracepoint"),
            ("on_told_exec", "raw-tracepoint"),
            ("on_typed_exec", "tp-btf"),
            ("on_connect", "fentry"),
            ("on_told_connect", "fentry"),
            ("on_connected", "fexit"),
            ("on_check", "lsm"),
            ("on_task", "iter"),
        ],
    ),
    (
        "network",
        &[
            ("on_egress", "cgroup"),
            ("on_packet", "cgroup"),
            ("on_socket", "cgroup"),
            ("on_connect4", "cgroup"),
            ("on_connect6", "cgroup"),
            ("on_sysctl", "cgroup"),
            ("on_device", "cgroup"),
            ("on_setsockopt", "cgroup"),
            ("on_socket_event", "sockops"),
            ("on_lookup", "sk-lookup"),
            ("on_filter", "netfilter"),
            ("on_primary", "netkit-primary"),
            ("on_peer", "netkit-peer"),
        ],
    ),
    ("usdt", &[("on_static", "usdt")]),
];

/// Packages with probes, and an executable to attach to.
#[derive(Debug)]
pub struct Probes {
    folder: TempDir,
}

impl Probes {
    /// Builds and signs the packages with the key of others, and compiles the executable.
    ///
    /// # Errors
    /// When a compiler is missing or refuses.
    pub fn build(packages: &Packages) -> Result<Self> {
        let probes = Self { folder: tempfile::tempdir()? };
        for (name, programs) in PROGRAMS {
            let described = programs.iter().map(|(function, kind)| {
                format!(
                    "[[program]]\nfunction = \"{function}\"\nobject = \"{name}.bpf.o\"\nsource = \
                     \"{name}.bpf.c\"\nhook = \"{kind}\"\n"
                )
            });
            let source = repository().join(format!("it/probes/{name}.bpf.c"));
            let text = fs::read_to_string(source)?;
            probes.release(packages, (name, "0.1.0"), &text, &described.collect::<String>())?;
        }
        let target = probes.target();
        let source = repository().join("it/probes/target.c");
        let output = Command::new("cc").arg("-O1").arg("-o").arg(&target).arg(source).output()?;
        if !output.status.success() {
            bail!("`it/probes/target.c` does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(probes)
    }

    /// Builds and signs a release of a package from a source, with these programs. Returns its folder.
    ///
    /// # Errors
    /// When the compiler is missing or refuses.
    pub fn release(
        &self,
        packages: &Packages,
        (name, version): (&str, &str),
        source: &str,
        programs: &str,
    ) -> Result<String> {
        let folder = self.folder.path().join(format!("{name}-{version}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{name}.bpf.c")), source)?;
        fs::copy(repository().join("it/probes/probe.h"), folder.join("probe.h"))?;
        fs::copy(repository().join("programs/include/vmlinux.h"), folder.join("vmlinux.h"))?;
        write_manifest(&folder, (name, version), &format!("{programs}[build]\nclang = 19\n"))?;
        let output = self.package(name, version);
        packages.l3af(&["build", &folder.to_string_lossy(), "--output", &output])?.success()?;
        packages.l3af(&["sign", &output, "--key", "key"])?.success()?;
        Ok(output)
    }

    fn package(&self, name: &str, version: &str) -> String {
        self.folder.path().join(format!("{name}-{version}.oci")).to_string_lossy().into_owned()
    }

    /// The package that has a program.
    ///
    /// # Errors
    /// When there is none.
    pub fn package_of(&self, program: &str) -> Result<String> {
        let has = |programs: &[(&str, &str)]| programs.iter().any(|(function, _)| *function == program);
        let found = PROGRAMS.iter().find(|(_, programs)| has(programs));
        let (name, _) = found.with_context(|| format!("there is no program `{program}` in `it/probes`"))?;
        Ok(self.package(name, "0.1.0"))
    }

    /// The executable that probes attach to: it calls `l3af_target` as often as its argument says.
    pub fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    /// A document with these probes: a name, a program, and more lines of TOML.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn document(&self, probes: &[(&str, &str, &str)]) -> Result<String> {
        let described = probes.iter().map(|(name, program, rest)| {
            let package = self.package_of(program)?;
            let head = format!("[[probe]]\nname = \"{name}\"\npackage = \"{package}\"\n");
            Ok(format!("{head}program = \"{program}\"\n{rest}\n"))
        });
        described.collect()
    }
}

impl Node {
    /// The probes, as the daemon sees them.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub fn probes(&self) -> Result<Vec<ProbeView>> {
        Ok(serde_json::from_str::<wire::Probes>(&self.l3af(&["probes", "--json"])?)?.probes)
    }

    /// The folder of the pins of probes.
    pub fn probe_pins(&self) -> PathBuf {
        self.pins.join("probes-outside-of-chains")
    }

    /// The pin of a map of a probe that is its own.
    ///
    /// # Errors
    /// When it has no maps, or those of several objects.
    pub fn probe_map(&self, probe: &str, map: &str) -> Result<PathBuf> {
        let states = fs::read_dir(self.probe_pins().join("state"))?;
        let own = |path: &Path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{probe}#")))
        };
        let found = states.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| own(path));
        let states: Vec<PathBuf> = found.collect();
        let [state] = states.as_slice() else { bail!("`{probe}` has {} sets of maps", states.len()) };
        Ok(state.join(map))
    }

    /// How often a probe counted, and what it was told last.
    ///
    /// # Errors
    /// When it has no maps, or those of several objects.
    pub fn hits(&self, probe: &str) -> Result<(u64, u64)> {
        let hits = self.probe_map(probe, "hits")?;
        let dump = run(&format!("bpftool -j map dump pinned {}", hits.display()))?;
        let dump: Value = serde_json::from_str(&dump)?;
        let number = |index: usize| -> Option<u64> {
            let bytes = dump[index]["value"]
                .as_array()?
                .iter()
                .map(|byte| u8::from_str_radix(byte.as_str()?.trim_start_matches("0x"), 16).ok());
            Some(u64::from_ne_bytes(bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()?))
        };
        number(0).zip(number(1)).with_context(|| format!("`{dump}` is not what `hits` holds"))
    }
}
