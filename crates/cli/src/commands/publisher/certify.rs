// SPDX-License-Identifier: Apache-2.0
//! `l3af publisher certify`: states with the key of a certificate that a root is an organisation's.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use package::PublisherName;
use trust::{CertifiedRoot, Chain, Pen, Root, RootCertification, SignedCertification};

use super::folder::{read, write};
use crate::arguments::publisher::Certify;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::signing_key::{self, Passphrase};

/// How the names of files with certifications end.
const SUFFIX: &str = ".certification.json";

pub(super) fn run(arguments: &Certify, environment: Option<&Passphrase>) -> Outcome {
    let Certify { root: file, certificates, .. } = arguments;
    let root = Root::pinned(&read(file)?)
        .map_err(|bad| Failure::new(format!("`{}` is refused: {bad}", file.display())))?;
    let publisher = publisher(&root, arguments)?;
    let text = fs::read_to_string(certificates)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", certificates.display())))?;
    let chain = Chain::from_pem(&text)
        .map_err(|bad| Failure::new(format!("`{}` is refused: {bad}", certificates.display())))?;
    let pen = pen(&chain, arguments.pen)?;
    let keys = signing_key::open(&arguments.key, &arguments.passphrase.passphrases(environment))?;
    let certified = chain.signer().key()?;
    // One half of a hybrid may be what is certified.
    let key = keys.iter().find(|key| *key.public() == certified).ok_or_else(|| {
        Failure::new(format!("the certificate of `{}` is for another key", chain.signer().subject()))
            .with_hint(format!("it is for the key {}", certified.id()))
    })?;
    let created = Timestamp::from_second(Timestamp::now().as_second())?;
    let life = arguments.expires_in_days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
    let expires = life.map(|life| created.checked_add(life)).transpose()?;
    let stated =
        RootCertification { publisher: publisher.clone(), pen, root: root.digest(), created, expires };
    let signed = stated.sign(key.as_ref(), chain)?;
    let certified = check(&signed, &publisher, &[&root])?;
    let output = arguments.output.clone().unwrap_or_else(|| beside(file));
    write(&output, &signed.to_json(), |made, file| made.persist(file))?;
    output::note(&format!(
        "version {} of `{publisher}` is certified for {}",
        root.version(),
        words(&certified)
    ));
    output::note(&format!("`{}` goes with packages by `l3af sign --roots` and `attach`", output.display()));
    output::data(&pen.number().to_string());
    Ok(())
}

/// The certifications that lie in a folder, by file.
pub(super) fn all(folder: &Path) -> Result<Vec<(PathBuf, SignedCertification)>, Failure> {
    let unread = |error| Failure::new(format!("cannot read `{}`: {error}", folder.display()));
    let entries = fs::read_dir(folder).map_err(unread)?.collect::<Result<Vec<_>, _>>().map_err(unread)?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.to_str().is_some_and(|name| name.ends_with(SUFFIX)));
    files.sort();
    let certification = |file: PathBuf| {
        let refused = |bad| Failure::new(format!("`{}` is refused: {bad}", file.display()));
        let certification = SignedCertification::parse(&read(&file)?).map_err(refused)?;
        Ok((file, certification))
    };
    files.into_iter().map(certification).collect()
}

/// Holds a certification against these versions of a root, as machines do. Which authorities they trust, only they know: the
/// last one that the chain names stands in for them.
pub(super) fn check(
    certification: &SignedCertification,
    publisher: &PublisherName,
    roots: &[&Root],
) -> Result<CertifiedRoot, trust::BadCertification> {
    let digests: Vec<_> = roots.iter().map(|root| root.digest()).collect();
    let top = certification.chain().certificates().last().cloned();
    certification.check(publisher, &digests, top.as_slice(), Timestamp::now())
}

/// For whom a root is certified, by whom, and until when.
pub(super) fn words(certified: &CertifiedRoot) -> String {
    let until = certified.certified().until();
    let until = certified.stated().expires.map_or(until, |expires| expires.min(until));
    format!("{} by `{}` until {until}", certified.pen(), certified.certified().subject())
}

fn publisher(root: &Root, arguments: &Certify) -> Result<PublisherName, Failure> {
    match (root.publisher(), &arguments.publisher) {
        (Some(own), Some(given)) if own != given => Err(Failure::new(format!(
            "`{}` is the root of `{own}`, not of `{given}`",
            arguments.root.display()
        ))),
        (Some(publisher), _) | (None, Some(publisher)) => Ok(publisher.clone()),
        (None, None) => {
            Err(Failure::new(format!("`{}` does not say whose root it is", arguments.root.display()))
                .with_hint("say it with `--publisher`"))
        }
    }
}

/// The number to certify for: the one that was given, else the only one of the certificate.
fn pen(chain: &Chain, given: Option<Pen>) -> Result<Pen, Failure> {
    let (signer, pens) = (chain.signer(), chain.signer().pens());
    let below: Vec<String> = pens.iter().map(ToString::to_string).collect();
    output::note(&format!(
        "the certificate of `{}` has identifiers below {}",
        signer.subject(),
        if below.is_empty() { "no organisation's number".to_owned() } else { below.join(", ") }
    ));
    match (given, pens.first()) {
        (Some(pen), _) => Ok(pen),
        (None, Some(only)) if pens.len() == 1 => Ok(*only),
        (None, Some(_)) => Err(Failure::new("it has several Private Enterprise Numbers")
            .with_hint("say with `--pen` which one is meant")),
        (None, None) => Err(Failure::new("the certificate proves no Private Enterprise Number").with_hint(
            "it needs a certificate policy or an extended key usage below 1.3.6.1.4.1.NUMBER; ask its authority",
        )),
    }
}

/// `1.root.certification.json` beside `1.root.json`.
fn beside(root: &Path) -> PathBuf {
    let stem = root.file_stem().unwrap_or_default().to_string_lossy();
    root.with_file_name(format!("{stem}{SUFFIX}"))
}
