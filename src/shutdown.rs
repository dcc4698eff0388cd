//! From a signal to the end: when to leave, told to whoever waits.
//!
//! Promises that SIGTERM and SIGINT begin an orderly end, and that a second one does not wait. Never ends the process
//! itself: `app` does, in order.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the process to leave.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Leave: finish what runs, accept nothing new.
    Leave,
    /// Read the configuration again, and open log files anew as after they were rotated.
    Reload,
}

impl Signals {
    /// Takes over the signals; from here on they no longer end the process by themselves.
    ///
    /// # Errors
    /// Where the system does not let us.
    pub fn take_over() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Leave,
            _ = self.interrupt.recv() => Asked::Leave,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits until leaving is asked for; passes over everything else.
    pub async fn leave_asked(&mut self) {
        while self.next().await != Asked::Leave {}
    }
}
