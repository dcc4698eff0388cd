//! How often somebody may try to sign in.
//!
//! Failures are counted in windows of fifteen minutes: of one account from one address, of one account from everywhere,
//! and of one address. A browser that has signed in to the account before is counted by itself. Promises that whoever
//! guesses from elsewhere does not lock out the person (another address, a known browser and the company account still
//! work), that a window ends whatever is tried within it, and that memory is bounded. Keeps hashes, not addresses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::Refused;
use crate::domain::clock::Moment;
use crate::domain::person::Email;

/// How long failures count, from the first.
const WINDOW_MS: u64 = 15 * 60 * 1_000;
/// Failures of one account from one address, or from one known browser.
const ACCOUNT_AND_ADDRESS_MAX: u32 = 10;
/// Failures of one account from all addresses that it is not known at.
const ACCOUNT_MAX: u32 = 100;
/// Failures of one address, over all accounts: an office behind one address types wrong passwords too.
const ADDRESS_MAX: u32 = 100;
/// Counters at once. Where all are in use, the oldest makes room.
const COUNTERS_MAX: usize = 50_000;

/// Counts failures to sign in.
#[derive(Default)]
pub(super) struct Throttle {
    /// A map of its own with a lock of its own: taken once for each try to sign in, never across an await.
    counters: Mutex<HashMap<[u8; 32], Counter>>,
}

#[derive(Clone, Copy)]
struct Counter {
    began_ms: u64,
    failures: u32,
}

/// Who tries.
pub(super) struct Attempt<'a> {
    /// At which account.
    pub(super) email: &'a Email,
    /// From where.
    pub(super) address: Option<IpAddr>,
    /// The hash of what a browser keeps that has signed in to this account before.
    pub(super) known_browser: Option<[u8; 32]>,
}

impl Attempt<'_> {
    fn counters(&self) -> Vec<([u8; 32], u32)> {
        let email = self.email.as_str().as_bytes();
        if let Some(browser) = &self.known_browser {
            return vec![(hash(&[b"browser", browser, email]), ACCOUNT_AND_ADDRESS_MAX)];
        }
        let address = self.address.map(network).unwrap_or_default();
        vec![
            (hash(&[b"account and address", &address, email]), ACCOUNT_AND_ADDRESS_MAX),
            (hash(&[b"account", email]), ACCOUNT_MAX),
            (hash(&[b"address", &address]), ADDRESS_MAX),
        ]
    }
}

/// An address as it is counted: IPv6 by /64, which one subscriber has whole.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

impl Throttle {
    /// Counts a try as failed before it is made, so that many at once are not one; refuses it where too many failed.
    pub(super) fn enter(&self, attempt: &Attempt<'_>, now: Moment) -> Result<(), Refused> {
        let counters = attempt.counters();
        let mut map = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = now.mono_ns / 1_000_000;
        let mut wait_ms = 0;
        for (key, failures_max) in &counters {
            let counter = map.get(key).filter(|counter| now_ms < counter.began_ms + WINDOW_MS);
            if let Some(full) = counter.filter(|counter| counter.failures >= *failures_max) {
                wait_ms = wait_ms.max(full.began_ms + WINDOW_MS - now_ms);
            }
        }
        // What is refused is not counted: a window ends fifteen minutes after it began.
        if wait_ms > 0 {
            return Err(Refused::TooManyAttempts { retry_after_s: wait_ms.div_ceil(1_000) });
        }
        if map.len() + counters.len() > COUNTERS_MAX {
            make_room(&mut map, now_ms);
        }
        for (key, _) in counters {
            let counter = map.entry(key).or_insert(Counter { began_ms: now_ms, failures: 0 });
            if now_ms >= counter.began_ms + WINDOW_MS {
                *counter = Counter { began_ms: now_ms, failures: 0 };
            }
            counter.failures += 1;
        }
        Ok(())
    }

    /// Takes back what [`Throttle::enter`] counted: the try did not fail, or was never made.
    pub(super) fn forgive(&self, attempt: &Attempt<'_>) {
        let mut map = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, _) in attempt.counters() {
            if let Some(counter) = map.get_mut(&key) {
                counter.failures = counter.failures.saturating_sub(1);
            }
        }
    }
}

