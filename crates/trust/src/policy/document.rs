// SPDX-License-Identifier: Apache-2.0
//! A policy as it is written.
//!
//! ```toml
//! mode = "trusted"               # or "normal": verify nothing, and say so
//!
//! [[publisher]]
//! name = "example"
//! packages = ["rate*", "sanity"] # what they may publish; `*` stands for any letters
//! threshold = 1                  # how many of the signers must sign
//! key_files = ["example.pub"]    # PEM files, relative to this one
//! keys = ["-----BEGIN PUBLIC KEY-----..."]
//! ```

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use package::{
    BadPlatform, Capability, Digest, Glob, PackageName, Platform, Privileges, ProgramKind, PublisherName,
    Version,
};
use serde::Deserialize;

use super::anchor::WrittenAnchor;
use super::{
    Algorithms, Endorser, Exception, Mode, OnRevoked, Policy, PolicyError, Publisher, Releases, Repository,
    Revocation, Revoked, Withdrawal,
};
use crate::{Algorithm, Certificate, Family, KeyId, Pen};

/// A policy as it is written, with the files it names not yet read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument {
    #[serde(default)]
    mode: Mode,
    algorithms: Option<BTreeSet<Algorithm>>,
    max_age_hours: Option<u32>,
    #[serde(default)]
    on_revoked: OnRevoked,
    #[serde(default, rename = "publisher")]
    publishers: Vec<WrittenPublisher>,
    #[serde(default, rename = "endorser")]
    endorsers: Vec<WrittenEndorser>,
    #[serde(default, rename = "revoked")]
    revocations: Vec<WrittenRevocation>,
    #[serde(default, rename = "exception")]
    exceptions: Vec<Exception>,
    #[serde(default, rename = "repository")]
    repositories: Vec<Repository>,
    #[serde(default, rename = "hook")]
    hooks: Vec<WrittenHook>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPublisher {
    name: PublisherName,
    packages: Vec<Glob>,
    platforms: Option<BTreeSet<PlatformName>>,
    hooks: Option<BTreeSet<ProgramKind>>,
    #[serde(default)]
    user_capabilities: BTreeSet<Capability>,
    #[serde(default)]
    user_root: bool,
    #[serde(default)]
    require: BTreeSet<Family>,
    #[serde(default)]
    authority_files: Vec<String>,
    pen: Option<Pen>,
    #[serde(default)]
    minimum_versions: BTreeMap<PackageName, Version>,
    threshold: Option<usize>,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    key_files: Vec<String>,
    root_file: Option<String>,
    root_digest: Option<Digest>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEndorser {
    name: PublisherName,
    packages: Vec<Glob>,
    until: Timestamp,
    threshold: Option<usize>,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    key_files: Vec<String>,
    root_file: Option<String>,
    root_digest: Option<Digest>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRevocation {
    key: Option<KeyId>,
    release: Option<Releases>,
    digest: Option<Digest>,
    reason: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHook {
    name: String,
    on_revoked: OnRevoked,
}

/// A platform as one text, such as `linux/amd64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct PlatformName(Platform);

impl TryFrom<String> for PlatformName {
    type Error = BadPlatform;

    fn try_from(text: String) -> Result<Self, BadPlatform> {
        text.parse().map(Self)
    }
}

impl PolicyDocument {
    /// Reads the text of a policy.
    ///
    /// # Errors
    /// When it is not TOML, or has keys that a policy has not.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error| PolicyError::Toml { problem: error.to_string() })
    }

    /// The files that it names, to be read by the caller.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let publishers = self.publishers.iter().flat_map(|publisher| {
            publisher.key_files.iter().chain(&publisher.authority_files).chain(&publisher.root_file)
        });
        let endorsers =
            self.endorsers.iter().flat_map(|endorser| endorser.key_files.iter().chain(&endorser.root_file));
        publishers.chain(endorsers).map(String::as_str)
    }

    /// The policy, with the texts of the files that it names.
    ///
    /// # Errors
    /// When a key cannot be used, or the parts contradict each other.
    pub fn resolve(self, files: &BTreeMap<String, String>) -> Result<Policy, PolicyError> {
        let mut seen = BTreeSet::new();
        let names = self.publishers.iter().map(|publisher| &publisher.name);
        let twice = names.chain(self.endorsers.iter().map(|endorser| &endorser.name));
        if let Some(name) = twice.into_iter().find(|name| !seen.insert(*name)) {
            return Err(PolicyError::Duplicate { name: name.clone() });
        }
        if self.algorithms.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(PolicyError::NoAlgorithms);
        }
        let at_hooks = self.hooks.into_iter().map(|hook| (hook.name, hook.on_revoked)).collect();
        let max_age = self.max_age_hours.map(|hours| SignedDuration::from_hours(i64::from(hours)));
        Ok(Policy {
            mode: self.mode,
            algorithms: self.algorithms.map(Algorithms).unwrap_or_default(),
            publishers: every(self.publishers, |publisher| publisher.resolve(files))?,
            endorsers: every(self.endorsers, |endorser| endorser.resolve(files))?,
            revocations: every(self.revocations, WrittenRevocation::resolve)?,
            exceptions: self.exceptions,
            repositories: every(self.repositories, Repository::check)?,
            withdrawal: Withdrawal { on_revoked: self.on_revoked, at_hooks, max_age },
        })
    }
}

