// SPDX-License-Identifier: Apache-2.0
//! Who may do what: the roles that every hub has, and the policies of its administrator, in Cedar.
//!
//! What no policy permits is denied, and what one forbids is denied whatever others permit. An answer depends on nothing but
//! the policies and what a [`Question`] says, so answers are kept by question for as long as the policies are these.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use cedar_policy::{Context, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use door::{Cause, Policies, Verdict};

use super::action::{Action, Resource};
use super::denied::Why;
use super::names::{MemberRole, Role};

/// What policies can speak of.
const SCHEMA: &str = include_str!("hub.cedarschema");
/// The policies that every hub has.
const ROLES: &str = include_str!("roles.cedar");
/// How many answers are kept.
const KEPT: usize = 8192;

pub use door::BadRules;

/// Policies that are valid.
pub(super) struct Rules {
    policies: Policies,
    /// The texts that were read, and those that could not be used when they were read again.
    texts: Vec<String>,
    refused: Mutex<Option<Vec<String>>>,
    answers: Mutex<BTreeMap<Question, Result<(), Why>>>,
}

/// All that an answer depends on, besides the policies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    /// Empty where nobody logged in.
    pub(super) handle: String,
    /// The role at the hub; none where nobody logged in.
    pub(super) role: Option<Role>,
    /// The role in the publisher that the resource belongs to.
    pub(super) member: Option<MemberRole>,
    pub(super) action: Action,
    pub(super) resource: Resource,
    /// Whether the resource is a repository that everybody may read.
    pub(super) public: bool,
}

impl Rules {
    /// The policies in files, besides those that every hub has.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, BadRules> {
        Self::made_of(files, texts(files)?)
    }

    /// The same, if the files say something that was not read before.
    pub(super) fn read_again(&self, files: &[PathBuf]) -> Result<Option<Self>, BadRules> {
        let texts = texts(files)?;
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if texts == self.texts {
            *refused = None;
            return Ok(None);
        }
        if refused.as_ref() == Some(&texts) {
            return Ok(None);
        }
        *refused = Some(texts.clone());
        Self::made_of(files, texts).map(Some)
    }

    fn made_of(files: &[PathBuf], texts: Vec<String>) -> Result<Self, BadRules> {
        let mut policies = Policies::shipped(SCHEMA, ROLES);
        for (path, text) in files.iter().zip(&texts) {
            policies.add(path, text)?;
        }
        Ok(Self { policies, texts, refused: Mutex::default(), answers: Mutex::default() })
    }

    /// Whether policies permit what is asked.
    pub(super) fn permit(&self, question: Question) -> Result<(), Why> {
        let known = || self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known().get(&question) {
            return answer.clone();
        }
        let answer = self.ask(&question).unwrap_or_else(|error| {
            tracing::error!(?question, "denied, as it cannot be asked: {error}");
            Err(Why::Unpermitted)
        });
        let mut answers = known();
        if answers.len() >= KEPT {
            answers.clear();
        }
        answers.insert(question, answer.clone());
        answer
    }

    fn ask(&self, question: &Question) -> Result<Result<(), Why>, Cause> {
        let asked = door::Question {
            principal: uid("Account", &question.handle),
            action: uid("Action", question.action.name()),
            resource: resource_uid(&question.resource),
            context: Context::empty(),
            entities: vec![account(question)?, resource_entity(question)?],
        };
        Ok(match self.policies.ask(asked)? {
            Verdict::Permitted => Ok(()),
            Verdict::Forbidden(policies) => Err(Why::Forbidden(policies)),
            Verdict::Unpermitted => Err(Why::Unpermitted),
        })
    }
}

fn texts(files: &[PathBuf]) -> Result<Vec<String>, BadRules> {
    let read = |path: &PathBuf| {
        fs::read_to_string(path).map_err(|source| BadRules::Unreadable { path: path.clone(), source })
    };
    files.iter().map(read).collect()
}

/// The caller, with its role and the teams of the publisher that it belongs to.
fn account(question: &Question) -> Result<Entity, Cause> {
    let role = question.role.map(|role| uid("Role", role.name()));
    let roles = question.member.map_or(&[][..], MemberRole::with_lesser);
    let publisher = question.resource.publisher().unwrap_or_default();
    let teams = roles.iter().map(|role| team(publisher, *role));
    let said = [("handle".to_owned(), text(&question.handle))].into();
    Ok(Entity::new(uid("Account", &question.handle), said, role.into_iter().chain(teams).collect())?)
}

fn resource_entity(question: &Question) -> Result<Entity, Cause> {
    let mut said = BTreeMap::new();
    let mut parents = HashSet::new();
    if let Some(publisher) = question.resource.publisher() {
        for role in MemberRole::ALL {
            let team = RestrictedExpression::new_entity_uid(team(publisher, role));
            said.insert(format!("{}s", role.name()), team);
        }
    }
    match &question.resource {
        Resource::Hub => {}
        Resource::Publisher(name) => {
            said.insert("name".to_owned(), text(name));
        }
        Resource::Repository(place) => {
            said.insert("publisher".to_owned(), text(&place.publisher));
            said.insert("name".to_owned(), text(&place.repository));
            said.insert("public".to_owned(), RestrictedExpression::new_bool(question.public));
            parents.insert(uid("Publisher", &place.publisher));
        }
    }
    Ok(Entity::new(resource_uid(&question.resource), said.into_iter().collect(), parents)?)
}

fn resource_uid(resource: &Resource) -> EntityUid {
    match resource {
        Resource::Hub => uid("Hub", "hub"),
        Resource::Publisher(name) => uid("Publisher", name),
        Resource::Repository(place) => uid("Repository", &place.to_string()),
    }
}

