//! What clients of a fleet saw: requests, running answers, deletions, and when, on the one clock of the test.
//!
//! Owns the record; `judge` says what it proves. Promises that an instant is taken before a request's first byte is sent
//! and after its answer's last byte is there: what happened lies in between. Never asks a gateway about itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keystile::domain::clock::{Clock, Moment, UnixMillis};
use serde_json::Value;

use super::management::{Key, Management};
use super::upstream::Upstream;

/// Nanoseconds since the record began.
pub(crate) type At = u64;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// One request of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Stands in the request's path, so that the upstream tells which ones reached it.
    pub(crate) number: u64,
    /// Id of the key.
    pub(crate) key: String,
    /// Which gateway, counted from 0.
    pub(crate) gateway: usize,
    /// Before its first byte was sent.
    pub(crate) sent: At,
    /// Status, and when the answer was whole. `None` where none came: whether it was admitted is not known from it.
    pub(crate) answer: Option<(u16, At)>,
}

/// An event stream or a socket: an answer that goes on until somebody ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Id of the key.
    pub(crate) key: String,
    /// Which gateway, counted from 0.
    pub(crate) gateway: usize,
    /// When the head of the answer was there.
    pub(crate) begun: At,
    /// When the client saw its end; `None` while it runs.
    pub(crate) ended: Option<At>,
}

/// A key that was taken away, or may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// Id of the key.
    pub(crate) key: String,
    /// Before the call was made: until then the key was good.
    pub(crate) sent: At,
    /// From when on no gateway may admit it. `None` where the console promised nothing.
    pub(crate) holds_from: Option<At>,
}

/// A span in which a gateway's process stood still: what was sent to it meanwhile was looked at after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Which gateway, counted from 0.
    pub(crate) gateway: usize,
    /// When it was seen to stand still.
    pub(crate) from: At,
    /// Before it was let go on; `None` while it stands.
    pub(crate) until: Option<At>,
}

/// All that was seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) runs: Vec<Run>,
    pub(crate) deletions: Vec<Deletion>,
    pub(crate) pauses: Vec<Pause>,
    /// Numbers of the attempts that reached the upstream.
    pub(crate) reached: BTreeSet<u64>,
    /// Wall-clock time of instant 0, for calendar windows.
    pub(crate) began_unix_ms: u64,
}

/// The record while it is being written, shared by the threads of a test.
#[derive(Clone)]
pub(crate) struct Log(Arc<Shared>);

struct Shared {
    clock: Clock,
    began: Moment,
    numbers: AtomicU64,
    history: Mutex<History>,
}

impl Log {
    pub(crate) fn begin() -> Log {
        let clock = Clock::system();
        let began = clock.now();
        let history = History { began_unix_ms: began.unix.0, ..History::default() };
        Log(Arc::new(Shared { clock, began, numbers: AtomicU64::new(0), history: Mutex::new(history) }))
    }

    /// Now.
    pub(crate) fn at(&self) -> At {
        self.0.clock.now().nanos_since(self.0.began)
    }

    /// A number for the next attempt.
    pub(crate) fn number(&self) -> u64 {
        self.0.numbers.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn add(&self, attempt: Attempt) {
        self.history().attempts.push(attempt);
    }

    /// How many attempts have been answered with this status.
    pub(crate) fn answered(&self, status: u16) -> usize {
        let is_it = |attempt: &&Attempt| attempt.answer.is_some_and(|(own, _)| own == status);
        self.history().attempts.iter().filter(is_it).count()
    }

    /// As [`Log::answered`], of one gateway and sent after `since`.
    pub(crate) fn answered_by(&self, gateway: usize, status: u16, since: At) -> usize {
        let is_it = |attempt: &&Attempt| {
            attempt.gateway == gateway
                && attempt.sent >= since
                && attempt.answer.is_some_and(|(own, _)| own == status)
        };
        self.history().attempts.iter().filter(is_it).count()
    }

    /// An answer began that goes on. The number is for [`Log::run_ended`].
    pub(crate) fn run_began(&self, key: &Key, gateway: usize) -> usize {
        let begun = self.at();
        let mut history = self.history();
        history.runs.push(Run { key: key.id.clone(), gateway, begun, ended: None });
        history.runs.len() - 1
    }

    pub(crate) fn run_ended(&self, run: usize) {
        let at = self.at();
        self.history().runs[run].ended = Some(at);
    }

    /// How many running answers have not ended.
    pub(crate) fn running(&self) -> usize {
        self.history().runs.iter().filter(|run| run.ended.is_none()).count()
    }

    /// A gateway stands still from now on.
    pub(crate) fn paused(&self, gateway: usize) {
        let from = self.at();
        self.history().pauses.push(Pause { gateway, from, until: None });
    }

    /// It is about to be let go on.
    pub(crate) fn goes_on(&self, gateway: usize) {
        let until = self.at();
        let mut history = self.history();
        let pause =
            history.pauses.iter_mut().rfind(|pause| pause.gateway == gateway).expect("it stood still");
        pause.until = Some(until);
    }

    /// Deletes a key and writes down what was promised: with 200 from the answer on, with 202 from `effectiveBy` on.
    pub(crate) fn delete(&self, management: &Management, key: &Key) -> (u16, Value) {
        let sent = self.at();
        let (status, answer) = management.call("DELETE", &key.path, None);
        let answered = self.at();
        let holds_from = match status {
            200 => Some(answered),
            202 => answer["revocation"]["effectiveBy"].as_str().map(|text| self.at_wall(text)),
            _ => None,
        };
        self.history().deletions.push(Deletion { key: key.id.clone(), sent, holds_from });
        (status, answer)
    }

    /// The instant of a time in RFC 3339; the first one that is not before it.
    pub(crate) fn at_wall(&self, text: &str) -> At {
        let wall = UnixMillis::parse_rfc3339(text).unwrap_or_else(|| panic!("not a time: {text}"));
        (wall.0 + 1).saturating_sub(self.0.began.unix.0) * NANOS_PER_MILLI
    }

    /// What was seen so far, with what reached the upstream.
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        // A client that panicked must not hide what was seen from the test's own message.
        self.0.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, for judging; `upstream` says which attempts reached it.
    pub(crate) fn close(&self, upstream: &Upstream) -> History {
        let mut history = self.history().clone();
        history.reached = upstream.seen().iter().filter_map(|seen| number_in(seen.head.word(1))).collect();
        history
    }
}

/// The request target of an attempt at the gateway.
pub(crate) fn target_of(number: u64) -> String {
    format!("/agents/echo/n{number}")
}

/// The attempt's number in a target that reached the upstream.
fn number_in(target: &str) -> Option<u64> {
    target.rsplit('/').next()?.strip_prefix('n')?.parse().ok()
}
