// SPDX-License-Identifier: Apache-2.0
//! Artifacts of l3afd v1 as packages: a `.tar.gz` or `.zip` with objects and executables, and no word about them.
//!
//! What a package says of itself is found by rules here, so that the same bytes under the same name and version are the same
//! package wherever they are read. That is what a publisher signs.

use std::collections::BTreeMap;
use std::path::Path;

use semver::Version;
use thiserror::Error;

use crate::archive::{Limits, unpack};
use crate::{
    ArchiveError, Digest, File, HookPoint, Object, PackError, PackFile, PackSource, Packed, ProbeKind,
    ProgramKind, PublisherName, pack,
};

/// The file that stands in for documentation where an artifact has none.
const README: &str = "README.md";
/// What programs of l3afd v1 need to open pinned maps, to configure the network, and to write where they like.
pub const ARTIFACT_CAPABILITIES: [&str; 6] =
    ["bpf", "dac_override", "net_admin", "net_raw", "perfmon", "sys_resource"];

/// An artifact of l3afd v1.
#[derive(Debug, Clone, Copy)]
pub struct Artifact<'a> {
    /// The name of its package in payloads, and of a folder in the repository.
    pub name: &'a str,
    /// Its version there, such as `latest`.
    pub version: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// What is no artifact that could become a package.
#[derive(Debug, Error)]
pub enum BadArtifact {
    /// It is no archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Its files do not lie in one folder.
    #[error("`{path}` does not lie in the one folder at the top of the artifact")]
    NoFolder {
        /// The file.
        path: String,
    },
    /// Nothing in it is an eBPF program.
    #[error("the artifact has no eBPF program of a kind that l3afd v1 knows in any of its `.o` files")]
    NoProgram,
    /// It cannot be put together.
    #[error("the artifact cannot become a package")]
    Pack(#[from] PackError),
}

impl Artifact<'_> {
    /// The package that it is, of a publisher.
    ///
    /// The objects are its `.o` files. A program belongs to the hook that its section begins with, `xdp` or `tc`; to
    /// `tc-egress` where its section, its function or its object has `egress` in its name. Kinds that l3afd v1 does not attach
    /// are left out. The licence is not known (`LicenseRef-unknown`). A version that is not one of Semantic Versioning becomes
    /// a pre-release of 0.0.0.
    ///
    /// # Errors
    /// When it is no archive, holds no program, or does not fit into a package.
    pub fn pack(&self, publisher: &PublisherName) -> Result<Packed, BadArtifact> {
        let mut files = BTreeMap::new();
        let unpacked = unpack(self.bytes, &Limits::default())?;
        let top = unpacked.first().and_then(|first| first.path.split('/').next()).unwrap_or_default();
        for File { path, bytes, executable } in unpacked.iter() {
            let inner = path.strip_prefix(top).and_then(|inner| inner.strip_prefix('/'));
            let inner = inner.ok_or_else(|| BadArtifact::NoFolder { path: path.clone() })?;
            files.insert(inner.to_owned(), PackFile { bytes: bytes.clone(), executable: *executable });
        }
        let programs: String = files
            .iter()
            .filter(|(path, _)| is_object(path))
            .flat_map(|(path, file)| programs(path, file))
            .collect();
        if programs.is_empty() {
            return Err(BadArtifact::NoProgram);
        }
        let documentation = files.entry(README.to_owned()).or_insert_with(|| self.documentation());
        if documentation.bytes.is_empty() {
            *documentation = self.documentation();
        }
        let manifest = self.manifest(publisher, &files) + &programs;
        Ok(pack(&PackSource { manifest, files }, 0)?)
    }

    fn documentation(&self) -> PackFile {
        let text = format!("`{}` {}, an artifact of l3afd v1.\n", self.name, self.version);
        PackFile { bytes: text.into_bytes(), executable: false }
    }

