// SPDX-License-Identifier: Apache-2.0
//! `l3af build --for l3afd`: from the same sources to an artifact of l3afd v1, in the place of its repository where it looks, and
//! to the payload that deploys it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use compile::Clang;
use flate2::{Compression, GzBuilder};
use maps::{Endian, Shape, Type};
use package::{Convention, HookPoint, Manifest, Object, PackFile, ProceedSet, ProgramKind, ProgramSpec};
use serde_json::Value;
use wire::l3afd::{Entry, Lists, Program, platform, write};

use super::wrapper::{Fixed, Member, wrapped};
use super::{companions, read, read_manifest};
use crate::arguments::Build;
use crate::failure::{Failure, Outcome};
use crate::output;

/// Sections of an object that become maps which l3afd v1 cannot pin: no pin has a dot in its name, and only `.bss` is spared.
const UNPINNABLE: [&[u8]; 2] = [b"\0.rodata", b"\0.data"];

pub(crate) fn run(arguments: &Build) -> Outcome {
    let (manifest, _) = read_manifest(&arguments.folder)?;
    let members = members(&manifest)?;
    let mut files = BTreeMap::new();
    for path in companions(&arguments.folder, &manifest)? {
        add(&mut files, &path, read(&arguments.folder.join(&path))?)?;
    }
    let clang = Clang::find(manifest.build.as_ref(), output::note)?;
    let mut unset: BTreeSet<&str> = arguments.set.iter().map(|(name, _)| name.as_str()).collect();
    for path in manifest.objects() {
        let own: Vec<&ProgramSpec> =
            members.iter().copied().filter(|program| program.object == path).collect();
        let bytes = object(&clang, arguments, &own, &mut unset)?;
        add(&mut files, path, PackFile { bytes, executable: false })?;
    }
    if let Some(name) = unset.first() {
        return Err(Failure::new(format!("no program has a parameter `{name}`"))
            .with_hint("`l3af inspect` lists the parameters of a package"));
    }
    let (name, version) = (manifest.package.name.to_string(), manifest.package.version.to_string());
    let top = format!("l3af_{}", name.replace('-', "_"));
    let release = arguments.platform.clone().unwrap_or_else(platform);
    let repository = arguments.output.clone().unwrap_or_else(|| PathBuf::from("l3afd-repository"));
    let folder = repository.join(&name).join(&version).join(release);
    let artifact = format!("{top}.tar.gz");
    fs::create_dir_all(&folder)?;
    let bytes = archive(&top, &files, arguments.created)?;
    output::write_file(&folder.join(&artifact), &bytes)?;
    output::note(&format!("built `{}`", folder.join(&artifact).display()));
    let payload = payload(&manifest, &members, &artifact, &arguments.on)?;
    output::data(&String::from_utf8_lossy(&write(&payload, "  ")));
    Ok(())
}

/// Adds a file by its name alone, unless another has that.
fn add(files: &mut BTreeMap<String, PackFile>, path: &str, file: PackFile) -> Outcome {
    if files.insert(file_name(path), file).is_none() {
        return Ok(());
    }
    Err(Failure::new(format!("two files of the package are called `{}`", file_name(path)))
        .with_hint("an artifact of l3afd v1 has one folder; give them different names"))
}

/// The programs, all of them members of chains, none beside another at one hook: their name there is that of the package.
fn members(manifest: &Manifest) -> Result<Vec<&ProgramSpec>, Failure> {
    let mut hooks = BTreeSet::new();
    for program in &manifest.programs {
        let ProgramKind::Chain(hook) = program.hook else {
            return Err(Failure::new(format!(
                "`{}` is a `{}`, and becomes no artifact",
                program.function, program.hook
            ))
            .with_hint("XDP and TC programs do; l3afd v1 attaches probes from their objects as they are"));
        };
        if !hooks.insert(hook) {
            return Err(Failure::new(format!("the package has several programs for `{hook}`"))
                .with_hint("l3afd v1 knows a program by the name of its package: make a package of each"));
        }
    }
    Ok(manifest.programs.iter().collect())
}

/// An object whose programs chain in the old way.
fn object<'a>(
    clang: &Clang,
    arguments: &'a Build,
    programs: &[&ProgramSpec],
    unset: &mut BTreeSet<&'a str>,
) -> Result<Vec<u8>, Failure> {
    let sources: BTreeSet<&str> = programs.iter().filter_map(|program| program.source.as_deref()).collect();
    let (Some(path), 1) = (sources.first().copied(), sources.len()) else {
        let object = programs.first().map_or("", |program| program.object.as_str());
        return Err(Failure::new(format!("`{object}` has no C source, or several")).with_hint(
            "the chaining of l3afd v1 is compiled into a program: name its source in `package.toml`",
        ));
    };
    // What the author wrote says which parameters there are.
    let plain = Object::interface(&clang.compile(&arguments.folder, path)?)?;
    let mut parameters = Vec::new();
    for (name, _, is) in plain.parameters() {
        let given = arguments.set.iter().rfind(|(given, _)| given == name);
        let digits = given.map(|(_, value)| digits(name, is, value)).transpose()?;
        unset.remove(name);
        parameters.push(Fixed { name, digits });
    }
    let defaults = HookPoint::ALL.map(|hook| (hook, ProceedSet::default_for(hook)));
    let members: Vec<Member<'_>> = programs
        .iter()
        .filter_map(|program| {
            let hook = program.hook.chain()?;
            let default = defaults.iter().find(|(known, _)| *known == hook).map(|(_, proceed)| proceed);
            Some(Member { function: &program.function, hook, proceed: program.proceed.as_ref().or(default)? })
        })
        .collect();
    let cannot = |why: String| Failure::new(format!("`{path}` cannot be wrapped for l3afd v1: {why}"));
    let source =
        fs::read_to_string(arguments.folder.join(path)).map_err(|error| cannot(error.to_string()))?;
    let text = wrapped(&source, path, &members, &parameters).map_err(|error| cannot(error.to_string()))?;
    let bytes = clang.compile_text(&arguments.folder, path, &text)?;
    if UNPINNABLE.iter().any(|name| bytes.windows(name.len()).any(|window| window == *name)) {
        return Err(cannot("it has variables in `.rodata` or `.data`, and l3afd v1 cannot pin their maps".to_owned())
            .with_hint("only variables that begin with 0 may be left: keep others on the stack, in a map, or as `#define`"));
    }
    Ok(bytes)
}

