//! Asking again, with a bound: what a test waits for is asked of the browser until it holds or the watchdog ends it.

use keystile::domain::clock::{Clock, Moment};

use crate::support::WATCHDOG;

/// One turn for each question; no more once the watchdog's time has passed.
pub(crate) struct Turns {
    clock: Clock,
    began: Moment,
}

impl Turns {
    pub(crate) fn new() -> Turns {
        let clock = Clock::system();
        Turns { began: clock.now(), clock }
    }
}

impl Iterator for Turns {
    type Item = ();

    fn next(&mut self) -> Option<()> {
        // Answers come over a socket, so that no turn spins.
        let waited_ns = u128::from(self.clock.now().nanos_since(self.began));
        (waited_ns < WATCHDOG.as_nanos()).then_some(())
    }
}
