// SPDX-License-Identifier: Apache-2.0
//! What an ID token proves to whoever asked for it (`OpenID` Connect Core 1.0, section 3.1.3.7), once it is known that the issuer
//! made it for this hub and that it counts now.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use door::Claims;
use serde_json::Value;

/// The longest subject (section 2).
const LONGEST: usize = 255;

/// Who came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) subject: String,
    /// What it may be called here.
    pub(super) handle: String,
    /// What people call it.
    pub(super) name: String,
    /// Whether the issuer said what that is.
    pub(super) is_called: bool,
}

impl Person {
    /// Reads the claims of a token that was made for a client, in answer to a request with this nonce.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(claims: &Claims, client: &str, nonce: &str) -> Result<Self, &'static str> {
        let said = text(claims, "nonce").ok_or("it has no `nonce`")?;
        verify_slices_are_equal(said.as_bytes(), nonce.as_bytes())
            .map_err(|_other| "it is of another login: its `nonce` differs")?;
        // Who is meant besides others must be said to be the one that asked.
        let is_for_many = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        match claims.get("azp").and_then(Value::as_str) {
            Some(party) if party != client => return Err("it was asked for by another client"),
            None if is_for_many => return Err("it is for several, and says of none that it asked"),
            Some(_) | None => {}
        }
        let subject = text(claims, "sub").filter(|subject| subject.len() <= LONGEST);
        let subject = subject.ok_or("its `sub` is no plain text of 255 characters at most")?;
        Ok(Self::called(subject, claims))
    }

    /// The same with what the issuer told besides (section 5.3.2).
    ///
    /// # Errors
    /// When that is about somebody else.
    pub(super) fn with(self, more: &Claims) -> Result<Self, &'static str> {
        match more.get("sub") {
            Some(subject) if *subject == *self.subject => Ok(Self::called(&self.subject, more)),
            Some(_) => Err("what it tells besides is about somebody else"),
            None => Ok(self),
        }
    }

    fn called(subject: &str, claims: &Claims) -> Self {
        let called =
            ["preferred_username", "nickname", "name"].into_iter().find_map(|claim| text(claims, claim));
        let name = text(claims, "name").or(called).unwrap_or(subject);
        Self {
            subject: subject.to_owned(),
            handle: handle(called.unwrap_or_default()),
            name: name.chars().take(200).collect(),
            is_called: called.is_some(),
        }
    }
}

/// A claim that is a text and does nothing to a page or a terminal.
fn text<'a>(claims: &'a Claims, claim: &str) -> Option<&'a str> {
    let text = claims.get(claim)?.as_str()?;
    (!text.is_empty() && !text.contains(char::is_control)).then_some(text)
}

/// What is left of a name in a handle: that of a mail address has what stands before its `@`.
fn handle(name: &str) -> String {
    let name = name.split('@').next().unwrap_or_default().to_lowercase();
    let parts = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let mut handle = parts.collect::<Vec<_>>().join("-");
    handle.truncate(32);
    let handle = handle.trim_end_matches('-');
    if handle.len() < 2 { "user".to_owned() } else { handle.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::super::names::Handle;
    use super::*;

    fn read(claims: &Value) -> Result<Person, &'static str> {
        Person::read(claims.as_object().unwrap(), "hub", "n")
    }

    #[test]
    fn a_token_is_for_who_asked_and_for_this_login() {
        let good =
            json!({ "sub": "1", "nonce": "n", "aud": "hub", "preferred_username": "Alice.Doe@example.org" });
        let person = read(&good).unwrap();
        assert_eq!((person.subject.as_str(), person.handle.as_str()), ("1", "alice-doe"));
        for (claim, value, words) in [
            ("nonce", json!("m"), "its `nonce` differs"),
            ("nonce", Value::Null, "no `nonce`"),
            ("azp", json!("other"), "another client"),
            ("aud", json!(["hub", "other"]), "for several"),
            ("sub", json!("a\u{1b}"), "its `sub`"),
            ("sub", json!("a".repeat(256)), "its `sub`"),
        ] {
            let mut bad = good.clone();
            bad[claim] = value;
            let refused = read(&bad).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
        let mut several = good;
        several["aud"] = json!(["hub", "other"]);
        several["azp"] = json!("hub");
        assert!(read(&several).is_ok());
    }

    #[test]
    fn what_is_told_besides_is_about_the_same_person() {
        let person = || read(&json!({ "sub": "1", "nonce": "n" })).unwrap();
        assert!(!person().is_called && person().handle == "user");
        let more = |sub: &str| json!({ "sub": sub, "nickname": "Al" }).as_object().cloned().unwrap();
        assert_eq!(person().with(&more("1")).unwrap().handle, "al");
        assert!(person().with(&more("2")).is_err());
        assert_eq!(person().with(&Claims::new()).unwrap(), person());
    }

    proptest! {
        #[test]
        fn whatever_an_issuer_calls_somebody_becomes_a_handle(name in ".{0,60}") {
            prop_assert!(handle(&name).parse::<Handle>().is_ok(), "{}", handle(&name));
        }
    }
}
