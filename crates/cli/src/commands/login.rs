// SPDX-License-Identifier: Apache-2.0
//! `l3af login`: a token of a hub, kept where clients of registries look for logins. One logs in by a browser, here or elsewhere, by a
//! password, or as a job of CI.

mod browser;
mod device;
mod job;
mod password;

use jiff::Timestamp;
use wire::Credentials;
use wire::hub::{HubClient, HubError, Wish};
use zeroize::Zeroizing;

use super::hub::wait;
use crate::arguments::hub::Login;
use crate::failure::{Failure, Outcome};
use crate::output;

/// As whom a token is kept whose account is not known; who shows a token may call itself anything.
const SOMEBODY: &str = "l3af";

pub(crate) fn run(arguments: &Login) -> Outcome {
    let Login { hub, logins, .. } = arguments;
    let nowhere =
        || Failure::new("there is no place for the login").with_hint("name a file with `--authfile`");
    let file = logins.kept_in().ok_or_else(nowhere)?;
    let (user, secret) = token(arguments)?;
    Credentials::keep(&file, hub, &user, &secret)?;
    output::note(&format!("logged in at `{hub}`; the token is in `{}`", file.display()));
    Ok(())
}

/// Who is logged in, and the token.
fn token(arguments: &Login) -> Result<(String, Zeroizing<String>), Failure> {
    let Login { hub, user, scope, expires, .. } = arguments;
    let wish = Wish { scopes: scope.clone(), expires_ms: expires.map(Timestamp::as_millisecond) };
    if let Some(user) = user {
        return Ok((user.clone(), password::token(arguments, user, wish)?));
    }
    let client = HubClient::new(hub, Credentials::default())?;
    let secret = if arguments.ci {
        job::token(&client, &arguments.job, arguments.publisher.as_deref())?
    } else if arguments.device {
        wait_for(device::token(&client, &wish))?
    } else {
        wait_for(browser::token(&client, &wish, &arguments.browser))?
    };
    let shown = HubClient::new(hub, Credentials::of(hub, SOMEBODY, &secret))?;
    let user = match wait(shown.handle()) {
        Ok(handle) => handle,
        // What the token is for may be less than to ask that.
        Err(_) => SOMEBODY.to_owned(),
    };
    Ok((user, secret))
}

fn wait_for<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// A hub that is of an earlier version, or something else.
fn no_hub(error: HubError) -> Failure {
    let is_old = matches!(error, HubError::NoHub { .. });
    let failure = Failure::from(error);
    if is_old { failure.with_hint("log in by a password, with `--user`") } else { failure }
}
