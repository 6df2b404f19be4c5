// SPDX-License-Identifier: Apache-2.0
//! `l3af endorse`: states that a release, or its publisher, may be trusted.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use package::{Digest, Glob, Referrer, ReferrerKind};
use trust::{Endorsed, Endorsement, Envelope, PAYLOAD_TYPE, Sign, Statement};

use crate::arguments::Endorse;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::package_source::PackageSource;
use crate::signing_key::{self, Passphrase};

pub(crate) fn run(arguments: &Endorse, environment: Option<&Passphrase>) -> Outcome {
    let source = PackageSource::open(&arguments.package, &arguments.logins)?;
    let package = source.package()?;
    let keys = signing_key::open_all(&arguments.keys, environment)?;
    let keys: Vec<&dyn Sign> = keys.iter().map(Box::as_ref).collect();
    let created = Timestamp::from_second(Timestamp::now().as_second())?;
    let life = arguments.expires_in_days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
    let publisher = package.manifest.package.publisher.clone();
    let (endorses, what) = match &arguments.root {
        None => (Endorsed::Release { digest: package.index }, format!("release {}", package.index)),
        Some(root) => {
            let bytes = fs::read(root)
                .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", root.display())))?;
            let packages = arguments.packages.iter().map(|pattern| Glob::from(pattern.as_str())).collect();
            let root = Digest::of(&bytes);
            (Endorsed::Publisher { root, packages }, format!("publisher `{publisher}` with the root {root}"))
        }
    };
    let expires = life.map(|life| created.checked_add(life)).transpose()?;
    let endorsement = Endorsement { publisher, endorses, created, expires };
    let statement = Statement::from(endorsement).to_json();
    let envelope = Envelope::sign(PAYLOAD_TYPE, statement, &keys)?;
    source.keep(&Referrer { kind: ReferrerKind::Statement, bytes: envelope.to_json() })?;
    output::note(&format!("endorsed the {what}"));
    for key in &keys {
        output::data(&key.public().id().to_string());
    }
    Ok(())
}
