// SPDX-License-Identifier: Apache-2.0
//! The options that say where a probe attaches, as people write them, and reading them one by one.
//!
//! What they mean together, for one kind of probe, is an [`Attachment`](crate::Attachment).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{PlainValue, ProbeKind};

/// The name of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachKey {
    /// A function, of the kernel or of an executable; for `lsm` a hook, for `tp-btf` a tracepoint, for `iter` what is listed.
    Symbol,
    /// Bytes behind the symbol, or behind the begin of the file where there is none.
    Offset,
    /// A number that the program can ask for.
    Cookie,
    /// `category:name`, or for `raw-tracepoint` the name alone.
    Tracepoint,
    /// An executable or a library.
    Path,
    /// A process.
    Pid,
    /// The provider of a USDT probe.
    Provider,
    /// The name of a USDT probe.
    Name,
    /// The folder of a control group.
    Cgroup,
    /// What happens: in a control group, or as a perf event.
    Event,
    /// The file of a network namespace.
    Netns,
    /// `ipv4` or `ipv6`.
    Family,
    /// A hook of netfilter.
    Hook,
    /// The place among others on a hook of netfilter.
    Priority,
    /// Whether packets are put together before.
    Defragment,
    /// How often in a second.
    Frequency,
    /// After how many events.
    Period,
    /// A processor.
    Cpu,
    /// A network interface.
    Interface,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttachValue {
    /// A number or a truth value.
    Plain(PlainValue),
    /// A text.
    Text(String),
}

/// The options of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttachOptions(BTreeMap<AttachKey, AttachValue>);

/// Options do not say where a probe attaches.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadAttachment {
    /// The kind of probe has no such option.
    #[error("the kind `{kind}` has no option `{option}`; it has {}", names(kind.options()))]
    NotOfKind {
        /// The kind.
        kind: ProbeKind,
        /// The option.
        option: AttachKey,
    },
    /// An option is missing.
    #[error("the kind `{kind}` needs the option `{option}`")]
    Missing {
        /// The kind.
        kind: ProbeKind,
        /// The option.
        option: AttachKey,
    },
    /// Two options contradict each other.
    #[error("the kind `{kind}` takes `{one}` or `{other}`, not both")]
    Both {
        /// The kind.
        kind: ProbeKind,
        /// An option.
        one: AttachKey,
        /// The other.
        other: AttachKey,
    },
    /// An option cannot have its value.
    #[error("the option `{option}` of the kind `{kind}` cannot be `{given}`: {rule}")]
    Value {
        /// The kind.
        kind: ProbeKind,
        /// The option.
        option: AttachKey,
        /// What was given.
        given: AttachValue,
        /// What it must be.
        rule: String,
    },
}

fn names(keys: &[AttachKey]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for AttachKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for AttachKey {
    type Err = serde::de::value::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use serde::de::IntoDeserializer as _;
        Self::deserialize(text.into_deserializer())
    }
}

impl fmt::Display for AttachValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => value.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl From<&str> for AttachValue {
    /// What it is: a number, a truth value, else a text.
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Plain)
    }
}

impl FromIterator<(AttachKey, AttachValue)> for AttachOptions {
    fn from_iter<I: IntoIterator<Item = (AttachKey, AttachValue)>>(options: I) -> Self {
        Self(options.into_iter().collect())
    }
}

impl AttachOptions {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an option is given.
    pub(crate) fn has(&self, key: AttachKey) -> bool {
        self.0.contains_key(&key)
    }

    /// The same, with what is left open taken from others.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        let mut options = others.0.clone();
        options.extend(self.0.clone());
        Self(options)
    }

    /// Makes sure that there are no options but those of a kind.
    ///
    /// # Errors
    /// When there is another one.
    pub fn check(&self, kind: ProbeKind) -> Result<(), BadAttachment> {
        match self.0.keys().find(|option| !kind.options().contains(option)) {
            Some(option) => Err(BadAttachment::NotOfKind { kind, option: *option }),
            None => Ok(()),
        }
    }
}

/// The options of one kind of probe, read one by one.
pub(crate) struct Reader<'a> {
    pub(crate) kind: ProbeKind,
    pub(crate) options: &'a AttachOptions,
}

impl Reader<'_> {
    /// An option, parsed from its text.
    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(
        &self,
        option: AttachKey,
    ) -> Result<Option<T>, BadAttachment> {
        match self.options.0.get(&option) {
            None => Ok(None),
            // A name of digits alone is a name.
            Some(given) => {
                given.to_string().parse().map(Some).map_err(|error: T::Err| self.bad(option, given, error))
            }
        }
    }

    /// The same where there must be one.
    pub(crate) fn required<T: FromStr<Err: fmt::Display>>(
        &self,
        option: AttachKey,
    ) -> Result<T, BadAttachment> {
        self.parsed(option)?.ok_or(BadAttachment::Missing { kind: self.kind, option })
    }

    /// A number between two.
    pub(crate) fn number<T>(
        &self,
        option: AttachKey,
        range: &RangeInclusive<T>,
    ) -> Result<Option<T>, BadAttachment>
    where
        T: FromStr<Err: fmt::Display> + PartialOrd + fmt::Display,
    {
        let found = self.parsed::<T>(option)?;
        match (found, self.options.0.get(&option)) {
            (Some(found), Some(given)) if !range.contains(&found) => {
                let rule = format_args!("it must be {} to {}", range.start(), range.end());
                Err(self.bad(option, given, rule))
            }
            (found, _) => Ok(found),
        }
    }

    /// Refuses two options at once.
    pub(crate) fn either(&self, one: AttachKey, other: AttachKey) -> Result<(), BadAttachment> {
        if self.options.has(one) && self.options.has(other) {
            return Err(BadAttachment::Both { kind: self.kind, one, other });
        }
        Ok(())
    }

    fn bad(&self, option: AttachKey, given: &AttachValue, rule: impl fmt::Display) -> BadAttachment {
        BadAttachment::Value { kind: self.kind, option, given: given.clone(), rule: rule.to_string() }
    }
}
