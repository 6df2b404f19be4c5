// SPDX-License-Identifier: Apache-2.0
//! Rules by which jobs of CI publish for a publisher.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::HubError;
use super::client::HubClient;

/// A rule that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPublishingRule {
    /// What its owners call it.
    pub name: String,
    /// The URL of the issuer.
    pub issuer: String,
    /// What the token must say: by the name of a claim a text, in which `*` stands for any characters.
    pub claims: BTreeMap<String, String>,
    /// What the token that is given for it is for.
    pub scopes: Vec<String>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishingRule {
    /// By what it is removed.
    pub id: String,
    /// What its owners call it.
    pub name: String,
    /// The URL of the issuer.
    pub issuer: String,
    /// What the token must say.
    pub claims: BTreeMap<String, String>,
    /// What the token that is given for it is for.
    pub scopes: Vec<String>,
    /// For whom its tokens act.
    pub made_by: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<PublishingRule>,
    next: Option<String>,
}

impl HubClient {
    /// Lets jobs of CI publish for a publisher.
    ///
    /// # Errors
    /// When that may not be, or the rule is about nobody or everybody.
    pub async fn add_publishing_rule(
        &self,
        publisher: &str,
        rule: &NewPublishingRule,
    ) -> Result<PublishingRule, HubError> {
        self.read(self.request(Method::POST, &["publishers", publisher, "publishing-rules"]).json(rule)).await
    }

    /// The rules of a publisher, the oldest first.
    ///
    /// # Errors
    /// When they are not for whoever asks.
    pub async fn publishing_rules(&self, publisher: &str) -> Result<Vec<PublishingRule>, HubError> {
        let mut rules = Vec::new();
        let mut after = String::new();
        loop {
            let request = self.request(Method::GET, &["publishers", publisher, "publishing-rules"]);
            let Listed { items, next } = self.read(request.query(&[("after", &after)])).await?;
            rules.extend(items);
            match next {
                Some(next) => after = next,
                None => return Ok(rules),
            }
        }
    }

    /// Removes a rule; tokens that it gave count no more.
    ///
    /// # Errors
    /// When there is none such, or that may not be.
    pub async fn remove_publishing_rule(&self, publisher: &str, id: &str) -> Result<(), HubError> {
        self.send(self.request(Method::DELETE, &["publishers", publisher, "publishing-rules", id])).await
    }
}