/// The number that a constant becomes.
fn digits(name: &str, is: &Type, value: &Value) -> Result<String, Failure> {
    let endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };
    let bytes = is
        .encode(value, endian)
        .map_err(|faults| Failure::new(format!("`{name}` cannot have that value: {faults}")))?;
    let read = is.view(&bytes, endian).ok().and_then(|read| serde_json::to_value(read).ok());
    match (is.shape(), read) {
        (Shape::Bool, Some(Value::Bool(value))) => Ok(u8::from(value).to_string()),
        (Shape::Integer(_), Some(Value::Number(number))) => Ok(number.to_string()),
        (Shape::Integer(_), Some(Value::String(digits))) => Ok(digits),
        _ => Err(Failure::new(format!("`{name}` is {is}, which cannot be set for l3afd v1"))
            .with_hint("integers and truth values can; change the value in the source")),
    }
}

/// One folder, first as an entry of its own, then its files by name: l3afd v1 makes no folder that is not an entry.
fn archive(top: &str, files: &BTreeMap<String, PackFile>, modified: u64) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(6));
    let mut archive = tar::Builder::new(gzip);
    let header = |path: &str, kind, mode| -> io::Result<tar::Header> {
        let mut header = tar::Header::new_ustar();
        header.set_path(path)?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(modified);
        header.set_uid(0);
        header.set_gid(0);
        Ok(header)
    };
    let mut folder = header(&format!("{top}/"), tar::EntryType::Directory, 0o755)?;
    folder.set_size(0);
    folder.set_cksum();
    archive.append(&folder, io::empty())?;
    for (name, file) in files {
        let mode = if file.executable { 0o755 } else { 0o644 };
        let mut entry = header(&format!("{top}/{name}"), tar::EntryType::Regular, mode)?;
        entry.set_size(file.bytes.len() as u64);
        entry.set_cksum();
        archive.append(&entry, file.bytes.as_slice())?;
    }
    archive.into_inner()?.finish()
}

/// What deploys it, for one interface of this host.
fn payload(
    manifest: &Manifest,
    members: &[&ProgramSpec],
    artifact: &str,
    interface: &str,
) -> Result<Vec<Entry>, Failure> {
    let mut lists = Lists::default();
    let defaults = ProceedSet::default_for(HookPoint::Xdp);
    for program in members {
        let Some(hook) = program.hook.chain() else { continue };
        let member = Member { function: &program.function, hook, proceed: &defaults };
        let (list, kind) = match hook {
            HookPoint::Xdp => (&mut lists.xdp_ingress, "xdp"),
            HookPoint::TcIngress => (&mut lists.tc_ingress, "tc"),
            HookPoint::TcEgress => (&mut lists.tc_egress, "tc"),
        };
        let command = manifest.user.as_ref().filter(|user| user.convention == Convention::L3afd);
        list.get_or_insert_default().push(Program {
            name: manifest.package.name.to_string(),
            seq_id: 1,
            artifact: artifact.to_owned(),
            map_name: member.next(),
            cmd_start: command.map(|user| file_name(&user.command)).unwrap_or_default(),
            user_program_daemon: command.is_some(),
            version: manifest.package.version.to_string(),
            admin_status: "enabled".to_owned(),
            prog_type: kind.to_owned(),
            cfg_version: 1,
            object_file: file_name(&program.object),
            entry_function_name: member.entry(),
            ..Program::default()
        });
    }
    if manifest.user.as_ref().is_some_and(|user| user.convention == Convention::Package) {
        output::note(
            "warning: the user program is in the artifact, and l3afd v1 does not start it: it is not of the convention `l3afd`",
        );
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
    Ok(vec![Entry {
        host_name: host.trim().to_owned(),
        iface: interface.to_owned(),
        bpf_programs: Some(lists),
        ..Entry::default()
    }])
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_takes_the_place_of_another() {
        let file = || PackFile { bytes: Vec::new(), executable: false };
        let mut files = BTreeMap::new();
        add(&mut files, "docs/README.md", file()).unwrap();
        add(&mut files, "docs/LIMITS.md", file()).unwrap();
        let refused = add(&mut files, "user/README.md", file()).unwrap_err();
        insta::assert_snapshot!(refused.to_string(), @"two files of the package are called `README.md`");
    }
}