    fn manifest(&self, publisher: &PublisherName, files: &BTreeMap<String, PackFile>) -> String {
        let (name, version) = (plain_name(self.name), plain_version(self.version));
        let mut text = format!(
            "[package]\nname = \"{name}\"\npublisher = \"{publisher}\"\nversion = \"{version}\"\n\
             description = \"An artifact of l3afd v1\"\ncategory = \"l3afd\"\nsubcategory = \"v1\"\n\
             license = \"LicenseRef-unknown\"\ndocumentation = \"{README}\"\n[kernel]\nmin = \"5.10\"\n"
        );
        for architecture in architectures(files) {
            text.extend(["[[platform]]\nos = \"linux\"\narchitecture = \"", architecture, "\"\n"]);
        }
        let command = files.iter().find(|(path, file)| file.executable && !is_object(path));
        if let Some((command, _)) = command {
            let command = toml::Value::from(command.as_str());
            let command = command.to_string();
            let capabilities = format!("{ARTIFACT_CAPABILITIES:?}");
            text.extend([
                "[user]\ncommand = ",
                &command,
                "\nconvention = \"l3afd\"\ncapabilities = ",
                &capabilities,
                "\n",
            ]);
        }
        text
    }
}

fn is_object(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "o")
}

/// The programs of an object, as a manifest tells of them. What is no eBPF object has none.
fn programs(path: &str, file: &PackFile) -> Vec<String> {
    let programs = Object::parse(&file.bytes).map(|object| object.programs).unwrap_or_default();
    let described = programs.iter().filter_map(|program| {
        let kind = kind(&program.section, &[&program.section, program.function.as_ref(), path])?;
        let (function, object) = (&program.function, toml::Value::from(path));
        Some(format!("[[program]]\nfunction = \"{function}\"\nobject = {object}\nhook = \"{kind}\"\n"))
    });
    described.collect()
}

/// The kind of a program by its section, and by other names around it.
fn kind(section: &str, around: &[&str]) -> Option<ProgramKind> {
    let tc = || {
        let is_egress = around.iter().any(|name| name.contains("egress"));
        if is_egress { HookPoint::TcEgress } else { HookPoint::TcIngress }
    };
    let start = section.split('/').next().unwrap_or_default();
    match start {
        "kprobe" => Some(ProgramKind::Probe(ProbeKind::Kprobe)),
        "kretprobe" => Some(ProgramKind::Probe(ProbeKind::Kretprobe)),
        "tracepoint" => Some(ProgramKind::Probe(ProbeKind::Tracepoint)),
        "uprobe" => Some(ProgramKind::Probe(ProbeKind::Uprobe)),
        "uretprobe" => Some(ProgramKind::Probe(ProbeKind::Uretprobe)),
        other if other.starts_with("xdp") => Some(ProgramKind::Chain(HookPoint::Xdp)),
        other if other.starts_with("tc") || other.starts_with("classifier") => Some(ProgramKind::Chain(tc())),
        _ => None,
    }
}

/// The machines that its executables are for; where it has none, those that objects of this byte order run on.
fn architectures(files: &BTreeMap<String, PackFile>) -> Vec<&'static str> {
    /// `e_machine` of the ELF header (System V ABI) and the name of it in packages.
    const MACHINES: [(u16, &str); 2] = [(62, "amd64"), (183, "arm64")];
    let machine = |file: &PackFile| {
        let bytes = file.bytes.strip_prefix(b"\x7fELF")?.get(14..16)?;
        let found = u16::from_le_bytes([bytes[0], bytes[1]]);
        MACHINES.iter().find(|(number, _)| *number == found).map(|(_, name)| *name)
    };
    let executables = files.iter().filter(|(path, file)| file.executable && !is_object(path));
    let mut found: Vec<&str> = executables.filter_map(|(_, file)| machine(file)).collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() { MACHINES.map(|(_, name)| name).to_vec() } else { found }
}

/// Any text as a name of the form that packages and members have: 1 to 63 lower-case letters, digits and dashes. One that is
/// of that form stays; all others differ from it, and from each other, by the beginning of a digest.
pub fn plain_name(text: &str) -> String {
    let name = dashed(text);
    if name == text && !name.is_empty() {
        return name;
    }
    let (short, digest) = (name.get(..54).unwrap_or(&name), Digest::of(text.as_bytes()).hex());
    format!("{}-{}", short.trim_end_matches('-'), &digest[..8]).trim_start_matches('-').to_owned()
}

