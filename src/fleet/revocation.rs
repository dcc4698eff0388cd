//! Waiting until the whole fleet refuses what was revoked (guarantee G1), and telling the truth about it.
//!
//! Owns the verdict on each gateway: it acknowledged, it cannot go on any more, or it is awaited until an instant of this
//! process's own clock. Promises that "complete" is said only when no gateway can start to admit. Never compares the
//! clocks of two machines.

use std::sync::Arc;
use std::time::Duration;

use super::hub::{Phase, Position};
use super::publisher::Publishing;
use super::register::{Lookout, Sighting, Snapshot};
use crate::domain::clock::Clock;

/// Clocks of two machines may run apart by a twentieth.
const CLOCK_RATE_MARGIN: u32 = 20;
/// What a gateway needs to begin cutting once it may not go on.
const CUT_MARGIN: Duration = Duration::from_millis(100);
/// How long a caller is kept waiting beyond the time in which a gateway without `serve_for` ceases to serve.
const ANSWER_MARGIN: Duration = Duration::from_millis(250);

/// How far a change has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether no gateway can start to act by what was before the change.
    pub complete: bool,
    /// Gateways that could when the wait began.
    pub gateways: u32,
    /// Of these, how many said that they have applied it.
    pub confirmed: u32,
    /// The names of those that are awaited.
    pub awaiting: Vec<String>,
    /// How long from now until none of them can act by what was before. `None` where the change has not reached the
    /// hub: then nothing can be promised.
    pub effective_in: Option<Duration>,
}

/// Waits for acknowledgements. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Revoker {
    lookout: Lookout,
    publishing: Publishing,
    clock: Clock,
    trust: Duration,
    overlap: Duration,
}

impl Revoker {
    /// `trust` is what gateways believe their replica for, `overlap` how long a primary that was cut off may go on to
    /// take writes.
    pub fn new(
        lookout: Lookout,
        publishing: Publishing,
        clock: Clock,
        trust: Duration,
        overlap: Duration,
    ) -> Revoker {
        Revoker { lookout, publishing, clock, trust, overlap }
    }

    /// How long gateways believe their replica.
    pub(super) fn trust(&self) -> Duration {
        self.trust
    }

    /// How long a primary that was cut off may go on to take writes.
    pub(super) fn overlap(&self) -> Duration {
        self.overlap
    }

    /// The register as it was read last.
    pub(super) fn last(&self) -> Arc<Snapshot> {
        Arc::clone(&self.lookout.snapshots().borrow())
    }

    /// The register as it is from now on; `None` where it cannot be read within `wait_max`.
    pub(super) async fn look(&self, wait_max: Duration) -> Option<Arc<Snapshot>> {
        let hurry = self.lookout.hurry();
        let begun_ns = self.clock.mono_ns();
        let mut snapshots = self.lookout.snapshots();
        let looked =
            tokio::time::timeout(wait_max, snapshots.wait_for(|snapshot| snapshot.begun_ns >= begun_ns));
        let snapshot = looked.await.ok()?.ok().map(|snapshot| Arc::clone(&snapshot));
        drop(hurry);
        snapshot
    }

    /// Waits until the fleet has applied change `seq`, at most a little longer than trust lasts.
    pub async fn settle(&self, seq: u64) -> Confirmation {
        let trust_ms = u64::try_from(self.trust.as_millis()).unwrap_or(u64::MAX);
        self.settle_within(seq, goes_on(trust_ms) + ANSWER_MARGIN).await
    }

    /// Waits until the fleet has applied change `seq`, at most `wait_max`.
    pub async fn settle_within(&self, seq: u64, wait_max: Duration) -> Confirmation {
        self.publishing.wake();
        let hurry = self.lookout.hurry();
        let mut wait = Wait { seq, begun_ns: self.clock.mono_ns(), published: None, overlap: self.overlap };
        let mut snapshots = self.lookout.snapshots();
        let deadline = tokio::time::Instant::now() + wait_max;
        let mut verdict = Confirmation::unpublished();
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            if snapshot.begun_ns >= wait.begun_ns {
                verdict = wait.judge(&snapshot, self.clock.mono_ns());
                if verdict.complete {
                    break;
                }
            }
            // A deadline, or a reader that is gone with its process.
            if !matches!(tokio::time::timeout_at(deadline, snapshots.changed()).await, Ok(Ok(()))) {
                break;
            }
        }
        drop(hurry);
        verdict
    }
}

/// Whether every gateway that may hold grants of an earlier epoch has declared them in `epoch`, or cannot go on.
pub(super) fn may_open_ledger(snapshot: &Snapshot, epoch: u64, overlap: Duration, now_ns: u64) -> bool {
    let is_current = snapshot.head.is_some_and(|head| head.epoch == epoch);
    let over = |goes_on_ms| {
        let until = nanos(goes_on(goes_on_ms) + overlap).saturating_add(snapshot.epoch_seen_ns);
        until <= now_ns
    };
    let has_declared = |sight: &Sighting| {
        let presence = &sight.registered.presence;
        // One that has seen the epoch lives and spends on what it holds, until it has said so.
        presence.declared >= epoch || (presence.epoch < epoch && over(presence.goes_on_ms))
    };
    is_current
        && snapshot.gateways.iter().all(has_declared)
        && snapshot.missing.iter().all(|known| over(known.goes_on_ms))
}

