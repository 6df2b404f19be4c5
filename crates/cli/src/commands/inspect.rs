// SPDX-License-Identifier: Apache-2.0
//! `l3af inspect`: shows what is in a package or an object. Nothing of it is believed.

mod file;
mod image;

use std::collections::BTreeMap;

use maps::Interface;
use maps::{Map, Variables};
use package::{Digest, Object, Package, ProceedSet, ReferrerKind, UserProgram};
use serde::Serialize;
use serde_json::Value;
use trust::Envelope;

use crate::arguments::Inspect;
use crate::failure::Outcome;
use crate::output;
use crate::package_source::PackageSource;

#[derive(Serialize)]
struct Report {
    publisher: String,
    name: String,
    version: String,
    description: String,
    category: String,
    license: String,
    kernel_min: String,
    index: Digest,
    platforms: Vec<PlatformReport>,
    programs: Vec<ProgramReport>,
    maps: Vec<MapReport>,
    interface: Vec<Map>,
    parameters: Vec<ParameterReport>,
    objects: BTreeMap<String, ObjectReport>,
    user_program: Option<String>,
    asks: Vec<String>,
    needs: Vec<String>,
    signatures: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct PlatformReport {
    platform: String,
    manifest: Digest,
    layer: Digest,
}

#[derive(Serialize)]
struct ProgramReport {
    function: String,
    hook: String,
    proceed: Vec<String>,
    object: String,
    section: String,
    instructions: u64,
}

#[derive(Serialize)]
struct MapReport {
    name: String,
    kind: String,
    key_bytes: u32,
    value_bytes: u32,
    max_entries: u32,
}

#[derive(Serialize)]
struct ParameterReport {
    name: String,
    kind: String,
    default: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Serialize)]
struct ObjectReport {
    digest: Digest,
    license: Option<String>,
    btf: bool,
    debug_information: bool,
}

pub(crate) fn run(arguments: &Inspect) -> Outcome {
    let Some(source) = PackageSource::find(&arguments.package, &arguments.logins)? else {
        return file::run(arguments);
    };
    if !source.layout().is_package()? {
        return image::run(source.layout(), arguments.json);
    }
    let report = report(&source.package()?, &source.referrers(ReferrerKind::Statement)?);
    if arguments.json {
        return output::json(&report);
    }
    print(&report);
    Ok(())
}

fn report(package: &Package, envelopes: &[Vec<u8>]) -> Report {
    let manifest = &package.manifest;
    let info = &manifest.package;
    // Every platform was built from one manifest; the first one stands for what the programs are.
    let first = &package.platforms[0];
    let objects: BTreeMap<&str, (&[u8], Object)> = manifest
        .objects()
        .into_iter()
        .filter_map(|path| first.files.bytes(path).map(|bytes| (path, bytes)))
        .filter_map(|(path, bytes)| Object::parse(bytes).ok().map(|object| (path, (bytes, object))))
        .collect();
    // A package whose manifest did not fit its objects could not be read.
    let interfaces =
        manifest.interfaces(|path| first.files.bytes(path).unwrap_or_default()).unwrap_or_default();
    Report {
        publisher: info.publisher.to_string(),
        name: info.name.to_string(),
        version: info.version.to_string(),
        description: info.description.clone(),
        category: format!("{}/{}", info.category, info.subcategory),
        license: info.license.clone(),
        kernel_min: manifest.kernel.min.to_string(),
        index: package.index,
        platforms: package.platforms.iter().map(platform).collect(),
        programs: manifest.programs.iter().map(|program| programs(program, &objects)).collect(),
        maps: objects.values().flat_map(|(_, object)| &object.maps).map(map).collect(),
        parameters: interfaces
            .iter()
            .flat_map(|(path, interface)| parameters(interface, &objects[path.as_str()].1))
            .collect(),
        interface: interfaces.into_values().flat_map(|interface| interface.maps).collect(),
        objects: objects
            .iter()
            .map(|(path, (bytes, object))| ((*path).to_owned(), describe(bytes, object)))
            .collect(),
        user_program: manifest.user.as_ref().map(|user| user.command.clone()),
        asks: manifest.user.as_ref().map(asks).unwrap_or_default(),
        needs: manifest
            .user
            .iter()
            .flat_map(|user| &user.needs)
            .map(|need| format!("{} {} ({})", need.name, need.version, need.why))
            .collect(),
        signatures: signatures(envelopes),
    }
}

/// What a user program asks of the node, and of its policy.
fn asks(user: &UserProgram) -> Vec<String> {
    let privileges = (!user.privileges.are_none()).then(|| user.privileges.to_string());
    let memory = user.memory.map(|memory| format!("{memory} of memory"));
    let cpu = user.cpu.map(|cpu| format!("{cpu} of a core"));
    privileges.into_iter().chain(memory).chain(cpu).collect()
}

/// The keys that each envelope says signed it.
fn signatures(envelopes: &[Vec<u8>]) -> Vec<Vec<String>> {
    let read = envelopes.iter().filter_map(|bytes| Envelope::parse(bytes).ok());
    read.map(|envelope| envelope.claimed_keys().into_iter().map(str::to_owned).collect()).collect()
}

