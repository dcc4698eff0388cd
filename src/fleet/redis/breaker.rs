//! The breaker before a connection: after repeated failures, calls fail at once and few try.
//!
//! Promises that somebody tries at least once in [`WAIT_MAX`], so that an outage is noticed to be over, and that the
//! tries of many processes do not fall together.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::secret::{SecretSource, SystemRandomness};

/// Failures in a row that open it: one may be a broken connection, two an old and a new one.
const FAILURES: u32 = 3;
/// First wait before somebody tries.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// Longest wait before somebody tries. Waits are between a half of it and all of it.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The state of a breaker. All instants are read by the caller.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    wait: Duration,
    /// From when on one call may try.
    tries_at: Option<Instant>,
}

impl Breaker {
    pub(super) fn new() -> Breaker {
        Breaker { failures: 0, wait: WAIT_MIN, tries_at: None }
    }

    /// Whether a call may be made at `now`. While the breaker is open, one is let through per wait.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        match self.tries_at {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                // Whoever tries may be given up on without a word: then the next one tries after as long again.
                self.tries_at = Some(now + jittered(self.wait));
                true
            }
        }
    }

    /// A call was answered.
    pub(super) fn succeeded(&mut self) {
        *self = Breaker::new();
    }

    /// A call was not answered. Gives whether the breaker is open now.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return false;
        }
        self.tries_at = Some(now + jittered(self.wait));
        self.wait = (self.wait * 2).min(WAIT_MAX);
        true
    }
}

/// Between a half of `wait` and all of it.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [u8::MAX];
    // Without randomness the whole wait will do.
    let _ = SystemRandomness.fill(&mut byte);
    wait.mul_f64(0.5 + f64::from(byte[0]) / 510.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn repeated_failures_open_it_one_call_tries_at_a_time_and_success_closes_it() {
        let mut breaker = Breaker::new();
        assert!(breaker.admits(Instant::now()) && !breaker.failed(Instant::now()));
        assert!(breaker.admits(Instant::now()) && !breaker.failed(Instant::now()));
        assert!(breaker.admits(Instant::now()) && breaker.failed(Instant::now()));
        assert!(!breaker.admits(Instant::now()));
        tokio::time::advance(WAIT_MAX).await;
        assert!(breaker.admits(Instant::now()), "one may try");
        assert!(!breaker.admits(Instant::now()), "and one alone");
        breaker.succeeded();
        assert!(breaker.admits(Instant::now()) && breaker.admits(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn however_long_it_fails_somebody_tries_once_in_the_longest_wait() {
        let mut breaker = Breaker::new();
        for _ in 0..50 {
            breaker.failed(Instant::now());
            tokio::time::advance(WAIT_MAX).await;
            assert!(breaker.admits(Instant::now()));
        }
    }
}
