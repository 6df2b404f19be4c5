// SPDX-License-Identifier: Apache-2.0
//! Fetching packages from registries into the store, from the repositories that the policy lists and from nowhere else.
//!
//! It happens before the engine is asked, so that the engine never waits for a network. What a reference stood for is kept with
//! the generation. One that is in force is not asked for again: a tag that moved changes nothing that runs when somebody
//! changes a parameter, and neither does a registry that is down. What is said about it later is looked for all the same.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;

use package::{BlobError, Blobs, Digest, PublisherName, Referrer, ReferrerKind};
use tokio::sync::Notify;
use trust::Mode;
use wire::l3afd::Place;
use wire::{BadReference, Document, Places, Reference, Registry, RegistryError, Shelf};

use crate::evidence::{Documents, Found};
use crate::generation::Pinned;
use crate::policy::PolicyFiles;
use crate::store::Store;
use crate::{Config, Rejected};

/// What references into registries stand for, with everything that they stand for in the store.
#[derive(Debug, Clone, Default)]
pub struct Fetched(pub(crate) BTreeMap<String, Pinned>);

impl Fetched {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is asked for beside a package.
const KINDS: [ReferrerKind; 2] = [ReferrerKind::Statement, ReferrerKind::Root];

/// A reference into a repository of the policy.
struct Listed {
    reference: Reference,
    places: Places,
    mode: Mode,
}

/// A package that is to be fetched.
struct Wanted {
    places: Places,
    mode: Mode,
    index: Digest,
}

/// The store, for what is about to be needed: what is asked for counts as new, and is not swept away meanwhile.
struct Fresh<'a>(&'a Store);

/// Fetches from registries.
#[derive(Debug)]
pub struct Fetcher {
    registry: Registry,
    store: Store,
    policy: PathBuf,
    /// The repository of l3afd v1 that the configuration names.
    artifacts: Option<String>,
    /// Told when it is time to look for what was said since.
    look: Notify,
}

impl Fetcher {
    /// A fetcher into the daemon's store, under its policy.
    pub fn new(registry: Registry, config: &Config) -> Self {
        let (store, policy, look) = (Store::new(&config.state), config.policy.clone(), Notify::new());
        let artifacts = config.l3afd.as_ref().map(|l3afd| l3afd.repository.url.clone());
        Self { registry, store, policy, artifacts, look }
    }

    /// Fetches what a document names in registries, but for references that are in force. `room` is asked to make room for so
    /// many bytes before the first layer comes.
    ///
    /// # Errors
    /// When a reference lies in no repository of the policy, cannot be fetched, or does not fit.
    pub async fn fetch(
        &self,
        document: &Document,
        in_force: &Fetched,
        room: &(dyn Fn(u64) -> Result<(), Rejected> + Sync),
    ) -> Result<Fetched, Rejected> {
        let (mut fetched, mut wanted, mut missing) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for reference in document.references().filter(|reference| is_remote(reference)) {
            if fetched.contains_key(reference) {
                continue;
            }
            if let Some(pinned) = in_force.0.get(reference) {
                fetched.insert(reference.to_owned(), pinned.clone());
            } else if Place::is_meant(reference) {
                self.look_soon();
                fetched.insert(reference.to_owned(), self.fetch_artifact(reference, room).await?);
            } else if !wanted.contains_key(reference) {
                // The network is there: a good time to hear about the others.
                self.look_soon();
                let (package, lacks) = self.find(reference).await?;
                wanted.insert(reference, package);
                missing.extend(lacks);
            }
        }
        room(missing.values().sum())?;
        for (reference, package) in wanted {
            fetched.insert(reference.to_owned(), self.fetch_one(reference, package).await?);
        }
        Ok(Fetched(fetched))
    }

    /// Fetches an artifact of l3afd v1, and keeps it as the package that it is.
    async fn fetch_artifact(
        &self,
        name: &str,
        room: &(dyn Fn(u64) -> Result<(), Rejected> + Sync),
    ) -> Result<Pinned, Rejected> {
        let place = self.listed_artifact(name)?;
        let found = place.fetch().await.map_err(|error| unfetched(name, error))?;
        let packed = place.pack(&found).map_err(|error| unfetched(name, error))?;
        room(packed.blobs.iter().map(|blob| blob.bytes.len() as u64).sum())?;
        let keep = || {
            packed.blobs.iter().try_for_each(|blob| self.store.keep(&blob.bytes).map(drop))?;
            found.statement.iter().map(|statement| self.store.keep(statement)).collect::<io::Result<_>>()
        };
        let statements = keep().map_err(|source| Rejected::State { action: "keep a package", source })?;
        let index = packed.index.digest;
        tracing::info!(package.reference = name, package.index = %index, "fetched");
        Ok(Pinned { index, statements, roots: Vec::new(), named: None })
    }

