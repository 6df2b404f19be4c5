// SPDX-License-Identifier: Apache-2.0
//! A provider of `OpenID` Connect for hubs: node-oidc-provider, as `cargo xtask npm` installs it, and what it does when it is told
//! to be dishonest (`it/npm/provider.mjs`).

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{Ask, Browser, Page, repository};

/// A provider. It is killed when it goes out of scope.
#[derive(Debug)]
pub struct OidcProvider {
    child: Child,
    /// Where it answers: `http://127.0.0.1:40123`.
    pub issuer: String,
    /// Where it listens.
    address: SocketAddr,
}

impl OidcProvider {
    /// What it calls its client, which is a hub.
    pub const CLIENT: &str = "hub";
    /// What it calls another, to which it gives no secret.
    pub const PUBLIC_CLIENT: &str = "hub-without-a-secret";
    /// The secret of the first.
    pub const SECRET: &str = "a secret of the story: 100% +";

    /// Starts a provider for a client that sends people back to these addresses.
    ///
    /// # Errors
    /// When Node.js or the provider is missing, or it does not come up.
    pub fn start(redirect_uris: &[String]) -> Result<Self> {
        let folder = repository().join("target/npm");
        ensure!(folder.join("node_modules").exists(), "there is no `target/npm`; `cargo xtask npm` makes it");
        let client = json!({
            "client_id": Self::CLIENT,
            "client_secret": Self::SECRET,
            "redirect_uris": redirect_uris,
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
        });
        let mut public = client.clone();
        public["client_id"] = json!(Self::PUBLIC_CLIENT);
        public["token_endpoint_auth_method"] = json!("none");
        let clients = json!([client, public]);
        // What comes in this way is looked up where it is started.
        let script = File::open(repository().join("it/npm/provider.mjs"))?;
        let mut child = Command::new("node")
            .current_dir(&folder)
            .args(["--no-warnings", "--input-type=module", "-", &clients.to_string()])
            .stdin(script)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("Node.js is missing: `cargo xtask setup`")?;
        let said = child.stdout.take().context("it says nothing")?;
        let mut issuer = String::new();
        BufReader::new(said).read_line(&mut issuer)?;
        let issuer = issuer.trim().to_owned();
        let address = issuer.strip_prefix("http://").and_then(|address| address.parse().ok());
        let address = address.with_context(|| format!("the provider did not come up: `{issuer}`"))?;
        Ok(Self { child, issuer, address })
    }

    /// Logs in as somebody at the page that a browser was sent to, and agrees to all that it is asked; answers with the page at the
    /// end, or with the first address of which `stop` says so.
    ///
    /// # Errors
    /// When it is asked for nothing that it understands.
    pub fn log_in(
        &self,
        browser: &mut Browser,
        page: Page,
        person: &str,
        stop: impl Fn(&str) -> bool,
    ) -> Result<Page> {
        let mut page = page;
        while page.url.starts_with(&self.issuer) {
            let fields: &[(&str, &str)] = if page.reply.text().contains("name=\"login\"") {
                &[("login", person), ("password", "any")]
            } else {
                &[]
            };
            let sent = browser.submit(&page, fields)?;
            let next = sent.leads_to().with_context(|| sent.reply.text())?;
            page = browser.follow_until(&next, &stop)?;
        }
        Ok(page)
    }

    /// Signs with a new key from now on, and publishes no other.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn rotate(&self) -> Result<()> {
        self.control("rotate", &Value::Null).map(drop)
    }

    /// Alters each ID token that it gives out: `set`, `header`, `key`; with null, none any more.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn twist(&self, twist: &Value) -> Result<()> {
        self.control("twist", twist).map(drop)
    }

    /// A token with these `claims`, `header` and `key`, as an issuer for machines would give it out.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn sign(&self, wanted: &Value) -> Result<String> {
        self.control("sign", wanted)
    }

    /// What a job of CI is given that asks for a token: these claims. Answers with where it asks; what it shows there is
    /// `of-the-job`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn job(&self, claims: &Value) -> Result<String> {
        self.control("job", &json!({ "claims": claims }))?;
        Ok(format!("{}/control/job?api-version=2.0", self.issuer))
    }

    fn control(&self, what: &str, told: &Value) -> Result<String> {
        let reply =
            Ask::to(self.address, "POST", &format!("/control/{what}")).body(told.to_string()).send()?;
        ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
        Ok(reply.text())
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
