// SPDX-License-Identifier: Apache-2.0
//! Another hub, by its API and its registry; or a registry that is no hub, where tags say which versions there are, and nobody says
//! what is yanked.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use package::{Digest, Version};
use wire::hub::{HubClient, ReleaseView, Wanted};
use wire::{Credentials, Patience, Reference, Registry, RegistryError, Repository};

use super::{Named, Offer, Offered, Standing, Unfetched};
use crate::mirrors::pattern::Pattern;

/// How long one waits for a source. What it asks for is waited for longer than people would: nobody sits before it.
const PATIENCE: Patience = Patience {
    attempts: 5,
    pause: Duration::from_millis(250),
    longest_pause: Duration::from_mins(1),
    silence: Duration::from_secs(15),
    whole: Duration::from_mins(10),
};
/// The most packages that are found for one pattern.
const MAX_PACKAGES: usize = 100_000;
/// How many are asked for at a time.
const PAGE: u32 = 100;

/// A hub or a registry.
pub(in crate::mirrors) struct Online {
    pub(super) host: String,
    /// None where it is no hub.
    hub: Option<HubClient>,
    registry: Registry,
}

impl Online {
    /// Finds out what answers there.
    pub(super) async fn open(host: &str, logins: Option<&Path>) -> Result<Self, Unfetched> {
        let logins = logins.map(Credentials::read).transpose()?.unwrap_or_default();
        let client = HubClient::new(host, logins.clone())?.patient(PATIENCE);
        let is_hub = client.instance().await?.is_some();
        let hub = is_hub.then_some(client);
        Ok(Self { host: host.to_owned(), hub, registry: Registry::new(logins, PATIENCE) })
    }

    pub(super) async fn packages(&self, patterns: &[Pattern]) -> Result<Vec<Named>, Unfetched> {
        let mut found = BTreeSet::new();
        for pattern in patterns {
            match (pattern.exact(), &self.hub) {
                (Some((publisher, name)), _) => {
                    found.insert(Named { publisher: publisher.to_owned(), name: name.to_owned() });
                }
                (None, Some(hub)) => self.search(hub, pattern, &mut found).await?,
                (None, None) => {
                    let host = &self.host;
                    return Err(Unfetched::Unfit(format!(
                        "`{host}` is a registry and no hub, so that packages are named without `*`, unlike `{pattern}`"
                    )));
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    async fn search(
        &self,
        hub: &HubClient,
        pattern: &Pattern,
        found: &mut BTreeSet<Named>,
    ) -> Result<(), Unfetched> {
        let publisher = pattern.publisher().map(str::to_owned);
        let mut wanted = Wanted { publisher, limit: Some(PAGE), ..Wanted::default() };
        for _ in 0..=MAX_PACKAGES / PAGE as usize {
            let page = hub.search(&wanted).await?;
            let meant = page.packages.into_iter().filter(|one| pattern.matches(&one.publisher, &one.name));
            found.extend(meant.map(|one| Named { publisher: one.publisher, name: one.name }));
            // One that says the same again would do so for ever.
            if page.next.is_none() || page.next == wanted.after {
                return Ok(());
            }
            wanted.after = page.next;
        }
        Err(Unfetched::Unfit(format!("`{}` has more than {MAX_PACKAGES} packages", self.host)))
    }

    pub(super) async fn offer(&self, package: &Named) -> Result<Offer, Unfetched> {
        let repository = self.repository(package)?;
        let Some(hub) = &self.hub else { return self.tagged(&repository).await };
        let releases = hub.versions(&repository).await?;
        let advisories = hub.advisories(&repository).await?;
        Ok(Offer {
            releases: releases.into_iter().filter_map(offered).collect(),
            advisories,
            tells_yanks: true,
        })
    }

    /// What a registry has that is no hub.
    async fn tagged(&self, repository: &Repository) -> Result<Offer, Unfetched> {
        let mut releases = Vec::new();
        let tags = self.registry.tags(repository).await?;
        if tags.is_empty() {
            // Registries hide what somebody may not read: that is not as if it were deleted.
            return Err(Unfetched::Unfit(format!("`{repository}` has no tags, or not for this login")));
        }
        for tag in tags {
            let Ok(version) = tag.to_string().replace('_', "+").parse::<Version>() else { continue };
            let reference = Reference { repository: repository.clone(), tag: Some(tag), digest: None };
            let digest = match self.registry.resolve(&reference).await {
                Ok(digest) => Ok(digest),
                Err(error @ (RegistryError::NotAPackage { .. } | RegistryError::Missing { .. })) => {
                    Err(error.to_string())
                }
                Err(error) => return Err(error.into()),
            };
            releases.push(Offered { version, digest, standing: Standing::Released });
        }
        Ok(Offer { releases, advisories: Vec::new(), tells_yanks: false })
    }

    pub(super) async fn document(&self, package: &Named, digest: &Digest) -> Result<Vec<u8>, Unfetched> {
        Ok(self.registry.document(&self.repository(package)?, digest).await?)
    }

    pub(super) async fn blob(
        &self,
        package: &Named,
        (digest, max_bytes): (&Digest, u64),
    ) -> Result<Vec<u8>, Unfetched> {
        Ok(self.registry.blob(&self.repository(package)?, digest, max_bytes).await?)
    }

    pub(super) async fn referring(&self, package: &Named, digest: &Digest) -> Result<Vec<String>, Unfetched> {
        Ok(self.registry.referring(&self.repository(package)?, digest).await?)
    }

    fn repository(&self, package: &Named) -> Result<Repository, Unfetched> {
        let text = format!("{}/{package}", self.host);
        text.parse().map_err(|bad: wire::BadReference| Unfetched::Unfit(bad.to_string()))
    }
}

/// None where people never had it.
fn offered(release: ReleaseView) -> Option<Offered> {
    let standing = Standing::of(release.state, release.reason)?;
    let digest = release.digest.parse().map_err(|_bad| format!("`{}` is no SHA-256 digest", release.digest));
    Some(Offered { version: release.version, digest, standing })
}
