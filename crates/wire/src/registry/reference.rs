// SPDX-License-Identifier: Apache-2.0
//! Names of packages in registries: `host[:port]/repository[:tag][@digest]`.
//!
//! The grammar is that of OCI distribution 1.1 ("Pulling manifests"); the host is never left out, and no tag stands in for one
//! that is missing: `latest` names something else every day.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use package::Digest;
use thiserror::Error;

/// What a reference may begin with, so that nobody takes it for a path.
const SCHEME: &str = "oci://";
/// The longest host and name together (distribution 1.1: clients may limit them to 255 characters).
const MAX_NAME: usize = 255;
/// The longest tag (distribution 1.1).
const MAX_TAG: usize = 128;

/// A place in a registry that holds releases of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    host: String,
    path: String,
}

/// A name that a registry knows a release by. It may stand for another one tomorrow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// A package in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it is.
    pub repository: Repository,
    /// By what name.
    pub tag: Option<Tag>,
    /// Which it is. Where both are given the digest counts.
    pub digest: Option<Digest>,
}

/// A text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a reference to a package in a registry: {problem}")]
pub struct BadReference {
    /// What was given.
    pub given: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Repository {
    /// The host with its port, if it has one of its own.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name of the repository at the host.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the host is this machine: only there packages travel without TLS.
    pub fn is_loopback(&self) -> bool {
        let colon = self.host.rfind(':').filter(|_| !self.host.ends_with(']'));
        is_loopback(&self.host[..colon.unwrap_or(self.host.len())])
    }

    /// Who answers for the host: Docker's own registry does so under another name than it goes by.
    pub(super) fn endpoint(&self) -> &str {
        if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let (host, path) = text.split_once('/').ok_or("it has no `/` between host and name")?;
        if !is_host(host) {
            return Err("it must begin with a host name or an address, and a port where that has one");
        }
        if !path.split('/').all(is_component) {
            return Err(
                "the parts of its name are lower-case letters and digits, with single `.`, `_`, `__` or dashes between",
            );
        }
        if text.len() > MAX_NAME {
            return Err("host and name are longer than 255 characters");
        }
        Ok(Self { host: host.to_owned(), path: path.to_owned() })
    }
}

impl FromStr for Repository {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        Self::parse(text).map_err(|problem| BadReference { given: text.to_owned(), problem })
    }
}

impl Tag {
    /// The tag under which registries without the referrers API keep what refers to a document (distribution 1.1,
    /// "Referrers Tag Schema").
    pub(super) fn of_referrers(digest: &Digest) -> Self {
        Self(digest.to_string().replace(':', "-"))
    }
}

impl Reference {
    /// The same repository, by digest.
    pub fn pinned(repository: Repository, digest: Digest) -> Self {
        Self { repository, tag: None, digest: Some(digest) }
    }

    /// The reference in a document or on a command line, which begins with `oci://`; none where it does not.
    ///
    /// # Errors
    /// When it begins so and is not one.
    pub fn in_uri(text: &str) -> Option<Result<Self, BadReference>> {
        text.starts_with(SCHEME).then(|| text.parse())
    }

    /// The reference as documents spell it, with `oci://`.
    pub fn uri(&self) -> String {
        format!("{SCHEME}{self}")
    }
}

impl FromStr for Tag {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let mut bytes = text.bytes();
        let good =
            bytes.next().is_some_and(word) && bytes.all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
        if good && text.len() <= MAX_TAG {
            return Ok(Self(text.to_owned()));
        }
        let problem =
            "a tag is 1 to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two";
        Err(BadReference { given: text.to_owned(), problem })
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let bad = |problem| BadReference { given: text.to_owned(), problem };
        let rest = text.strip_prefix(SCHEME).unwrap_or(text);
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse();
                let digest = digest.or(Err(bad("behind `@` stands `sha256:` and 64 hexadecimal digits")))?;
                (rest, Some(digest))
            }
            None => (rest, None),
        };
        // A colon before the last slash belongs to a port.
        let name_begins = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_begins..].split_once(':') {
            Some((name, tag)) => {
                let tag = tag.parse::<Tag>().map_err(|error| bad(error.problem))?;
                (&rest[..name_begins + name.len()], Some(tag))
            }
            None => (rest, None),
        };
        Ok(Self { repository: Repository::parse(name).map_err(bad)?, tag, digest })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// Whether a host without its port is this machine.
