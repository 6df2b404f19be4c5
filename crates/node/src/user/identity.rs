// SPDX-License-Identifier: Apache-2.0
//! Who a user program is to the kernel: root, or a user of its own without a name.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use package::{Digest, PackageName, Privileges, PublisherName};

/// The numbers that systemd keeps for users without a name (`DynamicUser=`, systemd's `docs/UIDS-GIDS.md`).
const USERS: RangeInclusive<u32> = 61_184..=65_519;
/// Where systemd notes which of them it gave to a service.
const GIVEN_BY_SYSTEMD: &str = "/run/systemd/dynamic-uid";

/// Who a user program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// Root, with all that the daemon may do.
    Root,
    /// A user, and a group of the same number, with these capabilities, one bit for each.
    Own { user: u32, capabilities: u64 },
}

/// The users of the user programs of one node.
#[derive(Debug, Default)]
pub(super) struct Identities {
    given: BTreeMap<String, u32>,
}

impl Identities {
    /// Who the program of a package is; none where no number is free. The same package is the same user each time, as long as
    /// nobody else has the number.
    pub(super) fn of(
        &mut self,
        publisher: &PublisherName,
        package: &PackageName,
        privileges: &Privileges,
    ) -> Option<Identity> {
        let Privileges::Capabilities(capabilities) = privileges else { return Some(Identity::Root) };
        let capabilities = capabilities.iter().fold(0, |bits, capability| bits | 1 << capability.number());
        let name = format!("{publisher}/{package}");
        if let Some(user) = self.given.get(&name) {
            return Some(Identity::Own { user: *user, capabilities });
        }
        let named = named();
        let user = choose(&name, |user| {
            self.given.values().any(|given| *given == user)
                || named.contains(&user)
                || Path::new(GIVEN_BY_SYSTEMD).join(user.to_string()).exists()
        })?;
        self.given.insert(name, user);
        Some(Identity::Own { user, capabilities })
    }
}

impl Identity {
    /// The same, with no capability that this process does not have itself: nobody can give what they do not have.
    pub(super) fn as_far_as_possible(self) -> Self {
        match self {
            Self::Root => self,
            Self::Own { user, capabilities } => {
                let own = rustix::thread::capabilities(None).map_or(0, |own| own.permitted.bits());
                Self::Own { user, capabilities: capabilities & own }
            }
        }
    }

    /// The number of the user.
    pub(super) fn user(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::Own { user, .. } => user,
        }
    }
}

/// The first free number from where the name says to begin.
fn choose(name: &str, is_taken: impl Fn(u32) -> bool) -> Option<u32> {
    let digest = Digest::of(name.as_bytes());
    let begin = digest.bytes().iter().take(4).fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    let count = USERS.end() - USERS.start() + 1;
    let users = (0..count).map(|step| USERS.start() + (begin % count + step) % count);
    users.into_iter().find(|user| !is_taken(*user))
}

/// The numbers of all users and groups that have a name on this machine.
fn named() -> Vec<u32> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    [read("/etc/passwd"), read("/etc/group")].iter().flat_map(|text| numbers(text)).collect()
}

/// The third fields (passwd(5), group(5)).
fn numbers(text: &str) -> Vec<u32> {
    text.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_the_same_user_each_time_and_no_other_package_is() {
        let (publisher, package) = ("example".parse().unwrap(), "ratelimit".parse().unwrap());
        let other = "sanity".parse().unwrap();
        let none = Privileges::default();
        let mut identities = Identities::default();
        let first = identities.of(&publisher, &package, &none).unwrap();
        assert_ne!(identities.of(&publisher, &other, &none).unwrap().user(), first.user());
        assert_eq!(identities.of(&publisher, &package, &none), Some(first));
        assert_eq!(Identities::default().of(&publisher, &package, &none), Some(first));
        let bpf = Privileges::Capabilities(["bpf".parse().unwrap()].into());
        let capable = Identity::Own { user: first.user(), capabilities: 1 << 39 };
        assert_eq!(identities.of(&publisher, &package, &bpf), Some(capable));
        assert_eq!(identities.of(&publisher, &package, &Privileges::Root), Some(Identity::Root));
    }

    #[test]
    fn users_with_a_name_are_read_from_what_lists_them() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbroken\nsomebody:x:61184:61185::/:/bin/false\n";
        assert_eq!(numbers(text), [0, 61_184]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

        #[test]
        fn a_number_is_free_and_from_the_range(name: String, taken: std::collections::BTreeSet<u16>, all_but: bool) {
            // Nearly all are taken, or a few.
            let is_taken = |user: u32| user.try_into().is_ok_and(|user: u16| taken.contains(&user)) != all_but;
            match choose(&name, is_taken) {
                Some(user) => assert!(USERS.contains(&user) && !is_taken(user)),
                None => assert!(USERS.clone().all(is_taken)),
            }
        }
    }
}
