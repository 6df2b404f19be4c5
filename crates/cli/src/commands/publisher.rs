// SPDX-License-Identifier: Apache-2.0
//! `l3af publisher`: makes, signs and shows the versions of a publisher's root.

mod certify;
mod folder;
mod jobs;
mod show;

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use package::{Referrer, ReferrerKind};
use trust::{BadEdit, BadRoot, Draft, Role, Root, Sign, Signer};

use self::folder::Folder;
use super::hub::{client, package, wait};
use super::key::signer;
use crate::arguments::publisher::{
    AddKey, Attach, Init, Making, Publisher, Register, RemoveKey, Rotate, SetPrice, SignRoot,
};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::package_source::PackageSource;
use crate::signing_key::{self, Passphrase, Passphrases, Reference};

pub(crate) fn run(command: &Publisher, environment: Option<&Passphrase>) -> Outcome {
    match command {
        Publisher::Init(arguments) => init(arguments, environment),
        Publisher::AddKey(arguments) => add_key(arguments, environment),
        Publisher::RemoveKey(arguments) => remove_key(arguments, environment),
        Publisher::Rotate(arguments) => rotate(arguments, environment),
        Publisher::Sign(arguments) => sign(arguments, environment),
        Publisher::Show(arguments) => show::run(arguments),
        Publisher::Certify(arguments) => certify::run(arguments, environment),
        Publisher::Attach(arguments) => attach(arguments),
        Publisher::Register(arguments) => register(arguments),
        Publisher::Trust(arguments) => jobs::add(arguments),
        Publisher::Trusted(arguments) => jobs::list(arguments),
        Publisher::Distrust(arguments) => jobs::remove(arguments),
        Publisher::Price(arguments) => price(arguments),
    }
}

fn price(arguments: &SetPrice) -> Outcome {
    let repository = package(&arguments.package)?;
    let hub = client(repository.host(), &arguments.logins)?;
    wait(hub.set_price(repository, arguments.price().as_ref()))
}

/// What goes with packages of a folder: all versions of the root, and certifications of them.
pub(crate) fn referrers(path: &Path) -> Result<Vec<Referrer>, Failure> {
    let folder = Folder::open(path)?;
    folder.newest()?;
    let roots = folder.versions().iter().map(|root| root.text().as_bytes().to_vec());
    let roots = roots.map(|bytes| Referrer { kind: ReferrerKind::Root, bytes });
    // A certification is a statement, as an endorsement is.
    let certifications = certify::all(path)?.into_iter();
    let certifications = certifications
        .map(|(_, certification)| Referrer { kind: ReferrerKind::Statement, bytes: certification.to_json() });
    Ok(roots.chain(certifications).collect())
}

fn init(arguments: &Init, environment: Option<&Passphrase>) -> Outcome {
    let folder = Folder::make(&arguments.making.folder.folder)?;
    let signers =
        |files: &[PathBuf]| files.iter().map(|file| public(file)).collect::<Result<Vec<_>, Failure>>();
    let (root, release) = (signers(&arguments.root)?, signers(&arguments.release)?);
    let draft = Draft::first(&arguments.name, expiry(&arguments.making)?, &root, &release);
    let mut draft = draft.map_err(unfit)?;
    draft.set_threshold(Role::Root, arguments.root_threshold).map_err(unfit)?;
    draft.set_threshold(Role::Release, arguments.release_threshold).map_err(unfit)?;
    finish(&folder, draft, &arguments.making.key, &arguments.making.passphrase.passphrases(environment))
}

/// Registers all versions, oldest first; those that are there already are there.
fn register(arguments: &Register) -> Outcome {
    let folder = Folder::open(&arguments.folder.folder)?;
    folder.newest()?;
    let hub = client(&arguments.hub.hub, &arguments.hub.logins)?;
    for root in folder.versions() {
        let known = wait(hub.register_root(arguments.name.as_ref(), root.text().to_owned()))?;
        output::note(&format!("the hub has version {}", known.version));
        output::data(&known.digest);
    }
    Ok(())
}

fn add_key(arguments: &AddKey, environment: Option<&Passphrase>) -> Outcome {
    let key = public(&arguments.file)?;
    edit(&arguments.making, environment, |draft| {
        arguments.role.iter().try_for_each(|role| draft.add(*role, &key))?;
        set_thresholds(draft, &arguments.role, arguments.threshold)
    })
}

fn remove_key(arguments: &RemoveKey, environment: Option<&Passphrase>) -> Outcome {
    edit(&arguments.making, environment, |draft| {
        for role in roles_with(draft, &arguments.role, &arguments.key_id)? {
            draft.remove(role, &arguments.key_id)?;
        }
        set_thresholds(draft, &arguments.role, arguments.threshold)
    })
}

fn rotate(arguments: &Rotate, environment: Option<&Passphrase>) -> Outcome {
    let new = arguments.to.as_deref().map(public).transpose()?;
    edit(&arguments.making, environment, |draft| {
        if let (Some(from), Some(new)) = (&arguments.from, &new) {
            for role in roles_with(draft, &arguments.role, from)? {
                // The new one comes first: a role is never without a key, nor below its threshold.
                draft.add(role, new)?;
                draft.remove(role, from)?;
            }
        }
        arguments.threshold.iter().try_for_each(|(role, count)| draft.set_threshold(*role, *count))
    })
}

