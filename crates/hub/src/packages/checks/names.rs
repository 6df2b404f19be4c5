// SPDX-License-Identifier: Apache-2.0
//! Names that could be taken for others. People decide: a warning here is looked at by a reviewer whatever the policy says.

use strsim::osa_distance;
use wire::hub::{Finding, Level};

use super::{Subject, finding};

/// The name of this check.
pub(in crate::packages) const NAME: &str = "name";

/// Shorter names than this differ in one letter from too many.
const SHORT: usize = 5;
/// As many similar names are told.
const MANY: usize = 5;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    // People know it already.
    if subject.public().next().is_some() {
        return Vec::new();
    }
    let own = (subject.release.publisher.as_str(), subject.release.name.as_str());
    let others = subject.known.iter().filter_map(|known| known.split_once('/'));
    let similar = others.filter_map(|other| likeness(own, other).map(|how| (other, how)));
    let told = similar.take(MANY).map(|((publisher, name), how)| {
        let hint = "if it is meant to be something else, say so in its description, or choose another name";
        finding(Level::Warn, format!("its name {how} the known `{publisher}/{name}`"), hint)
    });
    told.collect()
}

/// How one name could be taken for another; none where it could not.
fn likeness(own: (&str, &str), other: (&str, &str)) -> Option<&'static str> {
    if own.0 == other.0 {
        return None;
    }
    if skeleton(own.0) == skeleton(other.0) {
        return Some("has a publisher who looks like that of");
    }
    if own.1 == other.1 {
        return Some("is the same as that of");
    }
    if skeleton(own.1) == skeleton(other.1) {
        return Some("looks like that of");
    }
    let is_long = own.1.len() >= SHORT && other.1.len() >= SHORT;
    (is_long && osa_distance(own.1, other.1) == 1).then_some("is one letter away from")
}

/// A name without what eyes pass over. Names have only lower-case letters, digits and dashes (`package::PackageName`).
fn skeleton(name: &str) -> String {
    let plain: String = name.chars().filter(|letter| *letter != '-').map(plain).collect();
    plain.replace("rn", "m").replace("vv", "w").replace("cl", "d")
}

fn plain(letter: char) -> char {
    match letter {
        '0' => 'o',
        '1' | 'i' => 'l',
        '5' => 's',
        '8' => 'b',
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::likeness;

    #[test]
    fn names_that_eyes_take_for_others_are_told() {
        let own = ("mallory", "ratelimit");
        for (publisher, name) in [
            ("l3af", "ratelimit"),
            ("l3af", "rate-limit"),
            ("l3af", "rate1imit"),
            ("l3af", "raetlimit"),
            ("l3af", "ratelimits"),
            ("rnallory", "other"),
        ] {
            assert!(likeness(own, (publisher, name)).is_some(), "{publisher}/{name}");
        }
        for (publisher, name) in
            [("mallory", "ratelimits"), ("l3af", "connlimit"), ("l3af", "ratelimit-tests")]
        {
            assert_eq!(likeness(own, (publisher, name)), None, "{publisher}/{name}");
        }
        assert_eq!(likeness(("a", "top"), ("b", "tap")), None, "short names are often near each other");
    }
}
