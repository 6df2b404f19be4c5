// SPDX-License-Identifier: Apache-2.0
//! Who asks: what a connection and a token say of a caller, as policies and the audit log see it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::names::Handle;

/// What a connection says of whoever is at its other end.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// The socket: what the kernel says (`SO_PEERCRED`).
    Local {
        /// The user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// TCP with TLS.
    Remote {
        /// From where.
        address: SocketAddr,
        /// What the client showed, if it showed one. An authority signed it that counts.
        certificate: Option<Arc<Certificate>>,
    },
    /// TCP without, which is for the API of l3afd v1 alone, and for nobody from outside where that is in production.
    Open {
        /// From where.
        address: SocketAddr,
    },
}

/// What counts of a client's certificate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The names in it: of hosts, URIs, addresses.
    pub(crate) names: BTreeSet<String>,
    /// Until when it counts.
    pub(crate) expires: Timestamp,
}

/// What counts of a token that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// What the caller is called: the subject, where no other claim is to say that.
    pub(crate) name: String,
    pub(crate) groups: BTreeSet<String>,
}

/// Somebody who asks for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A user of this machine.
    User {
        uid: u32,
        gid: u32,
        name: Option<String>,
        /// The groups that it is in, as group(5) says.
        groups: BTreeSet<String>,
    },
    /// Who has a certificate, and shows no token.
    Certified { names: BTreeSet<String>, address: SocketAddr },
    /// Who shows a token, and perhaps a certificate as well.
    Bearer { token: Token, names: BTreeSet<String>, address: SocketAddr },
}

impl Caller {
    /// A user of this machine, with what its files say of it.
    pub(crate) fn local(uid: u32, gid: u32) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::user(uid, gid, &read("/etc/passwd"), &read("/etc/group"))
    }

    fn user(uid: u32, gid: u32, users: &str, all_groups: &str) -> Self {
        let fields = |line: &'_ str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let is = |field: &str, number: u32| field.parse() == Ok(number);
        // passwd(5): name, password, uid, ...
        let name = users.lines().map(fields).find(|user| user.len() > 2 && is(&user[2], uid));
        let name = name.map(|user| user[0].clone());
        // group(5): name, password, gid, members.
        let is_in = |group: &Vec<String>| {
            group.len() > 3
                && (is(&group[2], gid)
                    || name.as_ref().is_some_and(|name| group[3].split(',').any(|member| member == name)))
        };
        let groups = all_groups.lines().map(fields).filter(is_in).map(|group| group[0].clone());
        Self::User { uid, gid, groups: groups.collect(), name }
    }

    /// All the ways to say who this is.
    pub(crate) fn handles(&self) -> BTreeSet<Handle> {
        let certified = |names: &BTreeSet<String>| -> Vec<Handle> {
            names.iter().map(|name| Handle::new("certificate", name)).collect()
        };
        match self {
            Self::User { uid, name, groups, .. } => {
                let groups = groups.iter().map(|group| Handle::new("group", group));
                let name = name.iter().map(|name| Handle::new("user", name));
                groups.chain(name).chain([Handle::new("uid", uid)]).collect()
            }
            Self::Certified { names, .. } => certified(names).into_iter().collect(),
            Self::Bearer { token, names, .. } => {
                let groups = token.groups.iter().map(|group| Handle::new("token-group", group));
                let token = [Handle::new("token", &token.name)];
                certified(names).into_iter().chain(groups).chain(token).collect()
            }
        }
    }

    /// Whether this is root, or whom the daemon runs as: who could do all of it without the daemon.
    pub(crate) fn is_root(&self) -> bool {
        match self {
            Self::User { uid, .. } => *uid == 0 || *uid == rustix::process::geteuid().as_raw(),
            Self::Certified { .. } | Self::Bearer { .. } => false,
        }
    }

    /// How the caller came in.
    pub(crate) fn via(&self) -> &'static str {
        match self {
            Self::User { .. } => "socket",
            Self::Certified { .. } => "certificate",
            Self::Bearer { .. } => "token",
        }
    }

    /// From where, if not from this machine.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::User { .. } => None,
            Self::Certified { address, .. } | Self::Bearer { address, .. } => Some(*address),
        }
    }
}

/// The handle that says most.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { name: Some(name), .. } => write!(f, "user:{name}"),
            Self::User { uid, .. } => write!(f, "uid:{uid}"),
            Self::Certified { names, .. } => match names.first() {
                Some(name) => write!(f, "certificate:{name}"),
                None => f.write_str("certificate without a name"),
            },
            Self::Bearer { token, .. } => write!(f, "token:{}", token.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_in_the_groups_that_list_it_and_in_its_own() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        let groups = "root:x:0:\nwheel:x:10:bob,alice\nalice:x:1000:\nother:x:11:alicex\nbroken\n";
        let caller = Caller::user(1000, 1000, users, groups);
        let told: Vec<String> = caller.handles().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["group:alice", "group:wheel", "uid:1000", "user:alice"]);
        assert_eq!((caller.to_string(), caller.is_root()), ("user:alice".to_owned(), false));
        let nameless = Caller::user(4711, 10, users, groups);
        assert_eq!(nameless.to_string(), "uid:4711");
        assert!(nameless.handles().contains(&Handle::new("group", "wheel")));
        assert!(Caller::user(0, 0, users, groups).is_root());
    }
}
