// SPDX-License-Identifier: Apache-2.0
//! What a hub's API says of packages, below `/api/v1/`. `docs/hub-packages.md` lists the calls.

mod check;
mod client;
mod export;
mod found;
mod market;
mod oauth;
mod release;
mod review;
mod rules;
mod source;
mod state;

pub use check::{CheckResult, Checks, Finding, Level};
pub use client::{HubClient, HubError, NewToken};
pub use export::{Export, ExportedPackage, ExportedRelease, ListedPackage, Referring};
pub use found::{Category, Facet, FacetValue, Facets, Found, FoundPackage, Wanted};
pub use market::{Amount, BadOffer, Cost, Currency, Link, OwnRating, Period, Price, Rating, Stars};
pub use oauth::{DeviceAnswer, DeviceLogin, TokenService, Wish};
pub use release::{
    Advisory, Channel, Facts, NewAdvisory, PackageView, ReleaseView, Resolved, Severity, UnknownChannel, Yank,
};
pub use review::{
    Decision, Instance, NewReview, ReviewKey, ReviewKeyView, ReviewPolicy, ReviewView, RootView,
    UnknownDecision, Waiting,
};
pub use rules::{NewPublishingRule, PublishingRule};
pub use state::{State, UnknownState};
