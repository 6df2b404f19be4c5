// SPDX-License-Identifier: Apache-2.0
//! People who have an account at a hub, and what they show there.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Hub, Reply};

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What the account is called.
    pub handle: String,
    /// Its password.
    pub password: String,
}

impl Person {
    /// Somebody with a password of their own.
    pub fn new(handle: &str) -> Self {
        Self { handle: handle.to_owned(), password: format!("the password of {handle}") }
    }

    /// What goes into `Authorization`, with the password.
    pub fn basic(&self) -> String {
        basic(&self.handle, &self.password)
    }
}

/// What goes into `Authorization` for HTTP Basic.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

impl Hub {
    /// The link by which somebody becomes the administrator, as the hub printed it last: `/administrator?link=…`.
    pub fn administrator_link(&self) -> Option<String> {
        let log = self.log();
        let at = log.rfind("/administrator?link=")?;
        log[at..].split_whitespace().next().map(str::to_owned)
    }

    /// Opens a link, fills in the form, and sends it.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub fn follow(&self, link: &str, person: &Person) -> Result<Reply> {
        let (path, secret) = link.split_once("?link=").context("it is no such link")?;
        let form =
            format!("link={secret}&handle={}&password={}", person.handle, person.password.replace(' ', "+"));
        self.submit(path, &form, None)
    }

    /// Sends a form, as a browser does.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub fn submit(&self, path: &str, form: &str, cookie: Option<&str>) -> Result<Reply> {
        let ask = self.ask("POST", path).header("Content-Type", "application/x-www-form-urlencoded");
        let ask = ask.header("Sec-Fetch-Site", "same-origin");
        let ask = if let Some(cookie) = cookie { ask.header("Cookie", cookie) } else { ask };
        ask.body(form).send()
    }

    /// The administrator, who comes by the first link.
    ///
    /// # Errors
    /// When there is one already.
    pub fn administrator(&self) -> Result<Person> {
        let (link, person) = (self.administrator_link().context("there is no link")?, Person::new("boss"));
        let reply = self.follow(&link, &person)?;
        ensure!(reply.status == 303, "{} {}", reply.status, reply.text());
        Ok(person)
    }

    /// Calls the API. `authorization` goes into the header of that name.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub fn call(&self, authorization: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Reply> {
        let mut ask = self.ask(method, path);
        if !authorization.is_empty() {
            ask = ask.header("Authorization", authorization);
        }
        match body {
            Some(body) => ask.header("Content-Type", "application/json").body(body.to_string()).send(),
            None => ask.send(),
        }
    }

    /// A token of somebody, as it goes into `Authorization`.
    ///
    /// # Errors
    /// When the hub gives none.
    pub fn token(&self, person: &Person, scopes: &[&str]) -> Result<String> {
        let wanted = json!({ "name": "of a story", "scopes": scopes });
        let reply = self.call(&person.basic(), "POST", "/api/v1/tokens", Some(&wanted))?;
        ensure!(reply.status == 201, "{} {}", reply.status, reply.text());
        let secret = reply.json()?["secret"].as_str().context("there is no secret")?.to_owned();
        Ok(format!("Bearer {secret}"))
    }

    /// Adds an account, by the token of an administrator.
    ///
    /// # Errors
    /// When the hub refuses.
    pub fn add_account(&self, administrator: &str, handle: &str, role: &str) -> Result<Person> {
        let person = Person::new(handle);
        let wanted = json!({ "handle": handle, "role": role, "password": person.password });
        let reply = self.call(administrator, "POST", "/api/v1/accounts", Some(&wanted))?;
        ensure!(reply.status == 201, "{} {}", reply.status, reply.text());
        Ok(person)
    }
}
