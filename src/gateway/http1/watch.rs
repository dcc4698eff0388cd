//! What the worker knows of one connection from outside its task: its deadline, and whether its key was cut.
//!
//! A deadline costs one store: the worker looks over all watches at every tick instead of arming a timer for each
//! request. Promises that no wait on a peer is unbounded where a deadline is set, and that a cut connection is
//! dropped at its next wait, mid-response if need be. Precise to a tick.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::domain::id::KeyId;
use crate::keytable::CutScope;

/// How often the worker looks; the precision of every timeout.
pub(crate) const TICK: Duration = Duration::from_millis(50);
const NEVER: u64 = u64::MAX;

/// The deadline passed before the wait was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimedOut;

/// Why a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its key may not be used any more.
    Revoked,
    /// The gateway leaves.
    Leaving,
}

/// One connection, as its worker sees it.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The worker's time, in milliseconds, shared by reading it at each tick.
    now_ms: Cell<u64>,
    deadline_ms: Cell<u64>,
    /// An upper bound over the waits of one request: `total`.
    ceiling_ms: Cell<u64>,
    expired: Cell<bool>,
    cut: Cell<Option<Cause>>,
    /// The client of a cut connection was told so, and may be let go in order.
    parted: Cell<bool>,
    /// Between requests: leaving closes it at once.
    idle: Cell<bool>,
    key: Cell<Option<KeyId>>,
    waker: RefCell<Option<Waker>>,
    /// Its place in the worker's list.
    pub(crate) place: Cell<usize>,
}

impl Watch {
    pub(crate) fn new(now_ms: u64) -> Watch {
        Watch {
            now_ms: Cell::new(now_ms),
            deadline_ms: Cell::new(NEVER),
            ceiling_ms: Cell::new(NEVER),
            expired: Cell::new(false),
            cut: Cell::new(None),
            parted: Cell::new(false),
            idle: Cell::new(false),
            key: Cell::new(None),
            waker: RefCell::new(None),
            place: Cell::new(0),
        }
    }

    /// From now on, waits end after `timeout`; replaces the deadline before.
    pub(crate) fn set_deadline(&self, timeout: Duration) {
        let deadline = self.after(timeout).min(self.ceiling_ms.get());
        self.deadline_ms.set(deadline);
        self.expired.set(deadline <= self.now_ms.get());
    }

    /// No deadline set later lies beyond `timeout` from now.
    pub(crate) fn set_ceiling(&self, timeout: Option<Duration>) {
        self.ceiling_ms.set(timeout.map_or(NEVER, |timeout| self.after(timeout)));
    }

    /// One tick is added because the worker's time may lag by one.
    fn after(&self, timeout: Duration) -> u64 {
        let millis = u64::try_from((timeout + TICK).as_millis()).unwrap_or(NEVER);
        self.now_ms.get().saturating_add(millis)
    }

    /// The key whose request runs here, none between requests.
    pub(crate) fn set_key(&self, key: Option<KeyId>) {
        self.key.set(key);
    }

    pub(crate) fn set_idle(&self, idle: bool) {
        self.idle.set(idle);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.idle.get()
    }

    /// Whether the deadline has passed since it was last set.
    pub(crate) fn has_expired(&self) -> bool {
        self.expired.get()
    }

    /// The worker's tick.
    pub(crate) fn tick(&self, now_ms: u64) {
        self.now_ms.set(now_ms);
        if now_ms >= self.deadline_ms.get() && !self.expired.replace(true) {
            self.wake();
        }
    }

    /// Cuts the connection if it serves a key of `scope`. Says whether it did.
    pub(crate) fn cut_if_serving(&self, scope: &CutScope) -> bool {
        let serves = self.key.get().is_some_and(|key| scope.covers(key));
        if serves {
            self.cut(Cause::Revoked);
        }
        serves
    }

    /// Drops the connection at its next wait.
    pub(crate) fn cut(&self, cause: Cause) {
        self.cut.set(Some(cause));
        self.wake();
    }

    /// Why the connection is cut, where it is.
    pub(crate) fn cut_cause(&self) -> Option<Cause> {
        self.cut.get()
    }

    /// Says that the client of this cut connection knows of it.
    pub(crate) fn set_parted(&self) {
        self.parted.set(true);
    }

    /// Whether it does. What was cut is gone: the connection may have its last turns.
    pub(crate) fn part(&self) -> bool {
        self.cut.set(None);
        self.key.set(None);
        self.parted.get()
    }

    /// Lets the connection's task look around.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Runs a connection to its end, or until it is cut (`None`).
    pub(crate) async fn supervise<T>(&self, task: impl Future<Output = T>) -> Option<T> {
        let mut task = pin!(task);
        poll_fn(|cx| {
            if self.cut.get().is_some() {
                return Poll::Ready(None);
            }
            let mut waker = self.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            drop(waker);
            task.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Waits for `poll`, at most until the deadline.
    pub(crate) async fn wait<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, TimedOut> {
        poll_fn(|cx| match poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.expired.get() => Poll::Ready(Err(TimedOut)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_kept_and_the_ceiling_bounds_it() {
        let watch = Watch::new(1_000);
        watch.set_deadline(Duration::from_millis(100));
        watch.tick(1_149);
        assert!(!watch.has_expired());
        watch.tick(1_150);
        assert!(watch.has_expired());
        watch.set_ceiling(Some(Duration::from_millis(10)));
        watch.set_deadline(Duration::from_secs(60));
        assert!(!watch.has_expired());
        watch.tick(1_210);
        assert!(watch.has_expired());
    }

    #[tokio::test]
    async fn a_cut_connection_is_dropped_at_its_next_wait() {
        let watch = Watch::new(0);
        let key = KeyId::generate();
        watch.set_key(Some(key));
        assert!(!watch.cut_if_serving(&CutScope::Keys([KeyId::generate()].into())));
        assert!(watch.cut_if_serving(&CutScope::Keys([key].into())));
        assert_eq!(watch.supervise(std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn a_cut_connection_has_its_last_turns_only_where_it_was_parted_from() {
        let watch = Watch::new(0);
        watch.set_key(Some(KeyId::generate()));
        watch.cut(Cause::Revoked);
        assert_eq!(watch.cut_cause(), Some(Cause::Revoked));
        assert!(!watch.part());
        watch.cut(Cause::Leaving);
        watch.set_parted();
        assert!(watch.part());
        assert!(!watch.cut_if_serving(&CutScope::All), "what was cut is not cut again");
        assert_eq!(watch.supervise(std::future::ready(())).await, Some(()));
    }
}
