// SPDX-License-Identifier: Apache-2.0
//! `l3af push`: puts a package and its statements into a registry.

use package::Package;
use wire::{Layout, Reference, Tag};

use crate::arguments::Push;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::package_source::{registry, wait};

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
    let (registry, descriptor, envelopes) =
        (registry(&arguments.logins)?, layout.package()?, layout.envelopes()?);
    let repository = &reference.repository;
    wait(async {
        registry.push(repository, &tag, &package.index, &layout).await?;
        for envelope in &envelopes {
            registry.push_statement(repository, &descriptor, envelope).await?;
        }
        Ok(())
    })?;
    output::note(&format!("pushed with {} statements", envelopes.len()));
    let (repository, digest) = (repository.clone(), Some(package.index));
    output::data(&Reference { repository, tag: Some(tag), digest }.uri());
    Ok(())
}
