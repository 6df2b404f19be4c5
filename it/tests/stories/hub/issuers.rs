// SPDX-License-Identifier: Apache-2.0
//! Issuers that say who somebody is: people who log in by one, and machines that publish with its tokens.

mod login;
mod programs;
mod publishing;
mod wrong;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use it::{Browser, Hub, OidcProvider, Page};
use serde_json::Value;

/// Every scope there is.
const ALL: [&str; 4] = ["repository:*:pull,push,delete", "api:read", "api:write", "admin"];
/// Where a browser goes that wants to know who it is.
const OWN: &str = "/api/v1/account";

#[expect(clippy::disallowed_methods, reason = "the hub under test has this very clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A hub where one logs in by a provider too, with what its administrator shows.
struct Scene {
    hub: Hub,
    provider: OidcProvider,
    admin: String,
}

impl Scene {
    fn new() -> Self {
        Self::with("")
    }

    /// The same with more lines about the issuer.
    fn with(lines: &str) -> Self {
        Self::over("", lines)
    }

    /// The same with lines of the configuration that stand before all sections.
    fn over(before: &str, lines: &str) -> Self {
        let mut hub = Hub::start_with(&format!("{before}\n[access]\n")).unwrap();
        let boss = hub.administrator().unwrap();
        let admin = hub.token(&boss, &ALL).unwrap();
        let provider = OidcProvider::start(&[format!("{}/login/corp/callback", hub.url())]).unwrap();
        let secret = hub.configuration().with_file_name("secret");
        fs::write(&secret, format!("{}\n", OidcProvider::SECRET)).unwrap();
        hub.settings = format!(
            "{before}\n[access]\n[[access.issuers]]\nname = 'corp'\ntitle = 'The Corporation'\nurl = '{}'\n{lines}\n\
             [access.issuers.client]\nid = '{}'\nsecret_file = '{}'\n",
            provider.issuer,
            OidcProvider::CLIENT,
            secret.display()
        );
        hub.restart().unwrap();
        Self { hub, provider, admin }
    }

    /// The whole way of somebody who logs in, to a page of the hub.
    fn log_in(&self, browser: &mut Browser, person: &str, next: &str) -> Page {
        let page = browser.follow(&format!("{}/login/corp?next={next}", self.hub.url())).unwrap();
        self.provider.log_in(browser, page, person, |_| false).unwrap()
    }

    /// The same, up to the address at which the browser would bring back what the provider gave it.
    fn bring_back(&self, browser: &mut Browser, person: &str) -> String {
        let page = browser.follow(&format!("{}/login/corp?next={OWN}", self.hub.url())).unwrap();
        let stop = |url: &str| url.contains("/callback?");
        let page = self.provider.log_in(browser, page, person, stop).unwrap();
        assert!(stop(&page.url), "{} {}", page.url, page.reply.text());
        page.url
    }

    /// What an API call of somebody answers.
    fn call(&self, authorization: &str, (method, path): (&str, &str), body: &Value, status: u16) -> Value {
        let body = (!body.is_null()).then_some(body);
        let reply = self.hub.call(authorization, method, path, body).unwrap();
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        if reply.body.is_empty() { Value::Null } else { reply.json().unwrap() }
    }

    /// Sends a form to where programs are given tokens.
    fn grant(&self, pairs: &[(&str, &str)], status: u16) -> Value {
        let form: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", it::escaped(value))).collect();
        let ask =
            self.hub.ask("POST", "/oauth/token").header("Content-Type", "application/x-www-form-urlencoded");
        let reply = ask.body(form.join("&")).send().unwrap();
        assert_eq!(reply.status, status, "{}", reply.text());
        reply.json().unwrap()
    }

    /// `l3af login` at this hub, which keeps what it is given in a file.
    fn login(&self, file: &str, arguments: &[&str]) -> (Command, PathBuf) {
        let file = self.hub.configuration().with_file_name(file);
        let mut command = Command::new(it::binary("l3af").unwrap());
        for name in
            ["L3AF_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "BROWSER"]
        {
            command.env_remove(name);
        }
        command.arg("login").arg(self.hub.address().to_string()).arg("--authfile").arg(&file).args(arguments);
        (command, file)
    }

    /// What `l3af login` kept, as it goes into `Authorization`.
    fn kept(&self, file: &PathBuf) -> String {
        let kept: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let login = kept["auths"][self.hub.address().to_string()]["auth"].as_str().unwrap();
        format!("Basic {login}")
    }
}