fn team(publisher: &str, role: MemberRole) -> EntityUid {
    uid("Team", &format!("{publisher}/{}", role.name()))
}

fn uid(kind: &'static str, id: &str) -> EntityUid {
    let kind: EntityTypeName = kind.parse().expect("it is a name of the schema");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::action::Place;
    use super::*;

    fn read(policies: &str) -> Result<Rules, BadRules> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.cedar");
        fs::write(&file, policies).unwrap();
        Rules::read(&[file])
    }

    fn repository() -> Resource {
        Resource::Repository(Place { publisher: "acme".to_owned(), repository: "top".to_owned() })
    }

    fn question(
        role: Option<Role>,
        member: Option<MemberRole>,
        action: Action,
        resource: Resource,
    ) -> Question {
        let handle = role.map(|_| "alice".to_owned()).unwrap_or_default();
        Question { handle, role, member, action, resource, public: false }
    }

    /// What somebody may do at all, in the order of actions.
    fn permitted(rules: &Rules, role: Option<Role>, member: Option<MemberRole>) -> String {
        let resource = |action| match action {
            Action::Manage => Resource::Publisher("acme".to_owned()),
            Action::Browse | Action::Found | Action::Administer => Resource::Hub,
            Action::Pull
            | Action::Inspect
            | Action::Push
            | Action::Delete
            | Action::Publish
            | Action::Review
            | Action::Yank
            | Action::Rate => repository(),
        };
        let may = |action: &Action| rules.permit(question(role, member, *action, resource(*action))).is_ok();
        Action::ALL.into_iter().filter(may).map(Action::name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_role_may_do_what_the_manual_says() {
        let rules = Rules::read(&[]).unwrap();
        let everything = Action::ALL.map(Action::name).join(" ");
        let reader = Some(Role::Reader);
        for (role, member, may) in [
            (None, None, "browse"),
            (reader, None, "browse"),
            (Some(Role::Contributor), None, "browse found"),
            (Some(Role::Reviewer), None, "pull inspect review browse"),
            (Some(Role::Administrator), None, everything.as_str()),
            (reader, Some(MemberRole::Reader), "pull browse"),
            (reader, Some(MemberRole::Contributor), "pull inspect push publish browse"),
            (reader, Some(MemberRole::Reviewer), "pull inspect review browse"),
            (reader, Some(MemberRole::Owner), "pull inspect push delete publish review yank manage browse"),
        ] {
            assert_eq!(permitted(&rules, role, member), may, "{role:?} {member:?}");
        }
    }

    #[test]
    fn what_is_public_everybody_may_pull_and_nothing_else() {
        let rules = Rules::read(&[]).unwrap();
        let ask =
            |action| rules.permit(Question { public: true, ..question(None, None, action, repository()) });
        assert_eq!(ask(Action::Pull), Ok(()));
        assert_eq!(ask(Action::Push), Err(Why::Unpermitted));
    }

    #[test]
    fn whoever_is_logged_in_rates_what_is_public_and_not_their_own() {
        let rules = Rules::read(&[]).unwrap();
        let rate = |role, member, public| {
            rules.permit(Question { public, ..question(role, member, Action::Rate, repository()) })
        };
        let reader = Some(Role::Reader);
        assert_eq!(rate(reader, None, true), Ok(()));
        assert_eq!(rate(reader, Some(MemberRole::Reader), true), Ok(()));
        for (role, member, public) in [(None, None, true), (reader, None, false)] {
            assert_eq!(rate(role, member, public), Err(Why::Unpermitted));
        }
        for member in [MemberRole::Contributor, MemberRole::Reviewer, MemberRole::Owner] {
            let own = Err(Why::Forbidden(vec!["own-rating".to_owned()]));
            assert_eq!(rate(Some(Role::Administrator), Some(member), true), own);
        }
    }

    #[test]
    fn own_policies_forbid_by_name_and_permit_more() {
        let rules = read(
            r#"@id("frozen") forbid (principal, action == Action::"push", resource in Publisher::"acme")
            unless { principal in Role::"administrator" };
            permit (principal == Account::"alice", action == Action::"administer", resource);"#,
        )
        .unwrap();
        let owner = |action| question(Some(Role::Reader), Some(MemberRole::Owner), action, repository());
        assert_eq!(rules.permit(owner(Action::Push)), Err(Why::Forbidden(vec!["frozen".to_owned()])));
        assert_eq!(rules.permit(owner(Action::Delete)), Ok(()));
        let administer = question(Some(Role::Reader), None, Action::Administer, Resource::Hub);
        assert_eq!(rules.permit(administer), Ok(()));
    }

    #[test]
    fn an_answer_is_kept_for_its_question_only() {
        let rules = Rules::read(&[]).unwrap();
        let ask =
            |public| rules.permit(Question { public, ..question(None, None, Action::Pull, repository()) });
        for _ in 0..2 {
            assert_eq!((ask(true), ask(false)), (Ok(()), Err(Why::Unpermitted)));
        }
        assert_eq!(rules.answers.lock().unwrap().len(), 2);
    }

    #[test]
    fn what_speaks_of_nothing_in_the_schema_is_refused() {
        for (policies, words) in [
            ("permit (principal, action, resource", "unexpected end of input"),
            ("permit (principal, action == Action::\"puhs\", resource);", "unrecognized action"),
            ("permit (principal, action, resource) when { resource.public };", "attribute `public`"),
            ("permit (principal == ?principal, action, resource);", "a template"),
        ] {
            let refused = read(policies).map(drop).unwrap_err();
            let told = std::error::Error::source(&refused).unwrap().to_string();
            assert!(told.contains(words), "{told}");
        }
    }
}
