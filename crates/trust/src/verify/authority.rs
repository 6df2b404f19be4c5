// SPDX-License-Identifier: Apache-2.0
//! Who may sign for a release on this machine: its publisher, for what the policy trusts them.

use std::collections::BTreeSet;

use package::{Digest, PublisherName};

use super::certification::{Proof, certifications};
use super::{Circumstances, Discount, Evidence, Occasion, Refused};
use crate::endorsement::{Endorsed, Endorsement};
use crate::explain::{Rule, Trail, with_causes};
use crate::found::Found;
use crate::in_toto::Statement;
use crate::policy::{Anchor, Endorser, Publisher};
use crate::{
    BadCertification, BadRoot, Certificate, Certified, CertifiedRoot, Envelope, Family, KeyId, Pen,
    PublicKey, Quorum, Review, Role, Root, Signer, VerifiedPayload,
};

/// Who may sign, and what is asked of their keys.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) quorum: Quorum,
    /// The versions of the root that name them, oldest first; none where the policy names their keys.
    pub(super) roots: Vec<Root>,
    require: BTreeSet<Family>,
    authorities: Vec<Certificate>,
    /// What became of the certifications of the root.
    certifications: Vec<Result<CertifiedRoot, BadCertification>>,
    pub(super) pen: Option<Pen>,
    /// Who speaks for the publisher, where the policy does not name them.
    pub(super) endorser: Option<PublisherName>,
}

impl Authority {
    /// Finds out who may sign, when what they sign is theirs to publish here.
    pub(super) fn over(
        found: &Found,
        evidence: &Evidence,
        at: &Circumstances<'_>,
        trail: &mut Trail,
    ) -> Result<Self, Refused> {
        let Some(publisher) = at.policy.publisher(&found.publisher) else {
            return Self::endorsed(found, evidence, at, trail);
        };
        trail.passed(Rule::Publisher, &found.publisher);
        trail.rule(Rule::Package, &found.package, theirs(publisher, found))?;
        trail.rule(Rule::PublisherPlatform, &found.entry.platform, on_platform(publisher, found))?;
        trail.rule(Rule::Hooks, hooks(found), at_hooks(publisher, found))?;
        user_privileges(Some(publisher), found, trail)?;
        minimum_version(Some(publisher), found, at, trail)?;
        let (quorum, roots) = signers(&found.publisher, &publisher.anchor, (evidence, at), trail)?;
        let certifications = certifications(publisher, &roots, (evidence, at), trail);
        let Publisher { require, authorities, pen, .. } = publisher.clone();
        Ok(Self { quorum, roots, require, authorities, certifications, pen, endorser: None })
    }

    /// A publisher whom the policy does not name, for whom an endorser speaks whom it names.
    fn endorsed(
        found: &Found,
        evidence: &Evidence,
        at: &Circumstances<'_>,
        trail: &mut Trail,
    ) -> Result<Self, Refused> {
        let speaks = at.policy.endorsers.iter().find_map(|endorser| {
            let said = endorsements(endorser, found, evidence, at).into_iter();
            let mut roots = said.filter_map(|endorsement| match endorsement.endorses {
                Endorsed::Publisher { root, .. } => Some(root),
                Endorsed::Release { .. } => None,
            });
            roots.next().map(|root| (endorser.name.clone(), root))
        });
        let unknown = || Refused::UnknownPublisher { publisher: found.publisher.clone() };
        let (endorser, root) = trail.rule(Rule::Publisher, &found.publisher, speaks.ok_or_else(unknown))?;
        user_privileges(None, found, trail)?;
        minimum_version(None, found, at, trail)?;
        let anchor = Anchor::RootDigest(root);
        let (quorum, roots) = signers(&found.publisher, &anchor, (evidence, at), trail)?;
        // Authorities are named for a publisher: those of others say nothing here, and so no certification does.
        let (require, authorities, certifications) = (BTreeSet::new(), Vec::new(), Vec::new());
        Ok(Self { quorum, roots, require, authorities, certifications, pen: None, endorser: Some(endorser) })
    }

    /// Whether what somebody signs counts for this publisher.
    pub(super) fn counts(&self, signer: &Signer, at: &Circumstances<'_>) -> Result<(), Discount> {
        at.policy.counts(signer)?;
        if let Some(family) = self.require.iter().find(|family| !signer.is_of(**family)) {
            return Err(Discount::Family(*family));
        }
        if self.authorities.is_empty() {
            return Ok(());
        }
        match self.pen {
            None => self.certified(signer, at).map(drop),
            Some(pen) => self.root_proves(pen).or_else(|root| self.key_proves(pen, signer, at, &root)),
        }
    }

    /// What proves a number for those who signed with these keys.
    pub(super) fn proves(
        &self,
        pen: Pen,
        keys: &BTreeSet<KeyId>,
        at: &Circumstances<'_>,
    ) -> Result<Proof, Discount> {
        let Err(root) = self.root_proves(pen) else { return Ok(Proof::Root) };
        let signers = self.quorum.signers().iter();
        let mut signed = signers.filter(|signer| signer.ids().all(|key| keys.contains(&key)));
        signed.try_for_each(|signer| self.key_proves(pen, signer, at, &root))?;
        Ok(Proof::Keys)
    }

