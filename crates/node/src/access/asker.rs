// SPDX-License-Identifier: Apache-2.0
//! Who asks the engine for a change, and what of it policies permit.

use std::path::Path;
use std::sync::Arc;

use super::caller::Caller;
use super::refusal::{Denials, Denied};
use super::rules::{Denial, Rules, Ruling};
use super::thing::{Action, Change, Thing};
use super::touched::{End, touched};

/// Who asks for a change.
#[derive(Clone)]
pub struct Asker {
    by: Option<String>,
    judged: Option<Judged>,
}

/// A caller whose changes are looked at.
#[derive(Clone)]
struct Judged {
    rules: Arc<Rules>,
    caller: Arc<Caller>,
    action: Action,
}

impl Asker {
    /// Who runs the engine, and may do all that it can.
    pub fn owner() -> Self {
        Self { by: None, judged: None }
    }

    /// The file that says what is desired. Whoever may write it may do that.
    pub(crate) fn file(path: &Path) -> Self {
        Self { by: Some(format!("file:{}", path.display())), judged: None }
    }

    /// A caller of the API of l3afd v1, which knows no roles.
    pub(crate) fn named(by: String) -> Self {
        Self { by: Some(by), judged: None }
    }

    /// A caller of the API.
    pub(crate) fn caller(rules: &Arc<Rules>, caller: &Arc<Caller>, action: Action) -> Self {
        let (by, is_judged) = (Some(caller.to_string()), !rules.permit_all(caller));
        let judged = is_judged.then(|| {
            let (rules, caller) = (Arc::clone(rules), Arc::clone(caller));
            Judged { rules, caller, action }
        });
        Self { by, judged }
    }

    /// How it is called in the record of generations; none where nobody wants to know.
    pub(crate) fn by(&self) -> Option<String> {
        self.by.clone()
    }

    /// Whether it must be looked at what a change touches.
    pub(crate) fn is_judged(&self) -> bool {
        self.judged.is_some()
    }

    /// Whether all that a change touches is permitted.
    ///
    /// # Errors
    /// With all of it that is not.
    pub(crate) fn may(&self, before: &End, after: &End) -> Result<(), Denied> {
        let Some(judged) = &self.judged else { return Ok(()) };
        let denials = touched(before, after).into_iter().filter_map(|touch| {
            match judged.rules.rule(&judged.caller, judged.action, &touch.thing, touch.change) {
                Ruling::Permitted => None,
                Ruling::Denied(by) => Some((touch.to_string(), by)),
            }
        });
        judged.refuse(denials.collect())
    }

    /// Whether something about the node as a whole is permitted.
    pub(super) fn may_with_node(
        rules: &Arc<Rules>,
        caller: &Arc<Caller>,
        action: Action,
    ) -> Result<(), Denied> {
        let judged = Judged { rules: Arc::clone(rules), caller: Arc::clone(caller), action };
        let ruling = judged.rules.rule(caller, action, &Thing::Node, Change::Alter);
        let denials = match ruling {
            Ruling::Permitted => Vec::new(),
            Ruling::Denied(by) => vec![(Thing::Node.to_string(), by)],
        };
        judged.refuse(denials)
    }

    /// Whether anything of the kind is permitted.
    pub(super) fn may_at_all(rules: &Rules, caller: &Caller, action: Action) -> Result<(), Denied> {
        if rules.could_permit(caller, action) {
            return Ok(());
        }
        let denials = Denials(vec![("anything".to_owned(), Denial::Unpermitted)]);
        Err(Denied { caller: caller.to_string(), action, denials })
    }
}

impl Judged {
    fn refuse(&self, denials: Vec<(String, Denial)>) -> Result<(), Denied> {
        if denials.is_empty() {
            return Ok(());
        }
        let caller = self.caller.to_string();
        Err(Denied { caller, action: self.action, denials: Denials(denials) })
    }
}
