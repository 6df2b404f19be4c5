// SPDX-License-Identifier: Apache-2.0
//! Whether one statement holds for a release on a machine.

use std::collections::BTreeSet;

use package::Digest;

use super::authority::Authority;
use super::{Circumstances, Mismatch, Occasion, Refused};
use crate::explain::{Rule, Trail};
use crate::found::Found;
use crate::in_toto::Statement;
use crate::release::{Release, ReleasePlatform};
use crate::{Envelope, KeyId, SignedCertification, Signer};

/// What is asked of each statement.
pub(super) struct Examination<'a> {
    pub(super) found: &'a Found,
    pub(super) authority: &'a Authority,
    pub(super) at: &'a Circumstances<'a>,
}

/// Who signed a statement that holds.
pub(super) struct Signed {
    pub(super) keys: BTreeSet<KeyId>,
    pub(super) envelope: Digest,
}

impl Examination<'_> {
    /// The first statement that holds.
    pub(super) fn first_that_holds(
        &self,
        envelopes: &[Vec<u8>],
        trail: &mut Trail,
    ) -> Result<(Signed, Release), Refused> {
        let package = || self.found.package.clone();
        let mut mismatches = Vec::new();
        // A certification speaks of the root, and was looked at with it.
        for bytes in envelopes.iter().filter(|bytes| !SignedCertification::is_one(bytes)) {
            trail.turn_to(Digest::of(bytes));
            match self.holds(bytes, trail) {
                Ok(held) => return Ok(held),
                Err(mismatch) => mismatches.push(mismatch),
            }
        }
        trail.turn_back();
        if mismatches.is_empty() {
            let none = Err(Refused::NoStatement { package: package() });
            return trail.rule(Rule::Envelope, "no statement", none);
        }
        Err(Refused::NoneHolds { package: package(), mismatches })
    }

    fn holds(&self, bytes: &[u8], trail: &mut Trail) -> Result<(Signed, Release), Mismatch> {
        let size = format!("{} bytes", bytes.len());
        let envelope = trail.rule(Rule::Envelope, size, Envelope::parse(bytes))?;
        let eligible = |signer: &Signer| self.authority.counts(signer, self.at);
        let claimed = format!("{} signatures", envelope.claimed_keys().len());
        let verified =
            trail.rule(Rule::Signatures, claimed, envelope.verify(&self.authority.quorum, eligible))?;
        let statement =
            trail.rule(Rule::Statement, "what was signed", Statement::<Release>::parse(&verified))?;
        trail.rule(Rule::Release, self.found, self.check_release(&statement))?;
        let entry = trail.rule(Rule::PlatformEntry, &self.found.entry.platform, self.entry(&statement))?;
        let count = format!("{} files", self.found.entry.files.len());
        trail.rule(Rule::Files, count, self.check_files(entry))?;
        trail.rule(Rule::Subjects, self.found, self.check_subjects(&statement))?;
        let stated = &statement.predicate;
        trail.rule(Rule::Created, stated.created, self.check_created(stated))?;
        self.check_expiry(stated, trail)?;
        self.check_pen(stated, verified.keys(), trail)?;
        Ok((Signed { keys: verified.keys().clone(), envelope: Digest::of(bytes) }, statement.predicate))
    }

    fn check_release(&self, statement: &Statement<Release>) -> Result<(), Mismatch> {
        let (stated, found) = (&statement.predicate, self.found);
        let pairs = [
            ("publisher", stated.publisher.to_string(), found.publisher.to_string()),
            ("package", stated.package.to_string(), found.package.to_string()),
            ("version", stated.version.to_string(), found.version.to_string()),
            ("index", digest(stated.index), digest(found.index)),
        ];
        for (what, stated, found) in pairs {
            if stated != found {
                return Err(Mismatch::Other { what, stated, found });
            }
        }
        Ok(())
    }

    fn entry<'s>(&self, statement: &'s Statement<Release>) -> Result<&'s ReleasePlatform, Mismatch> {
        let found = &self.found.entry;
        let entries = statement.predicate.platforms.iter().filter(|entry| entry.platform == found.platform);
        let entries: Vec<_> = entries.collect();
        let [stated] = entries.as_slice() else {
            return Err(Mismatch::Platform { machine: found.platform.clone(), count: entries.len() });
        };
        if stated.format != found.format {
            let (stated, found) = (stated.format, found.format);
            return Err(Mismatch::Format { stated, found });
        }
        if stated.manifest != found.manifest {
            let (stated, found) = (digest(stated.manifest), digest(found.manifest));
            return Err(Mismatch::Other { what: "image manifest", stated, found });
        }
        Ok(stated)
    }

    /// The subjects are what other tools look at: they must speak of the same.
    fn check_subjects(&self, statement: &Statement<Release>) -> Result<(), Mismatch> {
        match self.found.subjects().find(|digest| !statement.is_about(digest)) {
            Some(missing) => Err(Mismatch::Subject { missing: *missing }),
            None => Ok(()),
        }
    }

    /// Every file that is there was signed, and every file that was signed is there.
    fn check_files(&self, stated: &ReleasePlatform) -> Result<(), Mismatch> {
        let found = &self.found.entry;
        for (path, digest) in &found.files {
            if stated.files.get(path) != Some(digest) {
                return Err(Mismatch::File { path: path.clone() });
            }
        }
        if let Some(path) = stated.files.keys().find(|path| !found.files.contains_key(*path)) {
            return Err(Mismatch::MissingFile { path: path.clone() });
        }
        if stated.hooks != found.hooks {
            let list = |hooks: &BTreeSet<package::ProgramKind>| {
                hooks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            };
            let (stated, found) = (list(&stated.hooks), list(&found.hooks));
            return Err(Mismatch::Other { what: "the hooks", stated, found });
        }
        Ok(())
    }

    fn check_created(&self, stated: &Release) -> Result<(), Mismatch> {
        if stated.created > self.at.latest() {
            Err(Mismatch::Future { created: stated.created })
        } else {
            Ok(())
        }
    }

    fn check_expiry(&self, stated: &Release, trail: &mut Trail) -> Result<(), Mismatch> {
        let Some(expires) = stated.expires else {
            trail.skipped(Rule::Expiry, "no time", "the statement does not expire");
            return Ok(());
        };
        if self.at.occasion == Occasion::Continuation {
            trail.skipped(Rule::Expiry, expires, "it was accepted before");
            return Ok(());
        }
        let is_over = expires <= self.at.time();
        let result = if is_over { Err(Mismatch::Expired { expired: expires }) } else { Ok(()) };
        trail.rule(Rule::Expiry, expires, result)
    }

    /// A number that is claimed must be proven by the certificates of all who signed, or by a certification of the root that
    /// names them; one that is demanded must be claimed.
    fn check_pen(&self, stated: &Release, keys: &BTreeSet<KeyId>, trail: &mut Trail) -> Result<(), Mismatch> {
        let wanted = self.authority.pen;
        let Some(claimed) = stated.pen else {
            let Some(wanted) = wanted else {
                trail.skipped(Rule::Pen, "no number", "none is claimed, and none is demanded");
                return Ok(());
            };
            return trail.rule(Rule::Pen, "no number", Err(Mismatch::NoPen { wanted }));
        };
        let result = match wanted.filter(|wanted| *wanted != claimed) {
            Some(wanted) => Err(Mismatch::OtherPen { claimed, wanted }),
            None => self
                .authority
                .proves(claimed, keys, self.at)
                .map_err(|why| Mismatch::UnprovenPen { claimed, why }),
        };
        let looked_at = match &result {
            Ok(proof) => format!("{claimed}, by {proof}"),
            Err(_) => claimed.to_string(),
        };
        trail.rule(Rule::Pen, looked_at, result).map(drop)
    }
}

fn digest(digest: Option<Digest>) -> String {
    digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string())
}
