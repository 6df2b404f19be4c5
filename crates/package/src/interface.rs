// SPDX-License-Identifier: Apache-2.0
//! Network interfaces, in the network namespace of the daemon or in another one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{BadName, InterfaceName};

/// A network interface: its name, and the network namespace that it is in.
///
/// As text it is `eth0`, `blue:eth0` for a namespace by name, or `/proc/4711/ns/net:eth0` for one by path. Names of
/// interfaces have no colon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interface {
    /// The namespace; none for that of the daemon.
    pub namespace: Option<NetworkNamespace>,
    /// The name in that namespace.
    pub name: InterfaceName,
}

/// A network namespace, by name as in `ip netns`, or by the path of a file that stands for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkNamespace(String);

const RULE: &str = "it must be a name as in `ip netns`, or an absolute path, of 1 to 80 bytes";

impl NetworkNamespace {
    /// The file that stands for it (ip-netns(8)).
    pub fn path(&self) -> PathBuf {
        if self.0.starts_with('/') {
            PathBuf::from(&self.0)
        } else {
            PathBuf::from("/run/netns").join(&self.0)
        }
    }
}

impl AsRef<str> for NetworkNamespace {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetworkNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NetworkNamespace {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let is_name = !text.contains('/') && text != "." && text != "..";
        let fits = (1..=80).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits && (is_name || text.starts_with('/')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName { kind: "network namespace", given: text.to_owned(), rule: RULE })
        }
    }
}

impl From<InterfaceName> for Interface {
    fn from(name: InterfaceName) -> Self {
        Self { namespace: None, name }
    }
}

impl FromStr for Interface {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        match text.rsplit_once(':') {
            Some((namespace, name)) => Ok(Self { namespace: Some(namespace.parse()?), name: name.parse()? }),
            None => Ok(Self { namespace: None, name: text.parse()? }),
        }
    }
}

spelled!(Interface, BadName);

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => f.pad(&format!("{namespace}:{}", self.name)),
            None => self.name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_reads_as_it_prints() {
        for text in ["eth0", "eth0.100", "blue:eth0", "a.b:c:eth0", "/run/netns/x:eth0"] {
            let interface: Interface = text.parse().unwrap();
            assert_eq!(interface.to_string(), text);
        }
        let path = |text: &str| text.parse::<Interface>().unwrap().namespace.unwrap().path();
        assert_eq!(path("blue:eth0"), PathBuf::from("/run/netns/blue"));
        assert_eq!(path("/proc/1/ns/net:eth0"), PathBuf::from("/proc/1/ns/net"));
    }

    #[test]
    fn what_is_neither_a_name_nor_a_path_is_no_namespace() {
        for text in
            [":eth0", "..:eth0", "a/b:eth0", "blue:", "blue:eth0:", &format!("{}:eth0", "a".repeat(81))]
        {
            assert!(text.parse::<Interface>().is_err(), "{text}");
        }
    }
}
