// SPDX-License-Identifier: Apache-2.0
//! `l3af publisher trust`, `trusted` and `distrust`: which jobs of CI publish at a hub.

use wire::hub::{NewPublishingRule, PublishingRule};

use super::{client, wait};
use crate::arguments::publishing::{Distrust, Trust, Trusted};
use crate::failure::Outcome;
use crate::output;

pub(super) fn add(arguments: &Trust) -> Outcome {
    let Trust { name, issuer, claim, package, title, hub } = arguments;
    let publisher: &str = name.as_ref();
    let scope = |package: &str| format!("repository:{publisher}/{package}:pull,push");
    let scopes =
        if package.is_empty() { vec![scope("*")] } else { package.iter().map(|name| scope(name)).collect() };
    let rule = NewPublishingRule {
        name: title.clone(),
        issuer: issuer.clone(),
        claims: claim.iter().cloned().collect(),
        scopes,
    };
    let made = wait(client(&hub.hub, &hub.logins)?.add_publishing_rule(publisher, &rule))?;
    output::note(&format!("such jobs publish for `{publisher}` after `l3af login {} --ci`", hub.hub));
    output::data(&made.id);
    Ok(())
}

pub(super) fn list(arguments: &Trusted) -> Outcome {
    let Trusted { name, hub, json } = arguments;
    let rules = wait(client(&hub.hub, &hub.logins)?.publishing_rules(name.as_ref()))?;
    if *json {
        return output::json(&rules);
    }
    let row = |rule: &PublishingRule| {
        let claims: Vec<String> = rule.claims.iter().map(|(name, text)| format!("{name}={text}")).collect();
        let (claims, scopes) = (claims.join("\n"), rule.scopes.join("\n"));
        vec![rule.id.clone(), rule.name.clone(), rule.issuer.clone(), claims, scopes, rule.made_by.clone()]
    };
    let head = ["rule", "name", "issuer", "claims", "scopes", "made by"];
    output::data(&output::table(&head, rules.iter().map(row).collect()));
    Ok(())
}

pub(super) fn remove(arguments: &Distrust) -> Outcome {
    let Distrust { name, rule, hub } = arguments;
    wait(client(&hub.hub, &hub.logins)?.remove_publishing_rule(name.as_ref(), rule))?;
    output::note("the rule is removed; tokens that it gave count no more");
    Ok(())
}
