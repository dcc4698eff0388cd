//! From a signal to the end: when to leave, told to whoever waits, and to the supervisor that started the process.
//!
//! Promises that SIGTERM and SIGINT begin an orderly end, and that a second one does not wait. Never ends the process
//! itself: `app` does, in order.

mod supervisor;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::supervisor::{News, Supervisor};

/// The signals that ask the process to leave.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    supervisor: Supervisor,
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
            supervisor: Supervisor::default(),
        })
    }

    /// Waits for the next signal. Whoever asks for it serves, and is done with what the last one asked for: the
    /// supervisor is told so before, and what the signal asks for after.
    pub async fn next(&mut self) -> Asked {
        self.supervisor.tell(News::Serving);
        let asked = self.received().await;
        self.supervisor.tell(match asked {
            Asked::Leave => News::Leaving,
            Asked::Reload => News::Reloading,
        });
        asked
    }

    /// Waits until leaving is asked for; passes over everything else.
    pub async fn leave_asked(&mut self) {
        while self.received().await != Asked::Leave {}
    }

    async fn received(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Leave,
            _ = self.interrupt.recv() => Asked::Leave,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
