// SPDX-License-Identifier: Apache-2.0
//! What a token is for. A token never permits more than its account may do; its scopes permit less.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::action::{Action, Resource};

/// One thing that a token is for: `repository:acme/*:pull,push`, `api:read`, `api:write` or `admin`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Scope {
    /// Some verbs in the repositories whose names are like this.
    Repository {
        /// A name; `*` in it stands for any characters.
        like: String,
        verbs: BTreeSet<Verb>,
    },
    /// To read what the API tells of the caller.
    ReadApi,
    /// To change things through the API: reviews, members.
    WriteApi,
    /// To look after the hub.
    Admin,
}

/// What the OCI token protocol calls an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Pull,
    Push,
    Delete,
}

/// A text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` is no scope: it must be `repository:NAME:VERBS` (NAME may have `*`; VERBS are `pull`, `push`, `delete`, with \
     commas), `api:read`, `api:write` or `admin`"
)]
pub(crate) struct BadScope {
    given: String,
}

impl Verb {
    pub(crate) const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }

    /// What a verb is to policies.
    pub(crate) fn action(self) -> Action {
        match self {
            Self::Pull => Action::Pull,
            Self::Push => Action::Push,
            Self::Delete => Action::Delete,
        }
    }
}

impl Scope {
    /// Whether a token with this scope may be used so.
    pub(crate) fn admits(&self, action: Action, resource: &Resource) -> bool {
        let in_repository = |verb: Verb| match (self, resource) {
            (Self::Repository { like, verbs }, Resource::Repository(place)) => {
                verbs.contains(&verb) && is_like(&place.to_string(), like)
            }
            _ => false,
        };
        match action {
            Action::Pull => in_repository(Verb::Pull),
            Action::Inspect => in_repository(Verb::Pull) || in_repository(Verb::Push),
            Action::Push | Action::Publish => in_repository(Verb::Push),
            Action::Delete => in_repository(Verb::Delete),
            Action::Review | Action::Yank | Action::Rate | Action::Manage | Action::Found => {
                *self == Self::WriteApi
            }
            // Without any scope, as who did not log in.
            Action::Browse => false,
            Action::Administer => *self == Self::Admin,
        }
    }
}

/// Whether a text is like one in which `*` stands for any characters.
pub(super) fn is_like(text: &str, like: &str) -> bool {
    let Some((head, rest)) = like.split_once('*') else { return text == like };
    let Some(text) = text.strip_prefix(head) else { return false };
    // The shortest piece that fits leaves most to the rest.
    (0..=text.len()).any(|at| text.is_char_boundary(at) && is_like(&text[at..], rest))
}

/// A text, of the form that [`Scope::from_str`] reads.
impl PartialSchema for Scope {
    fn schema() -> RefOr<Schema> {
        const VERB: &str = "(pull|push|delete)";
        const NAME: &str = "[a-z0-9/_.-]";
        let repository = format!("repository:({NAME}{{1,100}}\\*?|\\*)(:{VERB}(,{VERB})*)");
        let pattern = format!("^({repository}|api:read|api:write|admin)$");
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
        text.examples(["repository:acme/*:pull,push", "api:read"]).into()
    }
}

impl ToSchema for Scope {}

impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        let bad = || BadScope { given: text.to_owned() };
        match text {
            "api:read" => return Ok(Self::ReadApi),
            "api:write" => return Ok(Self::WriteApi),
            "admin" => return Ok(Self::Admin),
            _ => {}
        }
        let (like, verbs) =
            text.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':')).ok_or_else(bad)?;
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"*/-_.".contains(&byte);
        // So many stars that trying is slow are of no use.
        let fits =
            (1..=255).contains(&like.len()) && like.bytes().all(is_name) && like.matches('*').count() <= 2;
        let verbs: Option<BTreeSet<Verb>> = verbs.split(',').map(Verb::named).collect();
        match verbs {
            Some(verbs) if fits => Ok(Self::Repository { like: like.to_owned(), verbs }),
            Some(_) | None => Err(bad()),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = BadScope;

    fn try_from(text: String) -> Result<Self, BadScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { like, verbs } => {
                let verbs: Vec<&str> = verbs.iter().map(|verb| verb.name()).collect();
                write!(f, "repository:{like}:{}", verbs.join(","))
            }
            Self::ReadApi => f.write_str("api:read"),
            Self::WriteApi => f.write_str("api:write"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::action::Place;
    use super::*;

    fn repository(name: &str) -> Resource {
        Resource::Repository(Place::of(name).unwrap())
    }

    #[test]
    fn a_scope_admits_its_verbs_in_its_repositories() {
        let scope: Scope = "repository:acme/net-*:pull,push".parse().unwrap();
        assert!(scope.admits(Action::Pull, &repository("acme/net-top")));
        assert!(scope.admits(Action::Push, &repository("acme/net-")));
        assert!(!scope.admits(Action::Delete, &repository("acme/net-top")));
        assert!(!scope.admits(Action::Pull, &repository("acme/other")));
        assert!(!scope.admits(Action::Pull, &repository("acme2/net-top")));
        assert!(!scope.admits(Action::Manage, &Resource::Publisher("acme".to_owned())));
        let all: Scope = "repository:*:pull".parse().unwrap();
        assert!(all.admits(Action::Pull, &repository("a/b/c")));
        assert!(!all.admits(Action::Administer, &Resource::Hub));
    }

    #[test]
    fn every_action_needs_some_scope() {
        let scopes: Vec<Scope> =
            ["repository:*:pull,push,delete", "api:write", "admin"].map(|text| text.parse().unwrap()).into();
        let resources = [Resource::Hub, Resource::Publisher("a1".to_owned()), repository("a1/b")];
        for action in Action::ALL.into_iter().filter(|action| *action != Action::Browse) {
            let admits = |scope: &Scope| resources.iter().any(|resource| scope.admits(action, resource));
            assert_eq!(scopes.iter().filter(|scope| admits(scope)).count(), 1, "{action}");
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for text in [
            "",
            "api",
            "repository:a/b",
            "repository:a/b:",
            "repository::pull",
            "repository:a/b:pull,eat",
            "repository:A/b:pull",
            "repository:***:pull",
            "admin ",
        ] {
            assert!(text.parse::<Scope>().is_err(), "`{text}`");
        }
    }

    proptest! {
        #[test]
        fn scopes_are_read_as_they_are_written(
            like in "[a-z]{1,8}/[a-z]{0,4}\\*?[a-z]{1,4}",
            verbs in proptest::sample::subsequence(&Verb::ALL[..], 1..=3),
        ) {
            let scope = Scope::Repository { like, verbs: verbs.into_iter().collect() };
            prop_assert_eq!(scope.to_string().parse(), Ok(scope));
        }
    }
}
