// SPDX-License-Identifier: Apache-2.0
//! What somebody wants to do, and what with.

use std::fmt;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// To read what is released in a repository.
    Pull,
    /// To read also what is not released yet.
    Inspect,
    /// To upload.
    Push,
    /// To remove.
    Delete,
    /// To hand in what was uploaded.
    Publish,
    /// To say what one thinks of it.
    Review,
    /// To warn of a release.
    Yank,
    /// To say how good a package is.
    Rate,
    /// To say who is a member of a publisher, and what it is told to be.
    Manage,
    /// To look at what there is: lists, and the members of a publisher.
    Browse,
    /// To found a publisher.
    Found,
    /// To look after the hub: accounts, records, policies.
    Administer,
}

/// A repository that exists or would.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) publisher: String,
    pub(crate) repository: String,
}

/// What somebody wants to do something with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    /// The hub as a whole.
    Hub,
    /// A publisher, by its name.
    Publisher(String),
    /// A repository.
    Repository(Place),
}

impl Action {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 12] = [
        Self::Pull,
        Self::Inspect,
        Self::Push,
        Self::Delete,
        Self::Publish,
        Self::Review,
        Self::Yank,
        Self::Rate,
        Self::Manage,
        Self::Browse,
        Self::Found,
        Self::Administer,
    ];

    /// As policies have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Inspect => "inspect",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Publish => "publish",
            Self::Review => "review",
            Self::Yank => "yank",
            Self::Rate => "rate",
            Self::Manage => "manage",
            Self::Browse => "browse",
            Self::Found => "found",
            Self::Administer => "administer",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Place {
    /// Splits the OCI name of a repository at its first slash; none where it has none.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let (publisher, repository) = name.split_once('/')?;
        Some(Self { publisher: publisher.to_owned(), repository: repository.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.publisher, self.repository)
    }
}

impl Resource {
    /// The publisher whose it is.
    pub(crate) fn publisher(&self) -> Option<&str> {
        match self {
            Self::Hub => None,
            Self::Publisher(name) => Some(name),
            Self::Repository(place) => Some(&place.publisher),
        }
    }
}

impl From<&Place> for Resource {
    fn from(place: &Place) -> Self {
        Self::Repository(place.clone())
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub => f.write_str("the hub"),
            Self::Publisher(name) => write!(f, "publisher `{name}`"),
            Self::Repository(place) => write!(f, "repository `{place}`"),
        }
    }
}