fn every<W, T>(
    written: Vec<W>,
    resolve: impl Fn(W) -> Result<T, PolicyError>,
) -> Result<Vec<T>, PolicyError> {
    written.into_iter().map(resolve).collect()
}

impl WrittenPublisher {
    fn resolve(self, files: &BTreeMap<String, String>) -> Result<Publisher, PolicyError> {
        let name = self.name;
        let empty = |list, instead| PolicyError::Empty { name: name.clone(), list, instead };
        if self.packages.is_empty() {
            return Err(empty("packages", "`[\"*\"]` means all"));
        }
        if self.platforms.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(empty("platforms", "leave it out to mean all"));
        }
        if self.hooks.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(empty("hooks", "leave it out to mean all"));
        }
        if self.pen.is_some() && self.authority_files.is_empty() {
            return Err(PolicyError::Unproven { name });
        }
        let mut authorities = Vec::new();
        for path in &self.authority_files {
            let missing = || PolicyError::MissingFile { name: name.clone(), path: path.clone() };
            let refuse =
                |bad| PolicyError::Authority { name: name.clone(), file: path.clone(), bad: Box::new(bad) };
            let text = files.get(path).ok_or_else(missing)?;
            authorities.extend(Certificate::all_from_pem(text).map_err(refuse)?);
        }
        let anchor = WrittenAnchor {
            name: &name,
            threshold: self.threshold,
            keys: &self.keys,
            key_files: &self.key_files,
            root_file: self.root_file.as_ref(),
            root_digest: self.root_digest,
        };
        let anchor = anchor.resolve(files)?;
        Ok(Publisher {
            packages: self.packages,
            platforms: self.platforms.map(|named| named.into_iter().map(|name| name.0).collect()),
            hooks: self.hooks,
            user: if self.user_root {
                Privileges::Root
            } else {
                Privileges::Capabilities(self.user_capabilities)
            },
            require: self.require,
            authorities,
            pen: self.pen,
            minimum_versions: self.minimum_versions,
            anchor,
            name,
        })
    }
}

impl WrittenEndorser {
    fn resolve(self, files: &BTreeMap<String, String>) -> Result<Endorser, PolicyError> {
        let Self { name, packages, until, threshold, keys, key_files, root_file, root_digest } = self;
        if packages.is_empty() {
            return Err(PolicyError::Empty { name, list: "packages", instead: "`[\"*\"]` means all" });
        }
        let (keys, key_files, root_file) = (&keys, &key_files, root_file.as_ref());
        let anchor = WrittenAnchor { name: &name, threshold, keys, key_files, root_file, root_digest };
        let anchor = anchor.resolve(files)?;
        Ok(Endorser { name, packages, until, anchor })
    }
}

