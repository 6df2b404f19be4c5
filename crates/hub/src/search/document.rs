// SPDX-License-Identifier: Apache-2.0
//! What a package is found by.

use std::collections::BTreeSet;

use spdx::Expression;
use wire::hub::{Cost, Facts, Rating};

use super::words::words;
use crate::packages::Release;

/// The words and facets of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// Its name, as one word.
    pub(super) exact: String,
    pub(super) name: Vec<String>,
    /// Tags, shelf, publisher, hooks.
    pub(super) tags: Vec<String>,
    /// Everything else.
    pub(super) body: Vec<String>,
    /// Names and values of facets.
    pub(super) facets: BTreeSet<(&'static str, String)>,
}

/// What is known of a package besides what its release says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opinions {
    pub(super) cost: Cost,
    pub(super) rating: Option<Rating>,
}

/// The facet that all packages have.
pub(super) const ANY: (&str, &str) = ("any", "");

impl Document {
    pub(super) fn new(release: &Release, facts: &Facts, opinions: Opinions) -> Self {
        let all = |texts: &[&str]| texts.iter().flat_map(|text| words(text)).collect::<Vec<_>>();
        let list = |texts: &[String]| texts.iter().flat_map(|text| words(text)).collect::<Vec<_>>();
        let mut tags = all(&[&facts.category, &facts.subcategory, &release.publisher]);
        tags.extend(list(&facts.tags));
        tags.extend(facts.hooks.iter().flat_map(|hook| words(hook)));
        let mut body = words(&facts.description);
        body.extend(list(&facts.programs));
        body.extend(facts.maps.iter().flat_map(|map| words(map)));
        let name = words(&release.name);
        Self { exact: name.concat(), name, tags, body, facets: facets(release, facts, opinions) }
    }

    /// All its words, each once.
    pub(super) fn words(&self) -> BTreeSet<&str> {
        let all = self.name.iter().chain(&self.tags).chain(&self.body);
        all.map(String::as_str).chain([self.exact.as_str()]).collect()
    }
}

fn facets(release: &Release, facts: &Facts, opinions: Opinions) -> BTreeSet<(&'static str, String)> {
    let mut pairs = BTreeSet::from([
        (ANY.0, ANY.1.to_owned()),
        ("category", facts.category.clone()),
        ("subcategory", format!("{}/{}", facts.category, facts.subcategory)),
        ("kernel", facts.kernel_min.to_string()),
        ("publisher", release.publisher.clone()),
        ("price", opinions.cost.as_str().to_owned()),
    ]);
    pairs.extend(facts.hooks.iter().map(|hook| ("hook", hook.clone())));
    pairs.extend(facts.program_types.iter().map(|kind| ("program_type", kind.clone())));
    pairs.extend(facts.platforms.iter().map(|platform| ("platform", platform.clone())));
    pairs.extend(facts.tags.iter().map(|tag| ("tag", tag.clone())));
    pairs.extend(release.signed_by.iter().map(|signer| ("signed_by", signer.clone())));
    // Whoever looks for so many stars takes more of them.
    let stars = opinions.rating.map_or(0.0, |rating| rating.stars);
    pairs.extend(
        (1..=5_u8).filter(|least| stars >= f64::from(*least)).map(|least| ("rating", least.to_string())),
    );
    // Each licence of an expression is one to look for.
    if let Ok(expression) = Expression::parse(&facts.license) {
        pairs.extend(expression.requirements().map(|one| ("license", one.req.to_string())));
    }
    pairs
}
