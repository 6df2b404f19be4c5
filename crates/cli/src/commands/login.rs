// SPDX-License-Identifier: Apache-2.0
//! `l3af login`: a token of a hub in place of a password, kept where clients of registries look for logins.

use std::fs;
use std::io::{self, IsTerminal as _};

use jiff::Timestamp;
use wire::Credentials;
use wire::hub::{HubClient, NewToken};
use zeroize::Zeroizing;

use super::hub::wait;
use crate::arguments::hub::Login;
use crate::failure::{Failure, Outcome};
use crate::output;

pub(crate) fn run(arguments: &Login) -> Outcome {
    let Login { hub, user, scope, expires, logins, .. } = arguments;
    let nowhere =
        || Failure::new("there is no place for the login").with_hint("name a file with `--authfile`");
    let file = logins.kept_in().ok_or_else(nowhere)?;
    let password = password(arguments)?;
    let client = HubClient::new(hub, Credentials::of(hub, user, &password))?;
    let wanted = NewToken {
        name: "l3af login".to_owned(),
        scopes: scope.clone(),
        expires_ms: expires.map(Timestamp::as_millisecond),
    };
    let secret = Zeroizing::new(wait(client.make_token(&wanted))?);
    Credentials::keep(&file, hub, user, &secret)?;
    output::note(&format!("logged in at `{hub}`; the token is in `{}`", file.display()));
    Ok(())
}

fn password(arguments: &Login) -> Result<Zeroizing<String>, Failure> {
    if let Some(file) = &arguments.password_file {
        let unread = |error| Failure::new(format!("cannot read `{}`: {error}", file.display()));
        let text = Zeroizing::new(fs::read_to_string(file).map_err(unread)?);
        return Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()));
    }
    let hint = "put it into a file and name that with `--password-file`";
    if !io::stdin().is_terminal() {
        let what = "this is no terminal, so nobody can be asked for the password";
        return Err(Failure::new(what).with_hint(hint));
    }
    let asked = rpassword::prompt_password(format!("password of {} at {}: ", arguments.user, arguments.hub));
    let unasked =
        |error| Failure::new(format!("nobody can be asked for the password: {error}")).with_hint(hint);
    asked.map(Zeroizing::new).map_err(unasked)
}
