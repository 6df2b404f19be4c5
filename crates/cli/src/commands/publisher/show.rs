// SPDX-License-Identifier: Apache-2.0
//! `l3af publisher show`: the versions, who speaks in which role, and what a draft lacks.

use std::path::PathBuf;

use jiff::Timestamp;
use package::{Digest, PublisherName};
use serde::Serialize;
use trust::{Algorithm, BadRoot, Draft, KeyId, Pen, Role, Root, Signer};

use super::certify;
use super::folder::{Folder, words};
use crate::arguments::publisher::ShowRoot;
use crate::failure::{Failure, Outcome};
use crate::output;

/// What `--json` prints.
#[derive(Serialize)]
struct Shown {
    versions: Vec<ShownVersion>,
    /// What the newest version says.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<Content>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certifications: Vec<ShownCertification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draft: Option<ShownDraft>,
}

#[derive(Serialize)]
struct ShownVersion {
    version: u64,
    expires: Timestamp,
    expired: bool,
    digest: Digest,
}

#[derive(Serialize)]
struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<PublisherName>,
    roles: Vec<ShownRole>,
}

#[derive(Serialize)]
struct ShownRole {
    role: String,
    threshold: usize,
    signers: Vec<ShownSigner>,
}

#[derive(Serialize)]
struct ShownSigner {
    /// One, or the two of a hybrid.
    keys: Vec<ShownKey>,
    /// Whom a certificate names.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

#[derive(Serialize)]
struct ShownKey {
    id: KeyId,
    algorithm: Algorithm,
}

/// What a certification that lies in the folder says, or why it does not hold.
#[derive(Serialize)]
struct ShownCertification {
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pen: Option<Pen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    #[serde(skip)]
    words: String,
}

#[derive(Serialize)]
struct ShownDraft {
    version: u64,
    expires: Timestamp,
    /// The digest of what signatures are over.
    signs: Digest,
    missing: Vec<ShownMissing>,
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize)]
struct ShownMissing {
    version: u64,
    valid: usize,
    threshold: usize,
    not_yet: Vec<ShownSigner>,
    #[serde(skip)]
    words: String,
}

pub(super) fn run(arguments: &ShowRoot) -> Outcome {
    let folder = Folder::open(&arguments.folder.folder)?;
    let draft = folder.draft()?;
    if draft.is_none() {
        folder.newest()?;
    }
    let now = Timestamp::now();
    let newest = folder.versions().last();
    let shown = Shown {
        versions: folder.versions().iter().map(|root| ShownVersion::new(root, now)).collect(),
        newest: newest.map(Content::new),
        certifications: certifications(&folder)?,
        draft: draft.map(|draft| ShownDraft::new(&draft, newest)).transpose()?,
    };
    if arguments.json {
        return output::json(&shown);
    }
    show(&shown);
    Ok(())
}

fn show(shown: &Shown) {
    if let Some(newest) = &shown.newest {
        let rows = shown.versions.iter().map(|shown| {
            let expired = if shown.expired { " (expired)" } else { "" };
            vec![shown.version.to_string(), format!("{}{expired}", shown.expires), shown.digest.to_string()]
        });
        output::data(&output::table(&["version", "expires", "digest"], rows.collect()));
        output::data("");
        newest.show();
    }
    for ShownCertification { file, words, .. } in &shown.certifications {
        output::data(&format!("\n`{}`: {words}", file.display()));
    }
    if let Some(draft) = &shown.draft {
        let ShownDraft { version, expires, signs, .. } = draft;
        let gap = if shown.newest.is_some() { "\n" } else { "" };
        output::data(&format!("{gap}Draft of version {version}, to expire {expires}, signing {signs}\n"));
        draft.content.show();
        output::data("");
        for lacking in &draft.missing {
            output::data(&lacking.words);
        }
    }
}

fn certifications(folder: &Folder) -> Result<Vec<ShownCertification>, Failure> {
    let roots: Vec<&Root> = folder.versions().iter().collect();
    let Some(publisher) = roots.iter().find_map(|root| root.publisher()) else { return Ok(Vec::new()) };
    let shown = certify::all(folder.path())?.into_iter().map(|(file, certification)| {
        match certify::check(&certification, publisher, &roots) {
            Ok(certified) => {
                let root = roots.iter().find(|root| root.digest() == certified.stated().root);
                let version = root.map(|root| root.version());
                let name = version.map_or_else(String::new, |version| format!("version {version}, "));
                let words = format!("{name}{}", certify::words(&certified));
                ShownCertification { file, pen: Some(certified.pen()), version, refused: None, words }
            }
            Err(bad) => {
                let words = format!("does not hold: {bad}");
                ShownCertification { file, pen: None, version: None, refused: Some(bad.to_string()), words }
            }
        }
    });
    Ok(shown.collect())
}

impl ShownVersion {
    fn new(root: &Root, now: Timestamp) -> Self {
        let expired = root.expires() <= now;
        Self { version: root.version(), expires: root.expires(), expired, digest: root.digest() }
    }
}

impl Content {
    fn new(root: &Root) -> Self {
        let roles = Role::ALL.map(|role| ShownRole::new(root, role));
        Self { publisher: root.publisher().cloned(), roles: roles.into() }
    }

    fn show(&self) {
        if let Some(publisher) = &self.publisher {
            output::data(&format!("publisher `{publisher}`"));
        }
        let rows = self.roles.iter().flat_map(ShownRole::rows);
        output::data(&output::table(
            &["role", "must sign", "key", "algorithm", "certificate"],
            rows.collect(),
        ));
    }
}

impl ShownRole {
    fn new(root: &Root, role: Role) -> Self {
        let quorum = root.quorum(role);
        let signers = quorum.signers().iter().map(ShownSigner::new);
        Self { role: role.to_string(), threshold: quorum.threshold(), signers: signers.collect() }
    }

    /// One for each key; the words about a role are in its first, those about a signer in the signer's first.
    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = self.signers.iter().flat_map(ShownSigner::rows).collect();
        if let Some(first) = rows.first_mut() {
            first[0].clone_from(&self.role);
            first[1] = format!("{} of {}", self.threshold, self.signers.len());
        }
        rows
    }
}

impl ShownSigner {
    fn new(signer: &Signer) -> Self {
        let keys = signer.keys().iter().map(|key| ShownKey { id: key.id(), algorithm: key.algorithm() });
        Self { keys: keys.collect(), certificate: signer.chain().map(|chain| chain.signer().subject()) }
    }

    /// A hybrid is one signer in two rows.
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |(index, key): (usize, &ShownKey)| {
            let (plus, certificate) =
                if index == 0 { ("", self.certificate.as_deref()) } else { ("+ ", None) };
            let (id, algorithm) = (format!("{plus}{}", key.id), key.algorithm.to_string());
            vec![String::new(), String::new(), id, algorithm, certificate.unwrap_or_default().to_owned()]
        };
        self.keys.iter().enumerate().map(row).collect()
    }
}

impl ShownDraft {
    fn new(draft: &Draft, before: Option<&Root>) -> Result<Self, BadRoot> {
        let root = draft.checked()?;
        let missing = draft.missing(before)?.into_iter().map(|lacking| ShownMissing {
            version: lacking.version,
            valid: lacking.valid,
            threshold: lacking.threshold,
            words: words(&lacking),
            not_yet: lacking.of.iter().map(ShownSigner::new).collect(),
        });
        Ok(Self {
            version: root.version(),
            expires: root.expires(),
            signs: draft.message_digest()?,
            missing: missing.collect(),
            content: Content::new(&root),
        })
    }
}
