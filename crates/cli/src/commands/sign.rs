// SPDX-License-Identifier: Apache-2.0
//! `l3af sign`: states what a package or an object is, signed.

use jiff::{SignedDuration, Timestamp};
use package::{Digest, Referrer, ReferrerKind};
use trust::{CosignError, Envelope, PAYLOAD_TYPE, Sign as Signs, Terms};

use super::publisher;
use crate::arguments::Sign;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::signing_key::{self, Passphrase};
use crate::subject::Subject;

pub(crate) fn run(arguments: &Sign, environment: Option<&Passphrase>) -> Outcome {
    let Sign { package, logins, naming, platform, .. } = arguments;
    let subject = Subject::open(package, logins, naming, platform.as_ref())?;
    let referrers = arguments.roots.as_deref().map(publisher::referrers).transpose()?.unwrap_or_default();
    let keys = signing_key::open_all(&arguments.keys, environment)?;
    let keys: Vec<&dyn Signs> = keys.iter().map(Box::as_ref).collect();
    let bundle = if arguments.cosign || arguments.cosign_bundle.is_some() {
        Some(cosign_bundle(&subject.digest(), &keys)?)
    } else {
        None
    };
    // Statements tell whole seconds; nobody needs more.
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    let life = arguments.expires_in_days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
    let expires = life.map(|life| now.checked_add(life)).transpose()?;
    let statement = subject.state(Terms { expires, pen: arguments.pen, ..Terms::from(now) });
    let envelope = Envelope::sign(PAYLOAD_TYPE, statement.to_json(), &keys)?;
    // A single object has no place for a bundle; that is told before anything is kept.
    if let Some(bundle) = bundle {
        keep_bundle(&bundle, &subject, arguments)?;
    }
    for Referrer { kind, bytes } in referrers {
        subject.keep(kind, bytes)?;
    }
    subject.keep(ReferrerKind::Statement, envelope.to_json())?;
    output::note(&format!("signed {} as {}", subject.release(), subject.digest()));
    for key in &keys {
        output::data(&key.public().id().to_string());
    }
    Ok(())
}

fn cosign_bundle(index: &Digest, keys: &[&dyn Signs]) -> Result<Vec<u8>, Failure> {
    trust::cosign_bundle(index, keys).map_err(|error| match error {
        CosignError::NoKey => Failure::new(error.to_string())
            .with_hint("add one by `--key`; `l3af key new FILE --algorithm ecdsa` makes one"),
        CosignError::Sign(error) => error.into(),
    })
}

fn keep_bundle(bundle: &[u8], subject: &Subject, arguments: &Sign) -> Outcome {
    if arguments.cosign {
        subject.keep(ReferrerKind::Bundle, bundle.to_vec())?;
    }
    if let Some(file) = &arguments.cosign_bundle {
        std::fs::write(file, bundle)
            .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", file.display())))?;
    }
    Ok(())
}
