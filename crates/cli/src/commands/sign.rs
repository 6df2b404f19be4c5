// SPDX-License-Identifier: Apache-2.0
//! `l3af sign`: states what a package is, signed.

use jiff::{SignedDuration, Timestamp};
use package::Package;
use trust::{Envelope, PAYLOAD_TYPE, Sign as Signs, Statement, Terms};
use wire::Layout;

use super::key::private_keys;
use crate::arguments::Sign;
use crate::failure::{Failure, Outcome};
use crate::output;

pub(crate) fn run(arguments: &Sign) -> Outcome {
    let layout = Layout::open(&arguments.package)?;
    let package = Package::read(&layout, &layout.index()?)?;
    let keys = arguments.key.iter().map(|file| private_keys(file));
    let keys = keys.collect::<Result<Vec<_>, Failure>>()?.concat();
    // Statements tell whole seconds; nobody needs more.
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    let life = arguments.expires_in_days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
    let expires = life.map(|life| now.checked_add(life)).transpose()?;
    let statement = Statement::about(&package, Terms { expires, ..Terms::from(now) });
    let envelope = Envelope::sign(
        PAYLOAD_TYPE,
        statement.to_json(),
        &keys.iter().map(|key| key as &dyn Signs).collect::<Vec<_>>(),
    )?;
    layout.add_statement(&envelope.to_json())?;
    let info = &package.manifest.package;
    output::note(&format!("signed {}/{} {} as {}", info.publisher, info.name, info.version, package.index));
    for key in &keys {
        output::data(&key.public().id().to_string());
    }
    Ok(())
}