    /// Whether a certification of the root is for a number; if none is, why not, as far as there are any.
    fn root_proves(&self, pen: Pen) -> Result<(), Vec<String>> {
        let mut refused = Vec::new();
        for certification in &self.certifications {
            match certification {
                Ok(certified) => match certified.demand(pen) {
                    Ok(()) => return Ok(()),
                    Err(bad) => refused.push(bad.to_string()),
                },
                Err(bad) => refused.push(with_causes(bad)),
            }
        }
        Err(refused)
    }

    /// Whether a certificate of one of a signer's keys proves a number, where no certification of the root does.
    fn key_proves(
        &self,
        pen: Pen,
        signer: &Signer,
        at: &Circumstances<'_>,
        root: &[String],
    ) -> Result<(), Discount> {
        let certified = self.certified(signer, at);
        let demanded =
            |certified: Certified| certified.demand(pen).map_err(|bad| Discount::Certificate(Box::new(bad)));
        certified.and_then(demanded).map_err(|key| {
            if root.is_empty() {
                key
            } else {
                Discount::Uncertified { key: Box::new(key), root: root.join("; ") }
            }
        })
    }

    /// What an authority that is trusted says of one of the keys.
    fn certified(&self, signer: &Signer, at: &Circumstances<'_>) -> Result<Certified, Discount> {
        let chain = signer.chain().ok_or(Discount::NoCertificate)?;
        let check = |key: &PublicKey| match at.occasion {
            Occasion::Deployment => chain.check(key, &self.authorities, at.time()),
            Occasion::Continuation => chain.check_continued(key, &self.authorities, at.time()),
        };
        // It certifies one of the keys of a hybrid; of several refusals that of the first key tells most.
        let mut checked = signer.keys().iter().map(check);
        let first = checked.next().expect("a signer has a key");
        let held = first.or_else(|refused| checked.find_map(Result::ok).ok_or(refused));
        held.map_err(|bad| Discount::Certificate(Box::new(bad)))
    }
}