fn sign(arguments: &SignRoot, environment: Option<&Passphrase>) -> Outcome {
    let folder = Folder::open(&arguments.folder.folder)?;
    let mut draft = folder.draft()?.ok_or_else(|| {
        Failure::new(format!("there is nothing to sign in `{}`", folder.path().display()))
            .with_hint("`l3af publisher rotate` and its kin make a draft of the next version")
    })?;
    for file in &arguments.from {
        let gathered = draft.gather(&folder.copy(file)?);
        gathered.map_err(|error| Failure::new(format!("`{}` is of no use: {error}", file.display())))?;
    }
    finish(&folder, draft, &arguments.key, &arguments.passphrase.passphrases(environment))
}

fn attach(arguments: &Attach) -> Outcome {
    let path = &arguments.folder.folder;
    let (folder, referrers) = (Folder::open(path)?, referrers(path)?);
    let roots = folder.versions();
    for place in &arguments.packages {
        let source = PackageSource::open(place, &arguments.logins)?;
        let publisher = source.package()?.manifest.package.publisher;
        if let Some(other) = roots.iter().filter_map(Root::publisher).find(|other| **other != publisher) {
            let problem = format!("`{}` is of `{publisher}`, and the root of `{other}`", place.display());
            return Err(Failure::new(problem).with_hint("`--folder` names the folder of another root"));
        }
        referrers.iter().try_for_each(|referrer| source.keep(referrer))?;
        output::note(&format!("attached {} versions to `{}`", roots.len(), place.display()));
    }
    Ok(())
}

/// Changes the draft, or begins one of the next version. Nothing is written before all of it has worked.
fn edit(
    making: &Making,
    environment: Option<&Passphrase>,
    change: impl FnOnce(&mut Draft) -> Result<(), BadEdit>,
) -> Outcome {
    let folder = Folder::open(&making.folder.folder)?;
    let expires = expiry(making)?;
    let mut draft = match folder.draft()? {
        Some(mut draft) => {
            output::note("the draft changes, so everybody must sign it anew");
            draft.set_expiry(expires)?;
            draft
        }
        None => Draft::after(folder.newest()?, expires),
    };
    let before = thresholds(&draft)?;
    change(&mut draft).map_err(unfit)?;
    for ((role, before), (_, after)) in before.into_iter().zip(thresholds(&draft)?) {
        if after != before {
            output::note(&format!(
                "{after} of the role `{role}` must sign from now on, in place of {before}"
            ));
        }
    }
    finish(&folder, draft, &making.key, &making.passphrase.passphrases(environment))
}

fn finish(folder: &Folder, mut draft: Draft, keys: &[Reference], passphrases: &Passphrases) -> Outcome {
    let keys = keys.iter().map(|key| signing_key::open(key, passphrases));
    let keys = keys.collect::<Result<Vec<_>, Failure>>()?.into_iter().flatten().collect::<Vec<_>>();
    let signers: Vec<&dyn Sign> = keys.iter().map(Box::as_ref).collect();
    draft.sign(folder.versions().last(), &signers)?;
    folder.keep(&draft)
}

fn public(file: &Path) -> Result<Signer, Failure> {
    const HINT: &str = "a root has public keys: `l3af key new FILE` makes FILE.pub";
    signer(file).map_err(|failure| failure.with_hint(HINT))
}

fn expiry(making: &Making) -> Result<Timestamp, Failure> {
    let days = SignedDuration::from_hours(i64::from(making.expires_in_days) * 24);
    Ok(Timestamp::now().checked_add(days)?)
}

fn thresholds(draft: &Draft) -> Result<[(Role, usize); 2], BadRoot> {
    let root = draft.checked()?;
    Ok(Role::ALL.map(|role| (role, root.quorum(role).threshold())))
}

fn set_thresholds(draft: &mut Draft, roles: &[Role], threshold: Option<usize>) -> Result<(), BadEdit> {
    let Some(threshold) = threshold else { return Ok(()) };
    roles.iter().try_for_each(|role| draft.set_threshold(*role, threshold))
}

/// The roles that were asked for, or all in which there is a key that begins like this.
fn roles_with(draft: &Draft, asked: &[Role], key: &str) -> Result<Vec<Role>, BadEdit> {
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    let root = draft.checked()?;
    let has = |role: &Role| {
        let ids = root.quorum(*role).signers().iter().flat_map(Signer::ids);
        ids.into_iter().any(|id| id.to_string().starts_with(key))
    };
    let found: Vec<Role> = Role::ALL.into_iter().filter(has).collect();
    if found.is_empty() {
        return Err(BadEdit::NoKey { role: Role::Root, key: key.to_owned() });
    }
    Ok(found)
}

/// Why an edit is refused, with what to do about it.
fn unfit(bad: BadEdit) -> Failure {
    let hint = match &bad {
        BadEdit::Root(BadRoot::Quorum { .. }) => Some(
            "a role has at least as many signers as must sign; add a key first (`add-key`), or lower `--threshold`",
        ),
        BadEdit::NoKey { .. } | BadEdit::Ambiguous { .. } => Some("`l3af publisher show` lists the keys"),
        BadEdit::Root(_) | BadEdit::Sign(_) | BadEdit::Other | BadEdit::NoSigner { .. } => None,
    };
    let failure = Failure::from(bad);
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
