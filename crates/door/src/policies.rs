// SPDX-License-Identifier: Apache-2.0
//! Policies in Cedar: those that are shipped, and those that an administrator wrote into files. What no policy permits is denied, and
//! what one forbids is denied whatever others permit.
//!
//! What they speak of, and who somebody is, is said by whoever asks.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request, Schema,
    ValidationMode, Validator,
};
use thiserror::Error;

/// Why Cedar does not take something.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Policies that are valid under a schema.
pub struct Policies {
    policies: PolicySet,
    schema: Schema,
}

/// Somebody who wants to do something to something, in the words of the schema.
pub struct Question {
    /// Who.
    pub principal: EntityUid,
    /// What they want to do.
    pub action: EntityUid,
    /// What to.
    pub resource: EntityUid,
    /// What else policies look at.
    pub context: Context,
    /// The two, and what they are in, with their attributes.
    pub entities: Vec<Entity>,
}

/// What policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// One permits it, and none forbids it.
    Permitted,
    /// These forbid it, by their names.
    Forbidden(Vec<String>),
    /// None permits it.
    Unpermitted,
}

/// Policies that cannot be used.
#[derive(Debug, Error)]
pub enum BadRules {
    /// A file cannot be read.
    #[error("cannot read the policies of access in `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// They are no policies.
    #[error("the policies of access in `{}` are not valid", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Cause,
    },
}

impl Policies {
    /// The policies that are shipped, under the schema that they speak by. Both are tested where they stand.
    pub fn shipped(schema: &str, policies: &str) -> Self {
        let (schema, _) = Schema::from_cedarschema_str(schema).expect("the schema is tested");
        Self { policies: parse(policies, "").expect("the shipped policies are tested"), schema }
    }

    /// Adds those of a file, which go by their `@id`, or by the file and their number.
    ///
    /// # Errors
    /// When they are none, have the name of another, or speak of what the schema does not have.
    pub fn add(&mut self, path: &Path, text: &str) -> Result<(), BadRules> {
        let invalid = |source| BadRules::Invalid { path: path.to_owned(), source };
        let prefix = path.file_name().map(|name| format!("{}:", name.to_string_lossy())).unwrap_or_default();
        for policy in parse(text, &prefix).map_err(invalid)?.policies() {
            self.policies.add(policy.clone()).map_err(|error| invalid(error.into()))?;
        }
        let validated = Validator::new(self.schema.clone()).validate(&self.policies, ValidationMode::Strict);
        let problems: Vec<String> = validated.validation_errors().map(ToString::to_string).collect();
        if problems.is_empty() { Ok(()) } else { Err(invalid(problems.join("; ").into())) }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Policy> {
        self.policies.policies()
    }

    /// What they say. A policy that fails over what is asked does not count, and is told of in the log.
    ///
    /// # Errors
    /// When the question is not in the words of the schema.
    pub fn ask(&self, question: Question) -> Result<Verdict, Cause> {
        let Question { principal, action, resource, context, entities } = question;
        let entities = Entities::from_entities(entities, Some(&self.schema))?;
        let request = Request::new(principal, action, resource, context, Some(&self.schema))?;
        let answer = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        for error in answer.diagnostics().errors() {
            tracing::warn!("a policy of access does not count here: {error}");
        }
        if answer.decision() == Decision::Allow {
            return Ok(Verdict::Permitted);
        }
        let forbidding: Vec<String> = answer.diagnostics().reason().map(ToString::to_string).collect();
        Ok(if forbidding.is_empty() { Verdict::Unpermitted } else { Verdict::Forbidden(forbidding) })
    }
}

/// Reads policies. Each goes by its `@id`, or by its file and its number.
fn parse(text: &str, prefix: &str) -> Result<PolicySet, Cause> {
    let read: PolicySet = text.parse()?;
    if read.templates().next().is_some() {
        return Err("a template (`?principal`, `?resource`) is linked by nobody here".into());
    }
    let mut named = PolicySet::new();
    for policy in read.policies() {
        let id = policy.annotation("id").map_or_else(|| format!("{prefix}{}", policy.id()), str::to_owned);
        named.add(Policy::new_id(policy, PolicyId::new(id)))?;
    }
    Ok(named)
}
