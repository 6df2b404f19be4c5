// SPDX-License-Identifier: Apache-2.0
//! Which network interfaces a chain is for: one by its name, those whose names match, or those with a hardware address.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{BadHookPoint, BadName, Glob, HookPoint, Interface, NetworkNamespace};

/// Which network interfaces are meant, in the network namespace of the daemon or in another one.
///
/// As text it is `eth0`, `eth*` for all whose names match, or `mac=02:00:5e:10:00:01` for those with that address; each
/// of them behind a namespace and a colon for another namespace, as in [`Interface`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Interfaces {
    /// The one with this name.
    Named(Interface),
    /// Those whose names match, but for the loopback interface.
    Matching {
        /// The namespace; none for that of the daemon.
        namespace: Option<NetworkNamespace>,
        /// What their names match.
        pattern: Glob,
    },
    /// Those with this hardware address.
    Addressed {
        /// The namespace; none for that of the daemon.
        namespace: Option<NetworkNamespace>,
        /// The address that they have now.
        address: MacAddress,
    },
}

/// A hardware address of 48 bits (EUI-48), as of Ethernet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

/// A text does not say which interfaces are meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadInterfaces {
    /// It has a name that cannot be one.
    #[error(transparent)]
    Name(#[from] BadName),
    /// It has a pattern that no name can match.
    #[error("`{given}` is not a pattern for interfaces: names have 1 to 15 bytes without `/`, `:` or blanks")]
    Pattern {
        /// What was given.
        given: String,
    },
    /// It has an address that is not one.
    #[error("`{given}` is not a hardware address: those are like `02:00:5e:10:00:01`")]
    Address {
        /// What was given.
        given: String,
    },
}

/// A text is not the name of a hook on interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadPlace {
    /// The interfaces are none.
    #[error(transparent)]
    Interfaces(#[from] BadInterfaces),
    /// The hook is not one.
    #[error(transparent)]
    Point(#[from] BadHookPoint),
}

/// What stands before an address. No interface has such a name, as an address has colons.
const ADDRESS: &str = "mac=";
const LOOPBACK: &str = "lo";

impl Interfaces {
    /// Reads interfaces, and a hook on them if one is named behind a slash, as in `eth0/xdp`.
    ///
    /// # Errors
    /// When either is not what it should be.
    pub fn parse_place(text: &str) -> Result<(Self, Option<HookPoint>), BadPlace> {
        let name = text.rfind(':').map_or(0, |colon| colon + 1);
        match text[name..].split_once('/') {
            Some((short, point)) => Ok((text[..name + short.len()].parse()?, Some(point.parse()?))),
            None => Ok((text.parse()?, None)),
        }
    }

    /// The namespace that they are in; none for that of the daemon.
    pub fn namespace(&self) -> Option<&NetworkNamespace> {
        match self {
            Self::Named(interface) => interface.namespace.as_ref(),
            Self::Matching { namespace, .. } | Self::Addressed { namespace, .. } => namespace.as_ref(),
        }
    }

    /// Whether they are one interface by its name.
    pub fn name(&self) -> Option<&Interface> {
        match self {
            Self::Named(interface) => Some(interface),
            Self::Matching { .. } | Self::Addressed { .. } => None,
        }
    }

    /// Whether an interface with this address is one of them.
    pub fn contain(&self, interface: &Interface, address: Option<MacAddress>) -> bool {
        let is_here = self.namespace() == interface.namespace.as_ref();
        is_here
            && match self {
                Self::Named(named) => named == interface,
                Self::Matching { pattern, .. } => {
                    let name = interface.name.as_ref();
                    name != LOOPBACK && pattern.matches(name)
                }
                Self::Addressed { address: wanted, .. } => address == Some(*wanted),
            }
    }
}

impl From<Interface> for Interfaces {
    fn from(interface: Interface) -> Self {
        Self::Named(interface)
    }
}

/// What stands for a namespace and what for the interfaces in it.
fn split(text: &str) -> (Option<&str>, &str) {
    let address = text.rfind(ADDRESS).filter(|at| *at == 0 || text[..*at].ends_with(':'));
    match address.map(|at| text.split_at(at)) {
        Some(("", rest)) => (None, rest),
        Some((namespace, rest)) => (namespace.strip_suffix(':'), rest),
        None => text.rsplit_once(':').map_or((None, text), |(namespace, rest)| (Some(namespace), rest)),
    }
}

impl FromStr for Interfaces {
    type Err = BadInterfaces;

    fn from_str(text: &str) -> Result<Self, BadInterfaces> {
        let (namespace, rest) = split(text);
        if let Some(address) = rest.strip_prefix(ADDRESS) {
            return Ok(Self::Addressed {
                namespace: namespace.map(str::parse).transpose()?,
                address: address.parse()?,
            });
        }
        if !rest.contains('*') {
            return Ok(Self::Named(text.parse()?));
        }
        let refused = |letter: char| letter == '/' || letter.is_whitespace() || letter.is_control();
        if rest.contains(refused)
            || rest.chars().filter(|letter| *letter != '*').map(char::len_utf8).sum::<usize>() > 15
        {
            return Err(BadInterfaces::Pattern { given: rest.to_owned() });
        }
        Ok(Self::Matching { namespace: namespace.map(str::parse).transpose()?, pattern: Glob::from(rest) })
    }
}

impl FromStr for MacAddress {
    type Err = BadInterfaces;

    fn from_str(text: &str) -> Result<Self, BadInterfaces> {
        let byte = |digits: &str| {
            let is_byte = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_byte.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
        };
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| BadInterfaces::Address { given: text.to_owned() })
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.map(|byte| format!("{byte:02x}")).join(":"))
    }
}

