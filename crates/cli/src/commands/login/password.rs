// SPDX-License-Identifier: Apache-2.0
//! A token in place of a password.

use std::fs;
use std::io::{self, IsTerminal as _};

use wire::Credentials;
use wire::hub::{HubClient, NewToken, Wish};
use zeroize::Zeroizing;

use super::wait;
use crate::arguments::hub::Login;
use crate::failure::Failure;

pub(super) fn token(arguments: &Login, user: &str, wish: Wish) -> Result<Zeroizing<String>, Failure> {
    let password = password(arguments, user)?;
    let client = HubClient::new(&arguments.hub, Credentials::of(&arguments.hub, user, &password))?;
    let Wish { scopes, expires_ms } = wish;
    let wanted = NewToken { name: "l3af login".to_owned(), scopes, expires_ms };
    wait(client.make_token(&wanted)).map(Zeroizing::new)
}

fn password(arguments: &Login, user: &str) -> Result<Zeroizing<String>, Failure> {
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
    let asked = rpassword::prompt_password(format!("password of {user} at {}: ", arguments.hub));
    let unasked =
        |error| Failure::new(format!("nobody can be asked for the password: {error}")).with_hint(hint);
    asked.map(Zeroizing::new).map_err(unasked)
}
