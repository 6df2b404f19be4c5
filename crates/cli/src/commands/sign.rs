// SPDX-License-Identifier: Apache-2.0
//! `l3af sign`: states what a package or an object is, signed.

use jiff::{SignedDuration, Timestamp};
use trust::{Envelope, PAYLOAD_TYPE, Sign as Signs, Terms};

use super::key::private_keys;
use crate::arguments::Sign;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::subject::Subject;

pub(crate) fn run(arguments: &Sign) -> Outcome {
    let Sign { package, logins, naming, platform, .. } = arguments;
    let subject = Subject::open(package, logins, naming, platform.as_ref())?;
    let keys = arguments.key.iter().map(|file| private_keys(file));
    let keys = keys.collect::<Result<Vec<_>, Failure>>()?.concat();
    // Statements tell whole seconds; nobody needs more.
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    let life = arguments.expires_in_days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
    let expires = life.map(|life| now.checked_add(life)).transpose()?;
    let statement = subject.state(Terms { expires, ..Terms::from(now) });
    let envelope = Envelope::sign(
        PAYLOAD_TYPE,
        statement.to_json(),
        &keys.iter().map(|key| key as &dyn Signs).collect::<Vec<_>>(),
    )?;
    subject.keep(&envelope.to_json())?;
    output::note(&format!("signed {} as {}", subject.release(), subject.digest()));
    for key in &keys {
        output::data(&key.public().id().to_string());
    }
    Ok(())
}
