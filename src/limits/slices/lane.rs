//! A lane to the ledger: what waits for its next exchange, and whether it answers at present.
//!
//! Promises one exchange at a time, that a request which waits starts one at once, that what nobody waits for is
//! gathered for a moment, and that a lane which fails is tried again at a steady pace.

use std::time::Duration;

use tokio::time::Instant;

use super::ask::{SliceAnswer, SliceAsk, SliceError, SliceLedger};
use crate::domain::id::KeyId;
use crate::limits::renewal::RENEW_WAIT_MAX;

/// Longest that renewals nobody waits for are gathered.
const GATHER: Duration = Duration::from_millis(50);
/// Time between two tries of a lane that fails.
pub(super) const RETRY: Duration = Duration::from_millis(250);
/// Accounts in one exchange.
const BATCH_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Each account is queued once, so both are bounded by the accounts that are held.
    urgent: Vec<KeyId>,
    gathered: Vec<KeyId>,
    gather_until: Option<Instant>,
    /// Whether an exchange is under way.
    pub(super) flying: bool,
    /// Whether the last exchange failed.
    pub(super) away: bool,
    retry_at: Option<Instant>,
}

impl Lane {
    pub(super) fn push(&mut self, key: KeyId, urgent: bool, now: Instant) {
        if urgent {
            self.urgent.push(key);
        } else {
            self.gathered.push(key);
            self.gather_until.get_or_insert(now + GATHER);
        }
    }

    /// When there is something to do next; `None` where nothing is, or an exchange is under way.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let due = match self.gather_until {
            _ if self.flying => return None,
            _ if !self.urgent.is_empty() => now,
            Some(until) => until,
            None => return None,
        };
        Some(self.retry_at.map_or(due, |retry_at| due.max(retry_at)))
    }

    /// The accounts of the next exchange. What is gathered goes along with what is urgent.
    pub(super) fn take(&mut self) -> Vec<KeyId> {
        let mut keys = std::mem::take(&mut self.urgent);
        keys.append(&mut self.gathered);
        self.gather_until = None;
        if keys.len() > BATCH_MAX {
            self.urgent = keys.split_off(BATCH_MAX);
        }
        keys
    }

    /// Notes how an exchange ended.
    pub(super) fn landed(&mut self, answered: bool, now: Instant) {
        self.flying = false;
        self.away = !answered;
        self.retry_at = (!answered).then(|| now + RETRY);
    }
}

/// One exchange, in bounded time.
pub(super) async fn exchange<S: SliceLedger>(
    ledger: &S,
    asks: &[SliceAsk],
) -> Result<Vec<SliceAnswer>, SliceError> {
    let answers = match tokio::time::timeout(RENEW_WAIT_MAX, ledger.exchange(asks)).await {
        Ok(answers) => answers?,
        Err(_) => return Err(SliceError(String::from("the ledger did not answer in time"))),
    };
    if answers.len() == asks.len() {
        Ok(answers)
    } else {
        Err(SliceError(String::from("the ledger gave another number of answers than asked")))
    }
}

/// Says once when a lane begins to fail, and once when it answers again.
pub(super) fn note(was_away: bool, error: Option<&SliceError>) {
    match error {
        Some(error) if !was_away => tracing::warn!(
            %error,
            "the fleet's ledger does not answer: limits go on from what this gateway holds of them"
        ),
        None if was_away => tracing::info!("the fleet's ledger answers again"),
        Some(_) | None => {}
    }
}