    /// Reads a reference to an artifact. On the network only what the configuration or the policy lists is asked.
    fn listed_artifact(&self, name: &str) -> Result<Place, Rejected> {
        let place = Place::parse(name).map_err(|error| unfetched(name, error))?;
        let Some(whole) = place.on_network() else { return Ok(place) };
        let is_configured = self.artifacts.as_ref().is_some_and(|url| place.is_in(url));
        if is_configured || PolicyFiles::read(&self.policy)?.policy()?.repository(&whole).is_some() {
            return Ok(place);
        }
        let repository = whole.split('/').next().unwrap_or_default().to_owned();
        Err(Rejected::Unlisted { reference: name.to_owned(), repository, policy: self.policy.clone() })
    }

    /// Looks at what a reference stands for, and what of that is not in the store.
    async fn find(&self, name: &str) -> Result<(Wanted, BTreeMap<Digest, u64>), Rejected> {
        let Listed { reference, mut places, mode } = self.listed(name)?;
        let failed = |error| unfetched(name, error);
        let (index, said_by) = self.registry.resolve_from(&reference, &mut places).await.map_err(failed)?;
        if said_by != reference.repository {
            tracing::warn!(package.reference = name, package.index = %index, mirror = %said_by, "the tag is that of a mirror");
        }
        let lacks = self.registry.missing_from(&mut places, &index, &Fresh(&self.store)).await;
        Ok((Wanted { places, mode, index }, lacks.map_err(failed)?))
    }

    async fn fetch_one(&self, name: &str, package: Wanted) -> Result<Pinned, Rejected> {
        let Wanted { mut places, mode, index } = package;
        let (failed, store) = (|error| unfetched(name, error), Fresh(&self.store));
        let (descriptor, given_by) =
            self.registry.pull_from(&mut places, &index, &store).await.map_err(failed)?;
        let found = match self.registry.referrers_from(&mut places, &index, &KINDS, &store).await {
            // Where nothing is verified nobody needs what is not said.
            Err(RegistryError::NothingSaid { .. }) if mode == Mode::Normal => Vec::new(),
            found => found.map_err(failed)?,
        };
        let is_statement = |found: &&Referrer| found.kind == ReferrerKind::Statement;
        let said: Vec<Vec<u8>> = found.iter().filter(is_statement).map(|found| found.bytes.clone()).collect();
        let is_image = descriptor.artifact_type.is_none();
        let policy = PolicyFiles::read(&self.policy)?.policy()?;
        let is_known = |publisher: &PublisherName| policy.publisher(publisher).is_some();
        let named = is_image.then(|| wire::named(name, &index, &said, is_known));
        let Documents { statements, roots } = self.keep(found)?;
        tracing::info!(package.reference = name, package.index = %index, from = %given_by, "fetched");
        let (statements, roots) = (statements.into_iter().collect(), roots.into_iter().collect());
        Ok(Pinned { index, statements, roots, named })
    }

    /// Has somebody look for what was said about the packages in force.
    pub(crate) fn look_soon(&self) {
        self.look.notify_one();
    }

    /// Waits until somebody should look.
    pub(crate) async fn told_to_look(&self) {
        self.look.notified().await;
    }

    /// Looks for what was said about the packages in force since they were fetched. A repository that does not answer does not
    /// keep the others from being asked.
    ///
    /// # Errors
    /// Beside what was found, why the first of those that gave no answer did not. What its mirrors know is found all the same,
    /// and does not stand in for its answer: a mirror may know less.
    pub async fn look(&self, in_force: &Fetched) -> (Found, Result<(), Rejected>) {
        let (mut found, mut outcome) = (Found::default(), Ok(()));
        for (name, pinned) in &in_force.0 {
            match self.look_at(name, &pinned.index).await {
                Ok((documents, answer)) => {
                    found.add(pinned.index, documents);
                    outcome = outcome.and(answer);
                }
                // What lies in no repository of the policy is trusted no longer, and not asked for.
                Err(Rejected::Unlisted { .. }) => {}
                Err(rejected) => outcome = outcome.and(Err(rejected)),
            }
        }
        (found, outcome)
    }

