// SPDX-License-Identifier: Apache-2.0
//! Health checks of a desired state: what must work under it, or the one before returns.
//!
//! ```toml
//! [[check]]
//! name = "gateway"
//! ping = "192.0.2.1"
//!
//! [[check]]
//! name = "not too strict"
//! drops = { member = "ratelimit", at_most_percent = 5 }
//! ```

use std::net::IpAddr;
use std::time::Duration;

use package::MemberName;
use reqwest::Client;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use crate::client::deepest;

/// A health check, as people write it: a name, and one of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckDocument {
    /// Its name, for whoever reads why a generation was given up.
    pub name: String,
    /// An address that answers to an ICMP echo request (RFC 792, RFC 4443).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ping: Option<IpAddr>,
    /// A `host:port` that accepts connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// A URL that answers with a status from 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// A member that drops no more than a share of the packets that reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drops: Option<DropsDocument>,
    /// The name of a command in the configuration of the daemon, which ends with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A bound on what a member drops, from the moment that the generation is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DropsDocument {
    /// The member.
    #[schema(value_type = String)]
    pub member: MemberName,
    /// Its hook, `<interface>/<hook>`; all hooks that have a member of this name, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The bound.
    pub at_most_percent: u8,
}

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Sends an echo request there.
    Ping(IpAddr),
    /// Connects there.
    Tcp(String),
    /// Asks there.
    Http(String),
    /// Compares what a member drops with a bound.
    Drops(DropsDocument),
    /// Runs a command of the daemon's configuration.
    Command(String),
}

/// A check that says nothing, or too much.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the check `{name}` has {count} of `ping`, `tcp`, `http`, `drops` and `command`, and must have one")]
pub struct BadCheck {
    /// Its name.
    pub name: String,
    /// How many it has.
    pub count: usize,
}

impl CheckDocument {
    /// What it does.
    ///
    /// # Errors
    /// When it says nothing of that, or several things.
    pub fn check(&self) -> Result<Check, BadCheck> {
        let Self { name, ping, tcp, http, drops, command } = self;
        let said = [
            ping.map(Check::Ping),
            tcp.clone().map(Check::Tcp),
            http.clone().map(Check::Http),
            drops.clone().map(Check::Drops),
            command.clone().map(Check::Command),
        ];
        let mut said: Vec<Check> = said.into_iter().flatten().collect();
        match (said.pop(), said.len()) {
            (Some(only), 0) => Ok(only),
            (last, before) => {
                Err(BadCheck { name: name.clone(), count: before + usize::from(last.is_some()) })
            }
        }
    }
}

/// Whether a URL answers with a status from 200 to 299 in time; else why not.
///
/// # Errors
/// When it does not.
pub async fn answers(url: &str, patience: Duration) -> Result<(), String> {
    let client = Client::builder().timeout(patience).redirect(reqwest::redirect::Policy::none()).build();
    let asked = match client {
        Ok(client) => client.get(url).send().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("`{url}` answers {}", response.status())),
        Err(error) => Err(format!("`{url}`: {}", deepest(&error))),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Check, Document};

    #[test]
    fn a_check_does_one_thing() {
        let read = |text: &str| Document::parse_toml(&format!("[[check]]\nname = \"c\"\n{text}")).unwrap();
        let check = |text: &str| read(text).checks[0].check();
        assert_eq!(check("ping = \"192.0.2.1\""), Ok(Check::Ping("192.0.2.1".parse().unwrap())));
        assert!(matches!(check("drops = { member = \"a\", at_most_percent = 5 }"), Ok(Check::Drops(_))));
        insta::assert_snapshot!(check("").unwrap_err(), @"the check `c` has 0 of `ping`, `tcp`, `http`, `drops` and `command`, and must have one");
        assert_eq!(check("tcp = \"a:1\"\nhttp = \"http://a\"").unwrap_err().count, 2);
    }
}