fn platform(read: &package::PackagePlatform) -> PlatformReport {
    PlatformReport { platform: read.platform.to_string(), manifest: read.manifest, layer: read.layer }
}

fn programs(spec: &package::ProgramSpec, objects: &BTreeMap<&str, (&[u8], Object)>) -> ProgramReport {
    let found = objects.get(spec.object.as_str()).and_then(|(_, object)| object.program(&spec.function));
    let proceed = spec.proceed.clone().or_else(|| spec.hook.chain().map(ProceedSet::default_for));
    ProgramReport {
        function: spec.function.to_string(),
        hook: spec.hook.to_string(),
        proceed: proceed.iter().flat_map(ProceedSet::names).map(str::to_owned).collect(),
        object: spec.object.clone(),
        section: found.map(|program| program.section.clone()).unwrap_or_default(),
        instructions: found.map(|program| program.instructions).unwrap_or_default(),
    }
}

fn map(map: &package::ObjectMap) -> MapReport {
    MapReport {
        name: map.name.clone(),
        kind: map.kind.clone(),
        key_bytes: map.key_bytes,
        value_bytes: map.value_bytes,
        max_entries: map.max_entries,
    }
}

/// The constants that can be configured, with the values that they have in the object.
fn parameters(interface: &Interface, object: &Object) -> Vec<ParameterReport> {
    let found = interface.parameters().filter_map(|(name, offset, is)| {
        let bytes = object.constants.get(offset..offset.checked_add(is.bytes())?)?;
        let default = serde_json::to_value(is.view(bytes, object.endian).ok()?).ok()?;
        let description = is.words().description.clone();
        Some(ParameterReport { name: name.to_owned(), kind: super::maps::shape(is), default, description })
    });
    let mut found: Vec<ParameterReport> = found.collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn describe(bytes: &[u8], object: &Object) -> ObjectReport {
    ObjectReport {
        digest: Digest::of(bytes),
        license: object.license.clone(),
        btf: object.has_btf,
        debug_information: object.has_dwarf,
    }
}

fn print(report: &Report) {
    output::data(&format!("{}/{} {}", report.publisher, report.name, report.version));
    output::data(&format!("  {}", report.description));
    output::data(&format!("  category    {}", report.category));
    output::data(&format!("  licence     {}", report.license));
    output::data(&format!("  kernel      {} or newer", report.kernel_min));
    output::data(&format!("  index       {}", report.index));
    for platform in &report.platforms {
        output::data(&format!(
            "  {:<11} manifest {}, layer {}",
            platform.platform, platform.manifest, platform.layer
        ));
    }
    for (path, object) in &report.objects {
        let licence = object.license.as_deref().unwrap_or("none");
        let btf = if object.btf { "BTF" } else { "no BTF" };
        output::data(&format!("  {path}: {}, licence `{licence}`, {btf}", object.digest));
    }
    if let Some(user) = &report.user_program {
        let list = |items: &[String]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
        let (asks, needs) = (list(&report.asks), list(&report.needs));
        output::data(&format!("  user program `{user}`; asks for {asks}; needs {needs}"));
    }
    print_signatures(&report.signatures);
    print_tables(report);
}

fn print_tables(report: &Report) {
    let programs = report.programs.iter().map(|program| {
        vec![
            program.function.clone(),
            program.hook.clone(),
            program.proceed.join(", "),
            program.section.clone(),
            program.instructions.to_string(),
        ]
    });
    let head = ["program", "hook", "goes on after", "section", "instructions"];
    output::data(&format!("\n{}", output::table(&head, programs.collect())));
    print_interface(&report.interface);
    print_parameters(&report.parameters);
}

/// What maps hold. Constants are parameters.
fn print_interface(maps: &[Map]) {
    let maps = maps.iter().filter(|map| map.variables != Some(Variables::Constant));
    let rows: Vec<Vec<String>> = maps.map(super::maps::described).collect();
    if !rows.is_empty() {
        output::data(&format!("\n{}", output::table(&super::maps::HEAD, rows)));
    }
}

fn print_signatures(signatures: &[Vec<String>]) {
    if signatures.is_empty() {
        output::data("  not signed");
    }
    for keys in signatures {
        output::data(&format!("  says it is signed by {}", keys.join(", ")));
    }
}

fn print_maps(maps: &[MapReport]) {
    if maps.is_empty() {
        return;
    }
    let rows = maps.iter().map(|map| {
        let sizes = [map.key_bytes, map.value_bytes, map.max_entries].map(|size| size.to_string());
        [map.name.clone(), map.kind.clone()].into_iter().chain(sizes).collect()
    });
    let head = ["map", "kind", "key bytes", "value bytes", "entries"];
    output::data(&format!("\n{}", output::table(&head, rows.collect())));
}

fn print_parameters(parameters: &[ParameterReport]) {
    if parameters.is_empty() {
        return;
    }
    let rows = parameters
        .iter()
        .map(|parameter| vec![parameter.name.clone(), parameter.kind.clone(), parameter.default.to_string()]);
    let head = ["parameter", "kind", "default"];
    output::data(&format!("\n{}", output::table(&head, rows.collect())));
}
