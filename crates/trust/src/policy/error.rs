// SPDX-License-Identifier: Apache-2.0
//! Why a policy cannot be used.

use std::sync::Arc;

use package::PublisherName;
use thiserror::Error;

use crate::{BadCertificate, BadKey, BadQuorum, BadRoot};

/// A policy cannot be used.
#[derive(Debug, Clone, Error)]
pub enum PolicyError {
    /// A key is unknown, missing, or has a value of the wrong kind.
    #[error("it is not a policy: {problem}")]
    Toml {
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A file that it names was not handed over.
    #[error("the file `{path}` of `{name}` is not there")]
    MissingFile {
        /// The publisher or endorser.
        name: PublisherName,
        /// The file.
        path: String,
    },
    /// A key cannot be used.
    #[error("a key of `{name}` cannot be used{}: {bad}", place(.file.as_deref()))]
    Key {
        /// The publisher or endorser.
        name: PublisherName,
        /// The file it is in, if it is in one.
        file: Option<String>,
        /// Why not.
        bad: BadKey,
    },
    /// The keys and the threshold do not fit.
    #[error("the keys of `{name}` cannot be used: {bad}")]
    Quorum {
        /// The publisher or endorser.
        name: PublisherName,
        /// Why not.
        bad: BadQuorum,
    },
    /// A root cannot be used.
    #[error("the root of `{name}` in `{file}` cannot be used: {bad}")]
    Root {
        /// The publisher or endorser.
        name: PublisherName,
        /// The file.
        file: String,
        /// Why not.
        bad: Arc<BadRoot>,
    },
    /// It is said in two ways who signs.
    #[error(
        "`{name}` must have one of `root_file`, `root_digest`, and keys; a root has its threshold, and names its keys"
    )]
    TwoAnchors {
        /// The publisher or endorser.
        name: PublisherName,
    },
    /// The certificate of an authority cannot be used.
    #[error("the authorities of `{name}` in `{file}` cannot be used: {bad}")]
    Authority {
        /// The publisher.
        name: PublisherName,
        /// The file.
        file: String,
        /// Why not.
        bad: Box<BadCertificate>,
    },
    /// A number is demanded that nobody could prove.
    #[error(
        "`{name}` must prove a `pen`, and there are no `authority_files` whose certificates could say so"
    )]
    Unproven {
        /// The publisher.
        name: PublisherName,
    },
    /// A list says nothing.
    #[error("`{name}` has an empty list of `{list}`; {instead}")]
    Empty {
        /// The publisher or endorser.
        name: PublisherName,
        /// The list.
        list: &'static str,
        /// What to write.
        instead: &'static str,
    },
    /// A publisher or endorser is named twice.
    #[error("`{name}` is named twice")]
    Duplicate {
        /// The publisher or endorser.
        name: PublisherName,
    },
    /// A `[[revoked]]` names nothing, or several things.
    #[error(
        "a `[[revoked]]` must have one of `key`, `release` and `digest`, and has {count}; its reason is `{reason}`"
    )]
    Revoked {
        /// How many it has.
        count: usize,
        /// Its reason.
        reason: String,
    },
    /// A mirror cannot be asked.
    #[error(
        "`{mirror}` is no mirror of `{repository}`: write host and the beginning of the name, as in \
         `https://mirror.example.org/l3af`; all but this machine is spoken to over TLS"
    )]
    Mirror {
        /// Of what.
        repository: String,
        /// What was written.
        mirror: String,
    },
    /// No signature would count.
    #[error(
        "`algorithms` is empty, so no signature would ever count; leave it out to accept all that are known"
    )]
    NoAlgorithms,
}

fn place(file: Option<&str>) -> String {
    file.map(|file| format!(" (`{file}`)")).unwrap_or_default()
}
