//! Whether this process should be sent requests, and which configuration its data plane runs.
//!
//! Promises that readiness is lost and regained without a lock and is seen by the next probe. Knows reasons only
//! from a closed list; never decides on one itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Why the process should not be sent requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotReady {
    /// Listeners or records are not up yet.
    Starting,
    /// A signal to leave came; running requests are finished.
    Draining,
    /// In a fleet: the keys are not loaded yet, or Redis has been out of reach for longer than this gateway may go on.
    Untrusted,
}

impl NotReady {
    const ALL: [NotReady; 3] = [NotReady::Starting, NotReady::Draining, NotReady::Untrusted];

    /// As `/readyz` says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            NotReady::Starting => "starting",
            NotReady::Draining => "draining",
            NotReady::Untrusted => "untrusted",
        }
    }

    const fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

/// The state behind `/readyz`. Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<State>);

#[derive(Debug)]
struct State {
    reasons: AtomicU32,
    generation: AtomicU64,
}

impl Readiness {
    /// Not ready yet: [`NotReady::Starting`] stands until it is unset. The generation is 0.
    pub fn starting() -> Readiness {
        Readiness(Arc::new(State {
            reasons: AtomicU32::new(NotReady::Starting.bit()),
            generation: AtomicU64::new(0),
        }))
    }

    /// From now on `reason` stands against readiness.
    pub fn set(&self, reason: NotReady) {
        self.0.reasons.fetch_or(reason.bit(), Ordering::AcqRel);
    }

    /// From now on `reason` does not stand against readiness.
    pub fn unset(&self, reason: NotReady) {
        self.0.reasons.fetch_and(!reason.bit(), Ordering::AcqRel);
    }

    /// Whether nothing stands against it.
    pub fn is_ready(&self) -> bool {
        self.0.reasons.load(Ordering::Acquire) == 0
    }

    /// What stands against it.
    pub fn reasons(&self) -> Vec<NotReady> {
        let reasons = self.0.reasons.load(Ordering::Acquire);
        NotReady::ALL.into_iter().filter(|reason| reasons & reason.bit() != 0).collect()
    }

    /// The data plane now runs this generation of the configuration.
    pub fn set_generation(&self, generation: u64) {
        self.0.generation.store(generation, Ordering::Release);
    }

    /// The generation of the configuration that the data plane runs; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_only_while_no_reason_stands() {
        let readiness = Readiness::starting();
        assert!(!readiness.is_ready());
        readiness.unset(NotReady::Starting);
        assert!(readiness.is_ready());
        readiness.clone().set(NotReady::Draining);
        assert_eq!(readiness.reasons(), [NotReady::Draining]);
        readiness.set(NotReady::Starting);
        readiness.set(NotReady::Untrusted);
        assert_eq!(readiness.reasons(), NotReady::ALL);
    }
}