/// Those who sign for somebody now, and the versions of the root that say so. A newer version counts wherever it comes
/// from: it is signed by the one before.
fn signers(
    name: &PublisherName,
    anchor: &Anchor,
    (evidence, at): (&Evidence, &Circumstances<'_>),
    trail: &mut Trail,
) -> Result<(Quorum, Vec<Root>), Refused> {
    let refuse = |bad| Refused::Root { publisher: name.clone(), bad };
    let known = at.memory.roots(name).iter().map(String::as_bytes);
    let texts: Vec<&[u8]> = known.chain(evidence.roots.iter().map(Vec::as_slice)).collect();
    let pinned = match anchor {
        Anchor::Keys(quorum) => {
            trail.skipped(Rule::Root, name, "the policy names keys");
            return Ok((quorum.clone(), Vec::new()));
        }
        Anchor::Root(root) => Root::clone(root),
        Anchor::RootDigest(digest) => {
            let missing = || Refused::NoRoot { publisher: name.clone(), digest: *digest };
            let text = texts.iter().find(|text| Digest::of(text) == *digest);
            let text = trail.rule(Rule::Root, digest, text.ok_or_else(missing))?;
            trail.rule(Rule::Root, digest, Root::pinned(text).map_err(refuse))?
        }
    };
    if let Some(found) = pinned.publisher().filter(|publisher| *publisher != name) {
        return trail.rule(Rule::Root, name, Err(refuse(BadRoot::Foreign { found: found.clone() })));
    }
    let roots = pinned.walk(&texts);
    let newest = roots.last().expect("a walk begins with the pinned root");
    let (version, expired) = (newest.version(), newest.expires());
    let is_over = expired <= at.time() && at.occasion == Occasion::Deployment;
    let result = if is_over { Err(refuse(BadRoot::Expired { version, expired })) } else { Ok(()) };
    trail.rule(Rule::Root, format_args!("version {version}, which expires at {expired}"), result)?;
    Ok((newest.quorum(Role::Release).clone(), roots))
}

/// The endorser who speaks for a release from a public place, or for its publisher by the root that this is judged under.
pub(super) fn endorser(
    found: &Found,
    roots: &[Root],
    (evidence, at): (&Evidence, &Circumstances<'_>),
    trail: &mut Trail,
) -> Result<PublisherName, Refused> {
    let speaks = |endorsement: Endorsement| match endorsement.endorses {
        // Where the policy names keys, it is the policy that says who bears the name.
        Endorsed::Publisher { root, .. } => {
            roots.is_empty() || roots.iter().any(|version| version.digest() == root)
        }
        Endorsed::Release { .. } => true,
    };
    let spoke = |endorser: &&Endorser| endorsements(endorser, found, evidence, at).into_iter().any(speaks);
    let spoke = at.policy.endorsers.iter().find(spoke).map(|endorser| endorser.name.clone());
    let missing = || Refused::NotEndorsed {
        package: found.package.clone(),
        reference: evidence.fetched_from.clone().unwrap_or_default(),
    };
    trail.rule(Rule::Endorsement, found, spoke.ok_or_else(missing))
}

/// What an endorser says of a release, in time.
fn endorsements(
    endorser: &Endorser,
    found: &Found,
    evidence: &Evidence,
    at: &Circumstances<'_>,
) -> Vec<Endorsement> {
    let continues = at.occasion == Occasion::Continuation;
    let theirs = endorser.packages.iter().any(|packages| packages.matches(found.package.as_ref()));
    if !theirs || (endorser.until <= at.time() && !continues) {
        return Vec::new();
    }
    let signers = signers(&endorser.name, &endorser.anchor, (evidence, at), &mut Trail::default());
    let Ok((quorum, _)) = signers else { return Vec::new() };
    let said = evidence.envelopes.iter().filter_map(|bytes| {
        let envelope = Envelope::parse(bytes).ok()?;
        let verified = envelope.verify(&quorum, |signer| at.policy.counts(signer)).ok()?;
        let predicate = endorsement(&verified)?;
        let in_time = predicate.expires.is_none_or(|expires| at.time() < expires) || continues;
        let is_made = predicate.created <= at.latest();
        (in_time && is_made && predicate.covers(found)).then_some(predicate)
    });
    said.collect()
}

/// What an endorser signed, where it endorses something: an approving review does so for one release.
fn endorsement(verified: &VerifiedPayload<'_>) -> Option<Endorsement> {
    match Statement::<Endorsement>::parse(verified) {
        Ok(statement) => Some(statement.predicate),
        Err(_) => Statement::<Review>::parse(verified).ok()?.predicate.endorsement(),
    }
}

fn theirs(publisher: &Publisher, found: &Found) -> Result<(), Refused> {
    let (publisher_name, package) = (publisher.name.clone(), found.package.clone());
    if publisher.may_publish(&package) {
        Ok(())
    } else {
        Err(Refused::NotTheirs { publisher: publisher_name, package })
    }
}

fn on_platform(publisher: &Publisher, found: &Found) -> Result<(), Refused> {
    match &publisher.platforms {
        Some(platforms) if !platforms.contains(&found.entry.platform) => Err(Refused::PublisherPlatform {
            publisher: publisher.name.clone(),
            platform: found.entry.platform.clone(),
        }),
        Some(_) | None => Ok(()),
    }
}

fn hooks(found: &Found) -> String {
    let hooks: Vec<String> = found.entry.hooks.iter().map(ToString::to_string).collect();
    if hooks.is_empty() { "none that it names".to_owned() } else { hooks.join(", ") }
}

/// All hooks of a package must be permitted: whether a document uses one is decided later, and by somebody else.
fn at_hooks(publisher: &Publisher, found: &Found) -> Result<(), Refused> {
    let Some(permitted) = &publisher.hooks else { return Ok(()) };
    match found.entry.hooks.iter().find(|hook| !permitted.contains(hook)) {
        Some(hook) => Err(Refused::Hook {
            publisher: publisher.name.clone(),
            package: found.package.clone(),
            hook: *hook,
        }),
        None => Ok(()),
    }
}

/// A user program gets what the policy grants to the publisher by name; an endorser grants nothing. Most packages ask for
/// nothing, and are not asked.
fn user_privileges(publisher: Option<&Publisher>, found: &Found, trail: &mut Trail) -> Result<(), Refused> {
    if found.privileges.are_none() {
        return Ok(());
    }
    let granted = publisher.map(|publisher| publisher.user.clone()).unwrap_or_default();
    let result = found.privileges.beyond(&granted).map_or(Ok(()), |missing| {
        let (publisher, package) = (found.publisher.clone(), found.package.clone());
        Err(Refused::UserPrivileges { publisher, package, missing })
    });
    trail.rule(Rule::UserPrivileges, &found.privileges, result)
}

fn minimum_version(
    publisher: Option<&Publisher>,
    found: &Found,
    at: &Circumstances<'_>,
    trail: &mut Trail,
) -> Result<(), Refused> {
    if at.occasion == Occasion::Continuation {
        trail.skipped(Rule::MinimumVersion, &found.version, "it was accepted before");
        return Ok(());
    }
    let written = publisher.and_then(|publisher| publisher.minimum_versions.get(&found.package));
    let accepted = at.memory.version(&found.publisher, &found.package);
    let minimum = written.max(accepted);
    let result = match minimum {
        Some(minimum) if found.version < *minimum => Err(Refused::Version {
            package: found.package.clone(),
            version: found.version.clone(),
            minimum: minimum.clone(),
        }),
        Some(_) | None => Ok(()),
    };
    trail.rule(Rule::MinimumVersion, &found.version, result)
}