/// A text in lower case, with dashes for what is neither a letter nor a digit; at most 63 of them.
fn dashed(text: &str) -> String {
    let letter = |letter: char| {
        let lower = letter.to_ascii_lowercase();
        if lower.is_ascii_lowercase() || lower.is_ascii_digit() { lower } else { '-' }
    };
    let text: String = text.chars().map(letter).take(63).collect();
    text.trim_matches('-').to_owned()
}

/// Any text as a version of Semantic Versioning: what is none, with or without a `v` before it, is a pre-release of 0.0.0.
pub fn plain_version(text: &str) -> Version {
    let number = text.strip_prefix('v').unwrap_or(text);
    Version::parse(number).unwrap_or_else(|_| {
        let name = dashed(text);
        // Numbers with leading zeros cannot stand alone.
        let name = if name.bytes().all(|byte| byte.is_ascii_digit()) { format!("v{name}") } else { name };
        let pre = semver::Prerelease::new(&name).unwrap_or(semver::Prerelease::EMPTY);
        Version { pre, ..Version::new(0, 0, 0) }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::PackageName;

    #[test]
    fn versions_of_old_repositories_are_versions() {
        let told = ["latest", "v2.0.0", "1.2.3", "1.0", "007", "..", "Latest_2"]
            .map(|text| plain_version(text).to_string());
        let wanted =
            ["0.0.0-latest", "2.0.0", "1.2.3", "0.0.0-1-0", "0.0.0-v007", "0.0.0-v", "0.0.0-latest-2"];
        assert_eq!(told, wanted);
    }

    #[test]
    fn any_text_has_a_name_of_its_own() {
        assert_eq!(plain_name("ipfix-flow-exporter"), "ipfix-flow-exporter");
        let long = "x".repeat(70);
        let texts = ["a-b", "a_b", "A-b", "-a-b", "", "..", "é", &long, &long[1..], "XDP_root.v2"];
        let names: BTreeSet<String> = texts.iter().map(|text| plain_name(text)).collect();
        assert_eq!(names.len(), texts.len(), "{names:?}");
        assert!(names.iter().all(|name| name.parse::<PackageName>().is_ok()), "{names:?}");
    }

    #[test]
    fn kinds_are_read_from_names() {
        let told = |section: &str, function: &str| {
            kind(section, &[section, function]).map(|kind| kind.to_string()).unwrap_or_default()
        };
        assert_eq!(told("xdp_ratelimiting", "_xdp_ratelimiting"), "xdp");
        assert_eq!(told("tc_ingress_flow_monitoring", "_ingress_flow_monitoring"), "tc-ingress");
        assert_eq!(told("tc_flow_monitoring", "_egress_flow_monitoring"), "tc-egress");
        assert_eq!(told("tracepoint/sock/inet_sock_set_state", "f"), "tracepoint");
        assert_eq!(told("lsm/file_open", "f"), "");
    }

    #[test]
    fn what_holds_no_program_is_no_package() {
        let file =
            |path: &&str| File { path: (*path).to_owned(), bytes: b"text".to_vec(), executable: false };
        let pack_all = |paths: &[&str]| {
            let bytes = crate::write_layer(&paths.iter().map(file).collect(), 0).unwrap();
            let artifact = Artifact { name: "a", version: "latest", bytes: &bytes };
            artifact.pack(&"acme".parse().unwrap()).unwrap_err().to_string()
        };
        let pack = |path: &str| pack_all(&[path]);
        let two = pack_all(&["l3af_a/a.bpf.o", "l3af_b/a.bpf.o"]);
        assert_eq!(two, "`l3af_b/a.bpf.o` does not lie in the one folder at the top of the artifact");
        assert_eq!(pack("a.bpf.o"), "`a.bpf.o` does not lie in the one folder at the top of the artifact");
        assert!(
            pack("l3af_a/a.bpf.o").starts_with("the artifact has no eBPF program"),
            "{}",
            pack("l3af_a/a.bpf.o")
        );
        let artifact = Artifact { name: "a", version: "latest", bytes: b"no archive" };
        assert!(matches!(artifact.pack(&"acme".parse().unwrap()), Err(BadArtifact::Archive(_))));
    }
}
