// SPDX-License-Identifier: Apache-2.0
//! Passwords of local accounts, as argon2id keeps them (RFC 9106).
//!
//! A password costs memory and time on purpose, so few are computed at once and none on a thread that answers others.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use aws_lc_rs::rand;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// The fewest characters of a password (NIST SP 800-63B, 3.1.1.2, for one that stands alone).
const FEWEST: usize = 15;
/// The most bytes; more would only cost time.
const MOST: usize = 1024;
/// How many are computed at once; each takes 19 MiB.
const AT_ONCE: usize = 1;

/// Computes passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    room: Arc<Semaphore>,
    /// What is compared where there is no such account, so that this takes as long.
    nobody: Hashed,
}

/// What is kept of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hashed(String);

/// A password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unfit {
    /// Too short.
    #[error("a password has {FEWEST} characters at least")]
    Short,
    /// Too long.
    #[error("a password has {MOST} bytes at most")]
    Long,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(AT_ONCE)), nobody: hash("nobody has this password") }
    }

    /// What to keep of a new password.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub(crate) async fn take(&self, password: &str) -> Result<Hashed, Unfit> {
        if password.chars().count() < FEWEST {
            return Err(Unfit::Short);
        }
        if password.len() > MOST {
            return Err(Unfit::Long);
        }
        let password = password.to_owned();
        Ok(self.compute(move || hash(&password)).await)
    }

    /// Whether a password is the one that was taken; never where there is none.
    pub(crate) async fn is_right(&self, password: &str, kept: Option<&Hashed>) -> bool {
        if password.len() > MOST {
            return false;
        }
        let (password, kept_is_there) = (password.to_owned(), kept.is_some());
        let kept = kept.unwrap_or(&self.nobody).clone();
        let is_same = move || Argon2::default().verify_password(password.as_bytes(), &*kept.0).is_ok();
        self.compute(is_same).await && kept_is_there
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.room).acquire_owned().await.expect("it is never closed");
        let worked = spawn_blocking(move || (work(), permit)).await;
        worked.expect("what is computed does not panic").0
    }
}

impl Hashed {
    /// As it was kept.
    pub(super) fn kept(text: String) -> Self {
        Self(text)
    }

    /// As it is kept: a PHC string.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn hash(password: &str) -> Hashed {
    let mut salt = [0; 16];
    rand::fill(&mut salt).expect("the kernel gives random bytes");
    let hashed = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    Hashed(hashed.expect("the parameters and the salt are in range").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_where_it_was_taken_and_nowhere_else() {
        let passwords = Passwords::new();
        let kept = passwords.take("correct horse battery").await.unwrap();
        assert!(kept.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept:?}");
        assert!(passwords.is_right("correct horse battery", Some(&kept)).await);
        assert!(!passwords.is_right("correct horse batterz", Some(&kept)).await);
        assert!(!passwords.is_right("nobody has this password", None).await);
    }

    #[tokio::test]
    async fn a_password_is_neither_short_nor_endless() {
        let passwords = Passwords::new();
        assert_eq!(passwords.take("fourteen chars").await, Err(Unfit::Short));
        assert_eq!(passwords.take(&"x".repeat(MOST + 1)).await, Err(Unfit::Long));
        assert!(!passwords.is_right(&"x".repeat(MOST + 1), None).await);
    }
}
