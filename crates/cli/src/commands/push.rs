// SPDX-License-Identifier: Apache-2.0
//! `l3af push`: puts a package, and what refers to it, into a registry.

use package::{Package, Referrer, ReferrerKind};
use serde_json::json;
use wire::{Layout, Reference, Tag};

use crate::arguments::Push;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::package_source::registry;
use crate::progress::{Reader, watch};

pub(crate) fn run(arguments: &Push) -> Outcome {
    let layout = Layout::open(&arguments.package)?;
    let package = Package::read(&layout, &layout.index()?)?;
    let reference = &arguments.reference;
    if reference.digest.is_some_and(|digest| digest != package.index) {
        let problem = format!("the package is not `{reference}`: its digest is {}", package.index);
        return Err(Failure::new(problem).with_hint("leave the digest out; it follows from the package"));
    }
    let tag = match &reference.tag {
        Some(tag) => tag.clone(),
        // Tags have no `+`.
        None => package.manifest.package.version.to_string().replace('+', "_").parse::<Tag>()?,
    };
    let (registry, descriptor) = (registry(&arguments.logins)?, layout.package()?);
    let mut referrers = Vec::new();
    for kind in ReferrerKind::ALL {
        referrers.extend(layout.referrers(kind)?.into_iter().map(|bytes| Referrer { kind, bytes }));
    }
    let repository = &reference.repository;
    watch(&registry, ("pushing", Reader::of(arguments.json)), async {
        registry.push(repository, &tag, &package.index, &layout).await?;
        for referrer in &referrers {
            registry.push_referrer(repository, &descriptor, referrer).await?;
        }
        Ok(())
    })?;
    let statements = referrers.iter().filter(|referrer| referrer.kind == ReferrerKind::Statement).count();
    let (repository, digest) = (repository.clone(), Some(package.index));
    let uri = Reference { repository, tag: Some(tag), digest }.uri();
    if arguments.json {
        return output::json(&json!({"reference": uri, "statements": statements}));
    }
    output::note(&format!("pushed with {statements} statements"));
    output::data(&uri);
    Ok(())
}