fn make_room(map: &mut HashMap<[u8; 32], Counter>, now_ms: u64) {
    map.retain(|_, counter| now_ms < counter.began_ms + WINDOW_MS && counter.failures > 0);
    if map.len() < COUNTERS_MAX / 10 * 9 {
        return;
    }
    // A tenth at once, so that a flood pays for the search now and then only.
    let mut began: Vec<u64> = map.values().map(|counter| counter.began_ms).collect();
    let (_, cut, _) = began.select_nth_unstable(COUNTERS_MAX / 10);
    let cut = *cut;
    map.retain(|_, counter| counter.began_ms > cut);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::clock::{Clock, UnixMillis};

    fn attempt<'a>(email: &'a Email, address: &str, browser: Option<[u8; 32]>) -> Attempt<'a> {
        Attempt { email, address: Some(address.parse().unwrap()), known_browser: browser }
    }

    #[test]
    fn guessing_from_one_address_ends_soon_and_does_not_lock_the_person_out() {
        let (throttle, clock) = (Throttle::default(), Clock::manual(UnixMillis(1_000)));
        let ada: Email = "ada@example.com".parse().unwrap();
        let now = clock.now();
        for _ in 0..ACCOUNT_AND_ADDRESS_MAX {
            throttle.enter(&attempt(&ada, "192.0.2.1", None), now).unwrap();
        }
        let refused = throttle.enter(&attempt(&ada, "192.0.2.1", None), now);
        assert!(matches!(refused, Err(Refused::TooManyAttempts { retry_after_s: 900 })), "{refused:?}");
        throttle.enter(&attempt(&ada, "192.0.2.2", None), now).unwrap();
        // Even at the very address of whoever guesses: an office shares one.
        throttle.enter(&attempt(&ada, "192.0.2.1", Some([7; 32])), now).unwrap();
    }

    #[test]
    fn a_window_ends_though_tries_go_on_within_it() {
        let (throttle, clock) = (Throttle::default(), Clock::manual(UnixMillis(1_000)));
        let ada: Email = "ada@example.com".parse().unwrap();
        let mut admitted = 0;
        for _ in 0..=15 * 60 {
            admitted += u32::from(throttle.enter(&attempt(&ada, "192.0.2.1", None), clock.now()).is_ok());
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(admitted, ACCOUNT_AND_ADDRESS_MAX + 1);
    }

    #[test]
    fn a_success_is_not_counted() {
        let (throttle, clock) = (Throttle::default(), Clock::manual(UnixMillis(1_000)));
        let ada: Email = "ada@example.com".parse().unwrap();
        for _ in 0..1_000 {
            throttle.enter(&attempt(&ada, "192.0.2.1", None), clock.now()).unwrap();
            throttle.forgive(&attempt(&ada, "192.0.2.1", None));
        }
    }

    #[test]
    fn guessing_from_everywhere_is_bounded_and_so_is_memory() {
        let (throttle, clock) = (Throttle::default(), Clock::manual(UnixMillis(1_000)));
        let ada: Email = "ada@example.com".parse().unwrap();
        let tries = (0..1_000_u32).filter(|at| {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + at);
            throttle.enter(&attempt(&ada, &address.to_string(), None), clock.now()).is_ok()
        });
        assert_eq!(tries.count(), ACCOUNT_MAX as usize);
        for at in 0..60_000_u32 {
            let email: Email = format!("{at}@example.com").parse().unwrap();
            let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + at);
            let _ = throttle.enter(&attempt(&email, &address.to_string(), None), clock.now());
        }
        assert!(throttle.counters.lock().unwrap().len() <= COUNTERS_MAX);
    }

    #[test]
    fn addresses_of_one_ipv6_subscriber_count_as_one() {
        let (throttle, clock) = (Throttle::default(), Clock::manual(UnixMillis(1_000)));
        let ada: Email = "ada@example.com".parse().unwrap();
        let admitted = (0..100_u16).filter(|at| {
            throttle.enter(&attempt(&ada, &format!("2001:db8::{at:x}"), None), clock.now()).is_ok()
        });
        assert_eq!(admitted.count(), ACCOUNT_AND_ADDRESS_MAX as usize);
    }
}