    async fn look_at(
        &self,
        name: &str,
        index: &Digest,
    ) -> Result<(Documents, Result<(), Rejected>), Rejected> {
        if Place::is_meant(name) {
            let asked = self.listed_artifact(name)?.statement().await;
            let statement = asked.map_err(|error| unfetched(name, error))?;
            let found = statement.map(|bytes| Referrer { kind: ReferrerKind::Statement, bytes });
            return Ok((self.keep(found.into_iter().collect())?, Ok(())));
        }
        let Listed { reference, places, .. } = self.listed(name)?;
        let (found, answer) =
            match self.registry.referrers(&reference.repository, index, &KINDS, &Fresh(&self.store)).await {
                Ok(found) => (found, Ok(())),
                Err(error) => {
                    let found = self
                        .registry
                        .referrers_from_mirrors(&places, index, &KINDS, &Fresh(&self.store))
                        .await;
                    (found, Err(unfetched(name, error)))
                }
            };
        Ok((self.keep(found)?, answer))
    }

    /// Keeps what refers to a package.
    fn keep(&self, found: Vec<Referrer>) -> Result<Documents, Rejected> {
        let mut documents = Documents::default();
        for Referrer { kind, bytes } in found {
            let kept = self.store.keep(&bytes);
            let digest = kept.map_err(|source| Rejected::State { action: "keep a statement", source })?;
            match kind {
                ReferrerKind::Statement => documents.statements.insert(digest),
                ReferrerKind::Root => documents.roots.insert(digest),
                ReferrerKind::Bundle => continue,
            };
        }
        Ok(documents)
    }

    /// Reads a reference, and the policy as it is now: only what it lists is asked.
    fn listed(&self, name: &str) -> Result<Listed, Rejected> {
        let reference = name.parse::<Reference>().map_err(|source| Rejected::BadReference { source })?;
        let policy = PolicyFiles::read(&self.policy)?.policy()?;
        let whole = reference.to_string();
        let Some(repository) = policy.repository(&whole) else {
            return Err(Rejected::Unlisted {
                reference: name.to_owned(),
                repository: reference.repository.to_string(),
                policy: self.policy.clone(),
            });
        };
        let mirrors = repository.mirrored(&whole);
        let mirrors: Result<Vec<_>, _> =
            mirrors.iter().map(|name| name.parse::<Reference>().map(|mirror| mirror.repository)).collect();
        let unusable = |bad: BadReference| Rejected::Policy { path: self.policy.clone(), source: bad.into() };
        let places = Places::new(reference.repository.clone(), mirrors.map_err(unusable)?);
        Ok(Listed { reference, places, mode: policy.mode() })
    }
}

impl Shelf for Fresh<'_> {
    fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.put(bytes)
    }
}

impl Blobs for Fresh<'_> {
    fn blob(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        self.0.touch(digest);
        self.0.blob(digest, max_bytes)
    }
}

/// Whether a package is fetched before the engine is asked: from a registry, or as an artifact of l3afd v1.
pub(crate) fn is_remote(reference: &str) -> bool {
    reference.starts_with("oci://") || Place::is_meant(reference)
}

fn unfetched(reference: &str, source: impl Error + Send + Sync + 'static) -> Rejected {
    Rejected::Unfetched { reference: reference.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use wire::{Credentials, Patience};

    use super::*;

    /// A registry that has nothing, and says so.
    fn empty() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                drop(stream.read(&mut [0; 4096]));
                let body = r#"{"manifests":[]}"#;
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        address
    }

    /// Whether a look at a package of this repository with this mirror counts as one.
    fn is_look(repository: &str, mirror: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("trust.toml");
        let text = format!("[[repository]]\nurl = \"{repository}\"\nmirrors = [\"{mirror}\"]\n");
        std::fs::write(&policy, text).unwrap();
        let config = Config { state: folder.path().into(), policy, ..Config::default() };
        let patience = Patience { attempts: 1, silence: Duration::from_secs(5), ..Patience::default() };
        let fetcher = Fetcher::new(Registry::new(Credentials::default(), patience), &config);
        let pinned =
            Pinned { index: Digest::of(b"package"), statements: Vec::new(), roots: Vec::new(), named: None };
        let in_force = Fetched([(format!("oci://{repository}/a:1"), pinned)].into());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(fetcher.look(&in_force)).1.is_ok()
    }

    #[test]
    fn what_is_fetched_replaces_what_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let digest = store.keep(b"layer").unwrap();
        std::fs::write(folder.path().join("blobs/sha256").join(digest.hex()), "damaged").unwrap();
        Fresh(&store).keep(b"layer").unwrap();
        assert_eq!(Fresh(&store).blob(&digest, 100).unwrap(), b"layer");
    }

    #[test]
    fn that_a_mirror_knows_of_no_revocation_is_no_answer() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(is_look(&empty(), &gone));
        assert!(!is_look(&gone, &empty()));
    }
}