/// One wait.
struct Wait {
    seq: u64,
    begun_ns: u64,
    /// In which epoch and when the change was first known to be in the feed.
    published: Option<(u64, u64)>,
    overlap: Duration,
}

/// What is known of one gateway.
enum Verdict {
    /// It has applied the change, or will have before it serves.
    Confirmed,
    /// It could not act any more when the wait began.
    Over,
    /// It can act until this instant, which may have passed.
    Until(u64),
}

impl Wait {
    fn judge(&mut self, snapshot: &Snapshot, now_ns: u64) -> Confirmation {
        let Some(head) = snapshot.head else { return Confirmation::unpublished() };
        if head.seq < self.seq {
            return Confirmation::unpublished();
        }
        // Feed and register are of one instant: whoever is not among them registers after the publication, and loads what
        // contains it. Of another epoch nothing is known before it was seen to contain the change.
        let published_ns = match self.published {
            Some((epoch, published_ns)) if epoch == head.epoch => published_ns,
            Some(_) | None => now_ns,
        };
        self.published = Some((head.epoch, published_ns));
        let mut answer = Confirmation {
            complete: true,
            gateways: 0,
            confirmed: 0,
            awaiting: Vec::new(),
            effective_in: Some(Duration::ZERO),
        };
        for sight in &snapshot.gateways {
            let verdict = self.of_registered(sight, head, snapshot.epoch_seen_ns, published_ns);
            answer.add(verdict, &sight.registered.presence.name, snapshot.begun_ns, now_ns);
        }
        for known in &snapshot.missing {
            let until = snapshot.epoch_seen_ns.saturating_add(self.lost_ns(known.goes_on_ms));
            let verdict = if until <= self.begun_ns { Verdict::Over } else { Verdict::Until(until) };
            answer.add(verdict, &known.name, snapshot.begun_ns, now_ns);
        }
        answer
    }

    fn of_registered(
        &self,
        sight: &Sighting,
        head: Position,
        epoch_seen_ns: u64,
        published_ns: u64,
    ) -> Verdict {
        let presence = &sight.registered.presence;
        let has_applied =
            presence.applied.is_some_and(|applied| applied.epoch == head.epoch && applied.seq >= self.seq);
        let until = if presence.epoch == head.epoch {
            if has_applied {
                return Verdict::Confirmed;
            }
            if presence.phase == Phase::Loading {
                // It serves nobody, and follows a sync that comes after this one before it does.
                return Verdict::Confirmed;
            }
            // Whatever it syncs with after the publication contains the change.
            let last_ns = published_ns.min(sight.sign_ns);
            last_ns.saturating_add(nanos(goes_on(presence.goes_on_ms)))
        } else {
            // It has not seen this epoch: an earlier server may have vouched to it for as long as that could.
            epoch_seen_ns.saturating_add(self.lost_ns(presence.goes_on_ms))
        };
        if until <= self.begun_ns { Verdict::Over } else { Verdict::Until(until) }
    }

    /// How long after a new epoch a gateway may go on that has not been seen in it.
    fn lost_ns(&self, goes_on_ms: u64) -> u64 {
        nanos(goes_on(goes_on_ms) + self.overlap)
    }
}

impl Confirmation {
    fn unpublished() -> Confirmation {
        Confirmation { complete: false, gateways: 0, confirmed: 0, awaiting: Vec::new(), effective_in: None }
    }

    /// Judges by the instant of the reading: what has run out since then may have been given anew.
    fn add(&mut self, verdict: Verdict, name: &str, read_ns: u64, now_ns: u64) {
        match verdict {
            Verdict::Over => {}
            Verdict::Confirmed => {
                self.gateways += 1;
                self.confirmed += 1;
            }
            // It never said so, and cannot act any more.
            Verdict::Until(until) if until <= read_ns => self.gateways += 1,
            Verdict::Until(until) => {
                self.gateways += 1;
                self.complete = false;
                self.awaiting.push(name.to_owned());
                let left = Duration::from_nanos(until.saturating_sub(now_ns));
                self.effective_in = self.effective_in.map(|longest| longest.max(left));
            }
        }
    }
}

/// How long a gateway may go on that says so many milliseconds of its own clock, by any clock, cutting included.
pub(super) fn goes_on(goes_on_ms: u64) -> Duration {
    let said = Duration::from_millis(goes_on_ms);
    said.saturating_add(said / CLOCK_RATE_MARGIN).saturating_add(CUT_MARGIN)
}

pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
