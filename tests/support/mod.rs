//! What black-box tests stand on: the real binary in a folder of its own, an upstream that does what a test says, and
//! a client that sends exact bytes.
//!
//! Promises free ports, no sleeps, and a watchdog on every wait, so that a broken guarantee fails a test instead of
//! hanging it. Never reaches into the library: a test sees what a client, an operator or an upstream sees.
#![allow(dead_code, unused_imports, reason = "each test target uses its own part of the support")]

use std::time::Duration;

pub(crate) mod client;
pub(crate) mod fault_proxy;
pub(crate) mod fleet;
pub(crate) mod gateway;
pub(crate) mod history;
pub(crate) mod judge;
pub(crate) mod management;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod scene;
pub(crate) mod settings;
pub(crate) mod traffic;
pub(crate) mod upstream;
pub(crate) mod wire;

pub(crate) use client::{Client, Request, Response};
pub(crate) use gateway::Gateway;
pub(crate) use scene::Scene;
pub(crate) use settings::Settings;
pub(crate) use upstream::{Exchange, Next, Upstream};

/// No wait of a test is longer. Far above what any step takes on a busy machine; nothing is measured against it.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(30);

/// Asks again until `holds`, for what settles after an answer was sent (metrics, counters).
///
/// # Panics
/// Where it does not come to hold.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = keystile::domain::clock::Clock::system();
    let began = clock.now();
    while !holds() {
        let waited_ns = u128::from(clock.now().nanos_since(began));
        assert!(waited_ns < WATCHDOG.as_nanos(), "it did not come to hold that {what}");
        // What is waited for needs the processor more than the asking does.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// A well-formed key that nobody issued.
pub(crate) fn unknown_key() -> String {
    use keystile::domain::secret::{SecretFormat, SystemRandomness};
    SecretFormat::keys().generate(&mut SystemRandomness).unwrap().expose().to_owned()
}
