// SPDX-License-Identifier: Apache-2.0
//! `l3af sign`: states what a package is, signed.

use jiff::{SignedDuration, Timestamp};
use package::Package;
use trust::{Envelope, PAYLOAD_TYPE, Sign as Signs, Statement, Terms};
use wire::Layout;

use crate::arguments::Sign;
use crate::failure::Outcome;
use crate::output;
use crate::signing_key::{self, Passphrase};

pub(crate) fn run(arguments: &Sign, environment: Option<&Passphrase>) -> Outcome {
    let layout = Layout::open(&arguments.package)?;
    let package = Package::read(&layout, &layout.index()?)?;
    let keys = signing_key::open_all(&arguments.keys, environment)?;
    let keys: Vec<&dyn Signs> = keys.iter().map(Box::as_ref).collect();
    // Statements tell whole seconds; nobody needs more.
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    let life = arguments.expires_in_days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
    let expires = life.map(|life| now.checked_add(life)).transpose()?;
    let statement = Statement::about(&package, Terms { expires, ..Terms::from(now) });
    let envelope = Envelope::sign(PAYLOAD_TYPE, statement.to_json(), &keys)?;
    layout.add_statement(&envelope.to_json())?;
    let info = &package.manifest.package;
    output::note(&format!("signed {}/{} {} as {}", info.publisher, info.name, info.version, package.index));
    for key in &keys {
        output::data(&key.public().id().to_string());
    }
    Ok(())
}
