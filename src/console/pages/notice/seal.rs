//! The seal on what a notice says in words that are not this console's.
//!
//! Promises that only this process can make one. A console that did not seal an address shows what it can say by itself.

use std::sync::LazyLock;

use super::Awaited;
use crate::domain::secret::{SecretSource, SystemRandomness};

/// Hexadecimal digits of a seal: 128 bits.
const DIGITS: usize = 32;

/// This process's own; none where the system gives no randomness, and then nothing is sealed.
static KEY: LazyLock<Option<[u8; 32]>> = LazyLock::new(|| {
    let mut key = [0; 32];
    SystemRandomness.fill(&mut key).ok().map(|()| key)
});

/// The seal of what is told of gateways.
pub(super) fn of(awaited: &Awaited) -> Option<String> {
    let mut hasher = blake3::Hasher::new_keyed(KEY.as_ref()?);
    hasher.update(&awaited.until.0.to_le_bytes());
    hasher.update(&awaited.more.to_le_bytes());
    hasher.update(&[u8::from(awaited.are_many)]);
    for name in &awaited.names {
        // With its length, so that no two lists of names read alike.
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
    }
    Some(hasher.finalize().to_hex().chars().take(DIGITS).collect())
}
