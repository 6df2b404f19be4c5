// SPDX-License-Identifier: Apache-2.0
//! What the commands that ask a hub have in common.

use package::Version;
use wire::hub::{CheckResult, Checks, HubClient, HubError, Level};
use wire::{Credentials, Reference, Repository};

use crate::arguments::Logins;
use crate::arguments::hub::AcceptNotice;
use crate::failure::{Failure, Outcome};
use crate::output;

/// A client for a host, with the logins of whoever runs the command.
pub(super) fn client(host: &str, logins: &Logins) -> Result<HubClient, Failure> {
    let credentials = match logins.file() {
        Some(file) => Credentials::read(&file)?,
        None => Credentials::default(),
    };
    Ok(HubClient::new(host, credentials)?)
}

/// Waits for a hub.
pub(super) fn wait<T>(work: impl Future<Output = Result<T, HubError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work)?)
}

/// The version that a reference names.
pub(super) fn version(release: &Reference) -> Result<Version, Failure> {
    let named = || Failure::new(format!("`{release}` names no version"));
    let tag = release.tag.as_ref().ok_or_else(named)?;
    let version = tag.to_string().replace('_', "+").parse();
    version.map_err(|_other| named().with_hint("put it behind a colon, as in `:1.2.0`"))
}

/// The package that a reference names, and not one of its versions.
pub(super) fn package(reference: &Reference) -> Result<&Repository, Failure> {
    if reference.tag.is_none() && reference.digest.is_none() {
        return Ok(&reference.repository);
    }
    let why = format!("`{reference}` names a version, and this is about the package");
    Err(Failure::new(why).with_hint("leave out what stands behind the name"))
}

/// Shows the notice of a hub, and accepts it.
pub(super) fn accept(arguments: &AcceptNotice) -> Outcome {
    let hub = client(&arguments.hub.hub, &arguments.hub.logins)?;
    let instance = wait(async {
        let instance = hub.instance().await?;
        hub.accept().await?;
        Ok(instance)
    })?;
    let notice = instance.and_then(|instance| instance.notice);
    output::data(notice.as_deref().unwrap_or("it has no notice"));
    Ok(())
}

/// What checks found, for people.
pub(super) fn tell(checks: &Checks) {
    let row = |check: &CheckResult| vec![check.name.clone(), check.level.as_str().to_owned()];
    output::note(&output::table(&["check", "result"], checks.checks.iter().map(row).collect()));
    for check in checks.checks.iter().filter(|check| check.level != Level::Pass) {
        for finding in &check.findings {
            output::note(&format!("{}: {}: {}", finding.level.as_str(), check.name, finding.what));
            if let Some(hint) = &finding.hint {
                output::note(&format!("  hint: {hint}"));
            }
        }
    }
}
