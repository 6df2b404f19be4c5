// SPDX-License-Identifier: Apache-2.0
//! What a takedown is about: the releases, and the digests of what they are made of.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use super::{Target, Untaken};
use crate::packages::release::Release;

/// The releases that a target is about; those that cannot be had whole without it are among them.
pub(super) async fn releases(
    connection: &mut AnyConnection,
    target: &Target,
) -> Result<Vec<Release>, Untaken> {
    let [publisher, name, version, digest] = target.parts();
    let ids: Vec<String> = match target {
        Target::Digest(_) => {
            let select = "WITH RECURSIVE above (repository, digest) AS (\
                          SELECT repository, digest FROM manifests WHERE digest = $1 \
                          UNION SELECT needs.repository, needs.manifest FROM needs WHERE needs.digest = $1 \
                          UNION SELECT needs.repository, needs.manifest FROM above JOIN needs \
                          ON needs.repository = above.repository AND needs.digest = above.digest) \
                          SELECT r.id FROM above JOIN releases r ON r.repository = above.repository \
                          AND r.digest = above.digest ORDER BY r.id";
            sqlx::query_scalar(select).bind(digest).fetch_all(&mut *connection).await?
        }
        Target::Package { .. } | Target::Release { .. } => {
            let select = "SELECT r.id FROM packages p JOIN releases r ON r.package = p.id \
                          WHERE p.publisher = $1 AND p.name = $2 AND ($3 = '' OR r.version = $3) ORDER BY r.id";
            let ids = sqlx::query_scalar(select).bind(publisher).bind(name).bind(version);
            ids.fetch_all(&mut *connection).await?
        }
    };
    let mut found = Vec::new();
    for id in ids {
        found.extend(Release::by_id(connection, &id).await?);
    }
    if found.is_empty() && !matches!(target, Target::Digest(_)) {
        let what = if version.is_empty() { "package" } else { "release" };
        return Err(Untaken::Missing { what, name: target.to_string() });
    }
    Ok(found)
}

/// What releases are made of: their indexes, and what these need and nothing else in their repository does.
pub(super) async fn digests(
    connection: &mut AnyConnection,
    releases: &[Release],
) -> sqlx::Result<BTreeSet<String>> {
    let mut reached: BTreeSet<String> = releases.iter().map(|release| release.digest.clone()).collect();
    let mut next: Vec<(String, String)> =
        releases.iter().map(|release| (release.repository.clone(), release.digest.clone())).collect();
    let mut shared = Vec::new();
    while let Some((repository, manifest)) = next.pop() {
        let select = "SELECT digest FROM needs WHERE repository = $1 AND manifest = $2 ORDER BY digest";
        let needs = sqlx::query_scalar(select).bind(&repository).bind(&manifest);
        let needs: Vec<String> = needs.fetch_all(&mut *connection).await?;
        for digest in needs {
            if reached.insert(digest.clone()) {
                shared.push((repository.clone(), digest.clone()));
                next.push((repository.clone(), digest));
            }
        }
    }
    // What something else needs as well is not taken from that.
    for (repository, digest) in shared {
        let select = "SELECT manifest FROM needs WHERE repository = $1 AND digest = $2";
        let above = sqlx::query_scalar(select).bind(&repository).bind(&digest);
        let above: Vec<String> = above.fetch_all(&mut *connection).await?;
        if above.iter().any(|manifest| !reached.contains(manifest)) {
            reached.remove(&digest);
        }
    }
    Ok(reached)
}