pub(super) fn is_loopback(name: &str) -> bool {
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A domain name, an IPv4 address, or an IPv6 address in brackets; perhaps a port.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("v6", port)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_label = |label: &str| {
        let dash = |byte: u8| byte == b'-';
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || dash(byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.split('.').all(is_label) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` of distribution 1.1.
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    let ends_well = |text: &str| {
        text.bytes().next().is_some_and(alphanumeric) && text.bytes().last().is_some_and(alphanumeric)
    };
    let separators = component.split(|letter: char| letter.is_ascii_digit() || letter.is_ascii_lowercase());
    let is_separator =
        |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    ends_well(component) && separators.into_iter().all(is_separator)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Reference;

    fn parts(text: &str) -> String {
        match text.parse::<Reference>() {
            Ok(Reference { repository, tag, digest }) => format!(
                "{} {} {} {}",
                repository.host(),
                repository.path(),
                tag.map_or("-".to_owned(), |tag| tag.to_string()),
                digest.map_or("-".to_owned(), |digest| digest.hex()[..4].to_owned()),
            ),
            Err(error) => error.problem.to_owned(),
        }
    }

    #[test]
    fn a_reference_has_a_host_a_name_and_perhaps_tag_and_digest() {
        let digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        insta::assert_snapshot!(parts("oci://hub.example.org/network/ratelimit:1.2.0"), @"hub.example.org network/ratelimit 1.2.0 -");
        insta::assert_snapshot!(parts("localhost:5000/a"), @"localhost:5000 a - -");
        insta::assert_snapshot!(parts(&format!("[::1]:5000/a__b/c--d:v_1{digest}")), @"[::1]:5000 a__b/c--d v_1 e3b0");
        insta::assert_snapshot!(parts(&format!("127.0.0.1/a{digest}")), @"127.0.0.1 a - e3b0");
    }

    #[test]
    fn what_the_grammar_does_not_allow_is_refused_with_the_part_that_is_wrong() {
        insta::assert_snapshot!(parts("ratelimit"), @"it has no `/` between host and name");
        insta::assert_snapshot!(parts("./ratelimit"), @"it must begin with a host name or an address, and a port where that has one");
        insta::assert_snapshot!(parts("a:66000/b"), @"it must begin with a host name or an address, and a port where that has one");
        insta::assert_snapshot!(parts("a/b//c"), @"the parts of its name are lower-case letters and digits, with single `.`, `_`, `__` or dashes between");
        insta::assert_snapshot!(parts("a/../c"), @"the parts of its name are lower-case letters and digits, with single `.`, `_`, `__` or dashes between");
        insta::assert_snapshot!(parts("a/b:-1"), @"a tag is 1 to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two");
        insta::assert_snapshot!(parts("a/b@sha512:00"), @"behind `@` stands `sha256:` and 64 hexadecimal digits");
        insta::assert_snapshot!(parts(&format!("a/{}", "b".repeat(254))), @"host and name are longer than 255 characters");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let is_loopback = |text: &str| text.parse::<Reference>().unwrap().repository.is_loopback();
        assert!(["localhost/a", "127.8.0.1:1/a", "[::1]:1/a"].into_iter().all(is_loopback));
        assert!(
            !["localhost.example.org/a", "10.0.0.1/a", "127.0.0.1.nip.io/a"].into_iter().any(is_loopback)
        );
    }

    proptest! {
        #[test]
        fn what_the_grammar_allows_reads_back_as_it_was(
            host in r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,2}(:[1-9][0-9]{0,3})?",
            path in r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}){0,2}",
            tag in proptest::option::of(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"),
            digest in proptest::option::of("[0-9a-f]{64}"),
        ) {
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = digest.map(|digest| format!("@sha256:{digest}")).unwrap_or_default();
            let text = format!("{host}/{path}{tag}{digest}");
            let reference: Reference = text.parse().unwrap();
            prop_assert_eq!(reference.to_string(), text);
            prop_assert_eq!(reference.uri().parse::<Reference>().unwrap(), reference);
        }

        #[test]
        fn any_text_is_refused_or_reads_back_as_it_was(text in r"[a-zA-Z0-9:/@._\[\]-]{0,40}|\PC{0,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text.strip_prefix("oci://").unwrap_or(&text));
            }
        }
    }
}
