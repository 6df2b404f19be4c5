// SPDX-License-Identifier: Apache-2.0
//! What is looked for in a hub, and what is found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::market::{Cost, Price, Rating, Stars};

/// What is looked for. Every facet that is named must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Words. Without any, all packages are found.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub q: String,
    /// The shelf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The part of the shelf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcategory: Option<String>,
    /// What a program of it attaches to, such as `xdp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// What the kernel calls a program of it, such as `sched_cls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_type: Option<String>,
    /// What it was built for, such as `linux/amd64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// A kernel that it runs on, such as `6.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Its licence, as it says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Who publishes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Who signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// A word that it is tagged with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whether something is asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub price: Option<Cost>,
    /// How many stars people give it at least: 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 5)]
    pub rating: Option<Stars>,
    /// How many are told: 1 to 100, and 20 where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Where the page before ended: its `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// The packages, the best first.
    pub packages: Vec<FoundPackage>,
    /// What finds the page behind; none where this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Words that no package has, with those that were looked for in their stead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub corrected: BTreeMap<String, Vec<String>>,
}

/// A package that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FoundPackage {
    /// Who publishes it.
    pub publisher: String,
    /// Its name.
    pub name: String,
    /// The version that most people want.
    pub version: String,
    /// What it does, in one line.
    pub description: String,
    /// The shelf it stands on, and the part of it: `network/limits`.
    pub shelf: String,
    /// Its licence.
    pub license: String,
    /// What its programs attach to.
    pub hooks: Vec<String>,
    /// How often it was pulled.
    pub pulls: u64,
    /// What is asked for it; none where it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// What people think of it; none where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<Rating>,
}

/// A shelf, and how many packages stand there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// How many packages.
    pub packages: u64,
    /// Its parts.
    pub subcategories: Vec<FacetValue>,
}

/// The facets of what is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facets {
    /// How many packages are counted.
    pub packages: u64,
    /// Whether these are all that are found. Of very many only the best are counted.
    pub whole: bool,
    /// Words that no package has, with those that were looked for in their stead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub corrected: BTreeMap<String, Vec<String>>,
    /// The facets.
    pub facets: Vec<Facet>,
}

/// A facet, and its values by how many packages have them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facet {
    /// Its name, as a parameter of a search.
    pub name: String,
    /// Its values, the most frequent first. Those of `rating` count what has at least so many stars, and those of `kernel` what needs
    /// just this one: a search for a kernel finds also what needs an older one.
    pub values: Vec<FacetValue>,
}

/// A value of a facet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FacetValue {
    /// The value.
    pub name: String,
    /// How many packages have it.
    pub packages: u64,
}