impl WrittenRevocation {
    fn resolve(self) -> Result<Revocation, PolicyError> {
        let Self { key, release, digest, reason } = self;
        let named = [key.map(Revoked::Key), release.map(Revoked::Release), digest.map(Revoked::Digest)];
        let mut named: Vec<Revoked> = named.into_iter().flatten().collect();
        match (named.pop(), named.len()) {
            (Some(revoked), 0) => Ok(Revocation { revoked, reason }),
            (last, before) => {
                Err(PolicyError::Revoked { count: before + usize::from(last.is_some()), reason })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrivateKey, Signer};

    fn read(text: &str) -> Result<Policy, PolicyError> {
        PolicyDocument::parse(text).and_then(|document| document.resolve(&BTreeMap::new()))
    }

    fn refusal(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn the_default_trusts_nobody() {
        let policy = read("").unwrap();
        assert_eq!(policy, Policy::default());
        assert_eq!(policy.mode(), Mode::Trusted);
        assert_eq!(policy.publishers().count(), 0);
        assert_eq!(policy.repository("hub.example.org/a"), None);
        assert_eq!(policy.on_revoked("eth0/xdp"), OnRevoked::Remove);
    }

    #[test]
    fn a_policy_that_cannot_be_used_says_why() {
        let key = PrivateKey::from_seed([1; 32]).public().to_pem();
        let publisher = "[[publisher]]\nname = \"example\"\npackages = [\"*\"]\n";
        insta::assert_snapshot!(refusal(publisher), @"the keys of `example` cannot be used: there are 0 different signers, so the threshold must be 1 to 0, not 1");
        insta::assert_snapshot!(refusal(&format!("{publisher}key_files = [\"x.pub\"]")), @"the file `x.pub` of `example` is not there");
        insta::assert_snapshot!(refusal(&format!("{publisher}keys = [\"x\"]")), @"a key of `example` cannot be used: it is not PEM (`-----BEGIN ...-----`): a block does not end");
        insta::assert_snapshot!(refusal(&format!("{publisher}threshold = 2\nkeys = ['''{key}''']")), @"the keys of `example` cannot be used: there are 1 different signers, so the threshold must be 1 to 1, not 2");
        assert!(
            refusal(&format!("{publisher}keys = ['''{key}''', '''{key}''']")).ends_with("is there twice")
        );
        insta::assert_snapshot!(refusal("[[publisher]]\nname = \"example\"\npackages = []"), @r#"`example` has an empty list of `packages`; `["*"]` means all"#);
        insta::assert_snapshot!(refusal(&format!("{publisher}hooks = []\nkeys = ['''{key}''']")), @"`example` has an empty list of `hooks`; leave it out to mean all");
        assert!(refusal("mode = \"off\"").contains("unknown variant `off`, expected `trusted` or `normal`"));
        assert!(refusal("publishers = []").contains("unknown field `publishers`"));
        let twice = format!("{publisher}keys = ['''{key}''']\n").repeat(2);
        insta::assert_snapshot!(refusal(&twice), @"`example` is named twice");
        insta::assert_snapshot!(refusal("algorithms = []"), @"`algorithms` is empty, so no signature would ever count; leave it out to accept all that are known");
        assert!(refusal("algorithms = [\"md5\"]").contains("there is no signature algorithm `md5` here"));
        insta::assert_snapshot!(refusal("[[revoked]]\nreason = \"lost\""), @"a `[[revoked]]` must have one of `key`, `release` and `digest`, and has 0; its reason is `lost`");
        assert!(refusal("[[revoked]]\nreason = \"\"\nrelease = \"a/b\"").contains("`a/b` names no releases"));
        let cut_off = "[[revoked]]\nreason = \"\"\nkey = \"74c181c7ad8a0855\"";
        assert!(refusal(cut_off).contains("`74c181c7ad8a0855` is not the name of a key"));
    }

    #[test]
    fn the_example_of_the_documentation_is_a_policy() {
        let text = include_str!("../../../../docs/trust-policy.md");
        let example = text.split("```").nth(1).and_then(|block| block.strip_prefix("toml")).unwrap();
        let document = PolicyDocument::parse(example).unwrap();
        let signer = Signer::of(vec![
            PrivateKey::from_seed([1; 32]).public().clone(),
            PrivateKey::post_quantum_from_seed([1; 32]).public().clone(),
        ]);
        let files = [
            ("example.pub", signer.unwrap().to_pem()),
            ("committee.pub", PrivateKey::from_seed([2; 32]).public().to_pem()),
            ("ca.pem", include_str!("../../testdata/certificates/ecdsa-root.pem").to_owned()),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text)).into();
        let policy = document.resolve(&files).unwrap();
        assert_eq!((policy.publishers.len(), policy.endorsers.len(), policy.revocations.len()), (1, 1, 3));
    }

    #[test]
    fn a_reference_lies_in_a_repository_by_whole_parts() {
        let policy = read(
            "[[repository]]\nurl = \"hub.example.org/network\"\n[[repository]]\nurl = \"other.example.org:5000\"\npublic = true",
        )
        .unwrap();
        let public = |reference: &str| policy.repository(reference).map(|repository| repository.public);
        assert_eq!(public("hub.example.org/network/ratelimit:1.0.0"), Some(false));
        assert_eq!(public("hub.example.org/network:1.0.0"), Some(false));
        assert_eq!(public("hub.example.org/networks/ratelimit"), None);
        assert_eq!(public("hub.example.org/other"), None);
        assert_eq!(public("other.example.org:5000/a@sha256:00"), Some(true));
        assert_eq!(public("other.example.org:50001/a"), None);
        assert_eq!(public("other.example.org"), None);
    }

    #[test]
    fn a_mirror_has_what_is_below_its_repository() {
        let mirrors = "mirrors = [\"https://mirror.example.org/l3af/\", \"[::1]:5000\"]";
        let policy = read(&format!("[[repository]]\nurl = \"hub.example.org/network/\"\n{mirrors}")).unwrap();
        let reference = "hub.example.org/network/ratelimit:1.0.0";
        let mirrored = policy.repository(reference).unwrap().mirrored(reference);
        assert_eq!(mirrored, ["mirror.example.org/l3af/ratelimit:1.0.0", "[::1]:5000/ratelimit:1.0.0"]);
        let with = |mirror: &str| {
            refusal(&format!("[[repository]]\nurl = \"hub.example.org\"\nmirrors = [\"{mirror}\"]"))
        };
        insta::assert_snapshot!(with("http://mirror.example.org"), @"`http://mirror.example.org` is no mirror of `hub.example.org`: write host and the beginning of the name, as in `https://mirror.example.org/l3af`; all but this machine is spoken to over TLS");
        for mirror in ["", "https://", "oci://a/b", "a/b:1", "a/b@sha256:00", "/a", "user@a"] {
            assert!(with(mirror).contains("is no mirror"), "{mirror}");
        }
    }

    #[test]
    fn the_nearest_repository_counts_whichever_is_written_first() {
        let private = "[[repository]]\nurl = \"hub.example.org\"\n";
        let public = "[[repository]]\nurl = \"hub.example.org/public/\"\npublic = true\n";
        for text in [[private, public].concat(), [public, private].concat()] {
            let policy = read(&text).unwrap();
            let public = |reference: &str| policy.repository(reference).map(|repository| repository.public);
            assert_eq!(public("hub.example.org/public/small:1.0.0"), Some(true));
            assert_eq!(public("hub.example.org/publicity/small:1.0.0"), Some(false));
        }
    }

    #[test]
    fn what_becomes_of_what_is_revoked_goes_by_hook() {
        let policy =
            read("on_revoked = \"keep\"\n[[hook]]\nname = \"eth0/xdp\"\non_revoked = \"remove\"").unwrap();
        assert_eq!(policy.on_revoked("eth0/xdp"), OnRevoked::Remove);
        assert_eq!(policy.on_revoked("eth1/xdp"), OnRevoked::Keep);
    }

    /// The keys of a table, as its reader names them when it meets one that it does not know.
    fn keys(table: &str) -> BTreeSet<String> {
        let refused = refusal(&format!("{table}\nunknown = 1"));
        let (_, known) = refused.split_once("expected ").unwrap();
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_has_the_keys_that_are_read_and_no_others() {
        let schema = include_str!("../../../../docs/schema/trust-policy.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let check = |table: &str, schema: &serde_json::Value| {
            let written = schema["properties"].as_object().unwrap().keys().cloned();
            assert_eq!(written.collect::<BTreeSet<_>>(), keys(table), "{table}");
            assert_eq!(schema["additionalProperties"], false, "{table}");
        };
        check("", &schema);
        for table in ["publisher", "endorser", "revoked", "exception", "repository", "hook"] {
            check(&format!("[[{table}]]"), &schema["properties"][table]["items"]);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            drop(PolicyDocument::parse(&text));
        }
    }
}