impl fmt::Display for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = |namespace: &Option<NetworkNamespace>| {
            namespace.as_ref().map(|namespace| format!("{namespace}:")).unwrap_or_default()
        };
        match self {
            Self::Named(interface) => interface.fmt(f),
            Self::Matching { namespace: within, pattern } => {
                f.pad(&format!("{}{pattern}", namespace(within)))
            }
            Self::Addressed { namespace: within, address } => {
                f.pad(&format!("{}{ADDRESS}{address}", namespace(within)))
            }
        }
    }
}

spelled!(Interfaces, BadInterfaces);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_read_as_they_print() {
        for text in [
            "eth0",
            "blue:eth0",
            "eth*",
            "*",
            "/run/netns/x:en*s*",
            "mac=02:00:5e:10:00:01",
            "blue:mac=02:00:5e:10:00:ff",
            "/run/mac=1:mac=02:00:5e:10:00:ff",
        ] {
            assert_eq!(text.parse::<Interfaces>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_an_interface_is_told() {
        let told = |text: &str| text.parse::<Interfaces>().unwrap_err().to_string();
        insta::assert_snapshot!(told("mac=02:00:5e:10:00"), @"`02:00:5e:10:00` is not a hardware address: those are like `02:00:5e:10:00:01`");
        insta::assert_snapshot!(told("mac=02:00:5e:10:00:+1"), @"`02:00:5e:10:00:+1` is not a hardware address: those are like `02:00:5e:10:00:01`");
        insta::assert_snapshot!(told("eth 0*"), @"`eth 0*` is not a pattern for interfaces: names have 1 to 15 bytes without `/`, `:` or blanks");
        insta::assert_snapshot!(told("an-interface-of-some*"), @"`an-interface-of-some*` is not a pattern for interfaces: names have 1 to 15 bytes without `/`, `:` or blanks");
        assert!("a/b:eth*".parse::<Interfaces>().is_err());
    }

    #[test]
    fn a_place_is_interfaces_and_perhaps_a_hook() {
        let parts = |text: &str| {
            Interfaces::parse_place(text).map(|(interfaces, point)| (interfaces.to_string(), point))
        };
        assert_eq!(parts("eth0"), Ok(("eth0".to_owned(), None)));
        for (text, interfaces, point) in [
            ("/run/netns/x:eth0/xdp", "/run/netns/x:eth0", HookPoint::Xdp),
            ("blue:eth0/tc-egress", "blue:eth0", HookPoint::TcEgress),
            ("eth*/tc-ingress", "eth*", HookPoint::TcIngress),
            ("mac=02:00:5e:10:00:01/xdp", "mac=02:00:5e:10:00:01", HookPoint::Xdp),
        ] {
            assert_eq!(parts(text), Ok((interfaces.to_owned(), Some(point))));
        }
        assert!(parts("eth0/xpd").is_err());
        assert!(parts("").is_err());
    }

    #[test]
    fn patterns_and_addresses_stand_for_interfaces_of_their_namespace() {
        let address = MacAddress([2, 0, 0x5e, 0x10, 0, 1]);
        let contain = |text: &str, interface: &str| {
            text.parse::<Interfaces>().unwrap().contain(&interface.parse().unwrap(), Some(address))
        };
        for (text, interface) in [
            ("eth*", "eth0"),
            ("*", "eth0"),
            ("eth0", "eth0"),
            ("blue:*", "blue:eth0"),
            ("mac=02:00:5E:10:00:01", "eth0"),
            ("lo", "lo"),
        ] {
            assert!(contain(text, interface), "{text} {interface}");
        }
        for (text, interface) in [
            ("eth*", "wlan0"),
            ("eth*", "blue:eth0"),
            ("*", "lo"),
            ("mac=02:00:5e:10:00:02", "eth0"),
            ("blue:mac=02:00:5e:10:00:01", "eth0"),
        ] {
            assert!(!contain(text, interface), "{text} {interface}");
        }
    }
}
