// SPDX-License-Identifier: Apache-2.0
//! `l3af inspect` of a file that is no package.

use maps::Interface;
use package::{Digest, Format, Object};
use serde::Serialize;

use super::{
    MapReport, ParameterReport, map, parameters, print_maps, print_parameters, print_signatures, signatures,
};
use crate::arguments::{Inspect, Naming};
use crate::failure::Outcome;
use crate::output;
use crate::subject::{Content, File};

#[derive(Serialize)]
struct Report {
    file: String,
    digest: Digest,
    kind: &'static str,
    format: Option<Format>,
    platform: Option<String>,
    authenticode: Option<String>,
    object: Option<ObjectReport>,
    signatures: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct ObjectReport {
    license: Option<String>,
    btf: bool,
    programs: Vec<ProgramReport>,
    maps: Vec<MapReport>,
    parameters: Vec<ParameterReport>,
}

#[derive(Serialize)]
struct ProgramReport {
    function: String,
    section: String,
    instructions: u64,
}

pub(super) fn run(arguments: &Inspect) -> Outcome {
    let naming = Naming { statement: arguments.statement.clone(), ..Naming::default() };
    let file = File::read(&arguments.package, &naming)?;
    let report = report(arguments.package.display().to_string(), &file, &file.envelopes()?);
    if arguments.json {
        return output::json(&report);
    }
    print(&report);
    Ok(())
}

fn report(path: String, file: &File, envelopes: &[Vec<u8>]) -> Report {
    let (kind, format, platform, object) = match &file.content {
        Content::Object(object, interface) => {
            ("eBPF object", Some(Format::Elf), None, Some(describe(object, interface)))
        }
        Content::Driver(platform, _) => ("driver", Some(Format::Pe), Some(platform.to_string()), None),
        // What is in an archive, nobody looked at.
        Content::Archive(_) => ("archive", None, None, None),
    };
    let (digest, authenticode) = (file.digest, file.authenticode());
    Report {
        file: path,
        digest,
        kind,
        format,
        platform,
        authenticode,
        object,
        signatures: signatures(envelopes),
    }
}

fn describe(object: &Object, interface: &Interface) -> ObjectReport {
    let programs = object.programs.iter().map(|program| ProgramReport {
        function: program.function.to_string(),
        section: program.section.clone(),
        instructions: program.instructions,
    });
    ObjectReport {
        license: object.license.clone(),
        btf: object.has_btf,
        programs: programs.collect(),
        maps: object.maps.iter().map(map).collect(),
        parameters: parameters(interface, object),
    }
}

fn print(report: &Report) {
    output::data(&format!("{}: {}", report.file, report.kind));
    output::data(&format!("  {:<12} {}", "file", report.digest));
    if let Some(format) = &report.format {
        output::data(&format!("  {:<12} {format}", "format"));
    }
    if let Some(platform) = &report.platform {
        output::data(&format!("  {:<12} {platform}", "platform"));
    }
    if let Some(signature) = &report.authenticode {
        output::data(&format!("  {:<12} {signature}", "authenticode"));
    }
    if let Some(object) = &report.object {
        output::data(&format!("  {:<12} {}", "licence", object.license.as_deref().unwrap_or("none")));
        output::data(&format!("  {:<12} {}", "types", if object.btf { "BTF" } else { "no BTF" }));
    }
    print_signatures(&report.signatures);
    let Some(object) = &report.object else { return };
    let programs = object.programs.iter().map(|program| {
        vec![program.function.clone(), program.section.clone(), program.instructions.to_string()]
    });
    let head = ["program", "section", "instructions"];
    output::data(&format!("\n{}", output::table(&head, programs.collect())));
    print_maps(&object.maps);
    print_parameters(&object.parameters);
}
