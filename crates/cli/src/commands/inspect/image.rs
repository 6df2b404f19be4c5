// SPDX-License-Identifier: Apache-2.0
//! `l3af inspect` of an image that is no package, as bpfman makes them.

use std::collections::BTreeMap;

use package::{Bytecode, Digest, ReferrerKind};
use serde::Serialize;
use wire::Layout;

use super::{print_signatures, signatures};
use crate::failure::Outcome;
use crate::output;

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    image: Digest,
    platforms: Vec<PlatformReport>,
    signatures: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct PlatformReport {
    platform: String,
    manifest: Digest,
    files: BTreeMap<String, Digest>,
}

pub(super) fn run(layout: &Layout, json: bool) -> Outcome {
    let image = layout.package()?;
    let platforms =
        Bytecode::read(layout, &image.digest)?.into_iter().map(|Bytecode { image, .. }| PlatformReport {
            platform: image.platform.to_string(),
            manifest: image.manifest,
            files: image.files.iter().map(|file| (file.path.clone(), Digest::of(&file.bytes))).collect(),
        });
    let (platforms, signatures) =
        (platforms.collect(), signatures(&layout.referrers(ReferrerKind::Statement)?));
    let report = Report { kind: "image", image: image.digest, platforms, signatures };
    if json {
        return output::json(&report);
    }
    output::data(&format!("{}: image without a manifest", layout.folder().display()));
    output::data(&format!("  {:<12} {}", "image", report.image));
    for platform in &report.platforms {
        output::data(&format!("  {:<12} manifest {}", platform.platform, platform.manifest));
        for (path, digest) in &platform.files {
            output::data(&format!("    {path}: {digest}"));
        }
    }
    print_signatures(&report.signatures);
    Ok(())
}
