// SPDX-License-Identifier: Apache-2.0
//! What a test needs of the engine: the package, verified as for a run. Nothing of it becomes desired, and the test itself goes on
//! without the engine.

use wire::{ChainDocument, Document, MemberDocument, TestWish};

use super::{BadMapCall, Engine};
use crate::resolve::Demand;
use crate::testing::Candidate;
use crate::{Fetched, Rejected};

impl Engine {
    /// The program that a test names.
    ///
    /// # Errors
    /// When its package is not trusted, or has no such program.
    pub(crate) fn candidate(&mut self, wish: &TestWish, fetched: &Fetched) -> Result<Candidate, Rejected> {
        let document = document_of(wish);
        let policy = self.policy_for(&document, Demand::New)?;
        let resolved = self.resolve(&document, &policy, Demand::New, fetched);
        // Whoever tests knows nothing of the document.
        let resolved = resolved.map_err(|rejected| rejected.outside_of(MEMBER))?;
        let member = resolved.desired.chains().values().flatten().next().cloned();
        let member = member.expect("the document has one member, and what is refused is refused");
        let name = member.spec().name.clone();
        let maps = self.interfaces.maps(member.verified(), &member.spec().function);
        let maps = maps.map_err(|source| BadMapCall::Unknown { member: name, source })?;
        Ok(Candidate { member, point: wish.hook, maps })
    }
}

/// Where the program is in the document.
const MEMBER: &str = "/chain/0/member/0";

/// A document that would have the program run, so that it is settled as one that will.
pub(crate) fn document_of(wish: &TestWish) -> Document {
    let mut chain = ChainDocument::new("lo".parse().expect("it is a name"), wish.hook);
    let name = "tested".parse().expect("it is a name");
    chain.members.push(MemberDocument {
        program: wish.program.clone(),
        config: wish.config.clone(),
        package: Some(wish.package.clone()),
        ..MemberDocument::named(name)
    });
    Document { chains: vec![chain], ..Document::default() }
}
