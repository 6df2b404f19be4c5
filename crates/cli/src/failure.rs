// SPDX-License-Identifier: Apache-2.0
//! What a command that failed tells: what, why, and what to do.

use std::error::Error;
use std::fmt;

/// A command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    source: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
    log: Option<String>,
}

pub(crate) type Outcome = Result<(), Failure>;

impl Failure {
    /// A failure that says all in one sentence.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { source: text.into().into(), hint: None, log: None }
    }

    /// The same with what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with where it came up in front.
    pub(crate) fn within(self, place: &str) -> Self {
        Self { source: format!("{place}: {self}").into(), ..self }
    }

    /// The same, with more text behind it.
    pub(crate) fn with_text(self, text: &str) -> Self {
        Self { source: format!("{self}{text}").into(), ..self }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The file that has the whole story.
    pub(crate) fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }
}

/// The failure with all its causes, each once.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let mut cause = self.source.source();
        while let Some(current) = cause {
            write!(f, "\n  because {current}")?;
            cause = current.source();
        }
        Ok(())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let source: Box<dyn Error + Send + Sync> = Box::new(error);
        let call = source.downcast_ref::<wire::CallError>();
        let hint = call.and_then(wire::CallError::hint);
        let hint = hint.or_else(|| source.downcast_ref::<trust::Refused>().map(trust::Refused::hint));
        let hint =
            hint.or_else(|| source.downcast_ref::<wire::RegistryError>().and_then(wire::RegistryError::hint));
        let hint =
            hint.or_else(|| source.downcast_ref::<wire::hub::HubError>().and_then(wire::hub::HubError::hint));
        let hint =
            hint.or_else(|| source.downcast_ref::<compile::Uncompiled>().and_then(compile::Uncompiled::hint));
        let undescribed = source.downcast_ref::<compile::Undescribed>();
        let hint = hint.or_else(|| undescribed.and_then(compile::Undescribed::hint).map(str::to_owned));
        let log = match call {
            Some(wire::CallError::Refused(problem)) => problem.log.clone(),
            _ => None,
        };
        Self { source, hint, log }
    }
}
