// SPDX-License-Identifier: Apache-2.0
//! A repository of packages as l3afd v1 expects it, with the programs of `it/fixtures`: archives at
//! `<name>/<version>/<platform>/<artifact>`, each with one folder that is named as the archive is, without its ending.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{Ran, repository, run};

/// What one archive is made of.
#[derive(Debug, Clone, Copy)]
struct Source {
    /// The name of the package, and of its folder.
    name: &'static str,
    artifact: &'static str,
    /// Each has a source with `.bpf.c` behind its name.
    objects: &'static [&'static str],
    commands: &'static [Built],
}

/// A user program.
#[derive(Debug, Clone, Copy)]
struct Built {
    command: &'static str,
    source: &'static str,
    definitions: &'static [&'static str],
}

const SOURCES: [Source; 4] = [
    Source { name: "ratelimiting", artifact: "l3af_ratelimiting", objects: &["ratelimiting"], commands: &[] },
    Source {
        name: "connection-limit",
        artifact: "l3af_connection_limit",
        objects: &["connection_limit"],
        commands: &[Built { command: "connection_limit", source: "connection_limit.c", definitions: &[] }],
    },
    Source {
        name: "ipfix-flow-exporter",
        artifact: "l3af_bpf_ipfix",
        objects: &["bpf_ipfix_ingress", "bpf_ipfix_egress"],
        commands: &[
            Built {
                command: "bpf_ipfix_ingress",
                source: "bpf_ipfix.c",
                definitions: &["-DDIRECTION=\"ingress\"", "-DEGRESS=0", "-DPORT=4755"],
            },
            Built {
                command: "bpf_ipfix_egress",
                source: "bpf_ipfix.c",
                definitions: &["-DDIRECTION=\"egress\"", "-DEGRESS=1", "-DPORT=4756"],
            },
        ],
    },
    Source {
        name: "traffic-mirroring",
        artifact: "l3af_traffic_mirroring",
        objects: &["mirroring_ingress", "mirroring_egress"],
        commands: &[Built { command: "mirroring", source: "mirroring.c", definitions: &[] }],
    },
];

/// The repository, in a folder of its own.
#[derive(Debug)]
pub struct Artifacts {
    folder: TempDir,
}

impl Artifacts {
    /// Compiles and packs everything, as version `latest`.
    ///
    /// # Errors
    /// When a compiler is missing or refuses.
    pub fn build() -> Result<Self> {
        let artifacts = Self { folder: tempfile::tempdir()? };
        fs::set_permissions(artifacts.folder.path(), fs::Permissions::from_mode(0o755))?;
        for source in &SOURCES {
            artifacts.pack(source)?;
        }
        Ok(artifacts)
    }

    /// The folder with a folder of each package.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// The archive of a package.
    ///
    /// # Errors
    /// When there is no such package, or this system has no name.
    pub fn archive(&self, name: &str) -> Result<PathBuf> {
        let source = SOURCES.iter().find(|source| source.name == name);
        let source = source.with_context(|| format!("there is no package `{name}` in `it/fixtures`"))?;
        Ok(self
            .folder()
            .join(name)
            .join("latest")
            .join(platform()?)
            .join(format!("{}.tar.gz", source.artifact)))
    }

    /// What the archive of a package holds, unpacked: the folder with its objects and commands.
    ///
    /// # Errors
    /// When there is no such package.
    pub fn contents(&self, name: &str) -> Result<PathBuf> {
        let source = SOURCES.iter().find(|source| source.name == name);
        let source = source.with_context(|| format!("there is no package `{name}` in `it/fixtures`"))?;
        Ok(self.folder.path().join(source.artifact))
    }

    fn pack(&self, source: &Source) -> Result<()> {
        let (folder, sources) =
            (self.contents(source.name)?, repository().join("it/fixtures").join(source.name));
        fs::create_dir_all(&folder)?;
        for object in source.objects {
            let mut clang = Command::new("clang-19");
            clang.args(["-g", "-O2", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3"]);
            clang.args(["-I", "programs/include", "-I", "crates/compile/include"]);
            compile(
                &mut clang,
                &sources.join(format!("{object}.bpf.c")),
                &folder.join(format!("{object}.bpf.o")),
            )?;
        }
        for built in source.commands {
            let mut cc = Command::new("cc");
            cc.args(["-O2", "-Wall", "-Werror", "-static"]).args(built.definitions).arg("-o");
            let output = folder.join(built.command);
            cc.arg(&output).args(["-I", "it/fixtures/include"]).arg(sources.join(built.source));
            succeed(&mut cc)?;
            fs::set_permissions(output, fs::Permissions::from_mode(0o755))?;
        }
        let archive = self.archive(source.name)?;
        fs::create_dir_all(archive.parent().context("it is in a folder")?)?;
        let mut tar = Command::new("tar");
        tar.args(["--create", "--gzip", "--owner=0", "--group=0", "--sort=name", "--file"]).arg(archive);
        tar.arg("--directory").arg(self.folder.path()).arg(source.artifact);
        succeed(&mut tar)
    }
}

fn compile(compiler: &mut Command, source: &Path, output: &Path) -> Result<()> {
    succeed(compiler.args(["-I", "it/fixtures/include", "-c"]).arg(source).arg("-o").arg(output))
}

fn succeed(command: &mut Command) -> Result<()> {
    let ran =
        Ran::from(command.current_dir(repository()).output().context("a compiler or `tar` is missing")?);
    if ran.ok { Ok(()) } else { bail!("{command:?} failed:\n{}", ran.stderr) }
}

/// What `lsb_release -cs` says, or would say.
fn platform() -> Result<String> {
    if let Ok(name) = run("lsb_release -cs") {
        return Ok(name.trim().to_owned());
    }
    let release = fs::read_to_string("/etc/os-release")?;
    let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("`/etc/os-release` has no `VERSION_CODENAME`")?.trim_matches('"').to_owned())
}
