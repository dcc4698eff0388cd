//! Passwords: their rules, their argon2id hashes, and a bound on how many are worked on at once.
//!
//! Promises that checking takes the same work whether or not there is anything to check against, so that nobody learns
//! by time who exists, and that a flood of sign-ins holds a bounded amount of memory. Never logs and never keeps one.

use std::sync::Arc;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::Refused;
use crate::domain::secret::NoRandomness;

/// Shortest password of a person. NIST SP 800-63B section 3.1.1 asks for 8 and no rules of composition; whoever signs
/// in here holds the keys of an organization.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longest, so that hashing has a bound.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Passwords worked on at once. Each takes 19 MiB and some tens of milliseconds of a core.
const AT_ONCE_MAX: usize = 2;
/// Passwords that wait for their turn; more are told to come again.
const WAITING_MAX: usize = 32;
/// A hash that no password has: what is checked against where nothing is stored.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$a2V5c3RpbGUtbm9ib2R5$aGFzaCBvZiBub2JvZHkncyBwYXNzd29yZCAzMiBieXQ";

/// Where passwords are hashed and checked.
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Passwords {
        Passwords {
            turns: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            places: Arc::new(Semaphore::new(AT_ONCE_MAX + WAITING_MAX)),
        }
    }

    /// The argon2id hash of a password, with the crate's parameters (those that OWASP recommends) and a salt of its own.
    pub(super) async fn hash(&self, password: Zeroizing<String>) -> Result<String, Refused> {
        let hashed = self
            .work(move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()));
        // The only failure of hashing a bounded password is that no salt could be drawn.
        hashed.await?.map_err(|_| NoRandomness.into())
    }

    /// Whether `password` is the one that `hash` was made of; never, where there is no hash.
    pub(super) async fn verify(
        &self,
        password: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, Refused> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let there_is_one = hash.is_some();
        let matches = self.work(move || {
            let hash = hash.as_deref().unwrap_or(NOBODYS);
            Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
        });
        Ok(matches.await? && there_is_one)
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refused::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Refused::Interrupted)?;
        let working = tokio::task::spawn_blocking(move || {
            // Given back by the work, not by whoever waits for it: a client that hangs up stops nothing, and a flood of
            // such would otherwise work on as many passwords at once as there are threads.
            let _held = (place, turn);
            work()
        });
        working.await.map_err(|_| Refused::Interrupted)
    }
}

/// The rules of a new password, told at `pointer`.
pub(super) fn check_password(password: &str, pointer: &str) -> Result<(), Refused> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        let detail = format!("expected a password of {PASSWORD_CHARS_MIN} or more characters");
        return Err(Refused::field(pointer, detail));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Refused::field(pointer, format!("expected at most {PASSWORD_BYTES_MAX} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_matches_its_hash_and_nothing_matches_no_hash() {
        let passwords = Passwords::new();
        let word = |text: &str| Zeroizing::new(text.to_owned());
        let hash = passwords.hash(word("correct horse battery")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(word("correct horse battery"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(word("correct horse batter"), Some(hash)).await.unwrap());
        assert!(!passwords.verify(word("correct horse battery"), None).await.unwrap());
    }

    #[test]
    fn nobodys_hash_costs_as_much_as_a_real_one() {
        // Were it not a hash of the same parameters, an unknown address would be answered sooner.
        let parsed = argon2::PasswordHash::new(NOBODYS).unwrap();
        assert_eq!(parsed.params.get_decimal("m"), Some(argon2::Params::DEFAULT.m_cost()));
        assert_eq!(parsed.params.get_decimal("t"), Some(argon2::Params::DEFAULT.t_cost()));
        assert_eq!(parsed.hash.map(|hash| hash.len()), Some(32));
    }

    #[tokio::test]
    async fn more_passwords_than_may_wait_are_told_to_come_again() {
        let passwords = Passwords::new();
        let held = passwords.places.acquire_many(u32::try_from(AT_ONCE_MAX + WAITING_MAX).unwrap()).await;
        let refused = passwords.verify(Zeroizing::new("x".to_owned()), None).await;
        assert!(matches!(refused, Err(Refused::Busy)));
        drop(held);
        assert!(passwords.verify(Zeroizing::new("x".to_owned()), None).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_hangs_up_makes_no_room_for_more_work_at_once() {
        let passwords = Passwords::new();
        let (may_end, ends) = std::sync::mpsc::channel::<()>();
        let (has_begun, begun) = tokio::sync::oneshot::channel::<()>();
        let asked = passwords.work(move || {
            let _ = has_begun.send(());
            // Ends when the test lets go of it.
            let _ = ends.recv();
        });
        tokio::select! {
            _ = asked => panic!("ended by itself"),
            begun = begun => begun.unwrap(),
        }
        assert_eq!(passwords.turns.available_permits(), AT_ONCE_MAX - 1);
        drop(may_end);
        let all = passwords.turns.acquire_many(u32::try_from(AT_ONCE_MAX).unwrap()).await;
        assert!(all.is_ok());
    }
}
