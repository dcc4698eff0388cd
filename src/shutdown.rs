//! From a signal to the end: when to leave, told to whoever waits, and to the supervisor that started the process.
//!
//! Promises that SIGTERM and SIGINT begin an orderly end, and that a second one does not wait. Never ends the process
//! itself: `app` does, in order.

mod supervisor;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::supervisor::{News, Supervisor};

/// The signals that ask the process to leave.
pub struct Signals {
    arriving: Arriving,
    supervisor: Supervisor,
    /// What the process waits for before it serves.
    ready: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

struct Arriving {
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

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("supervisor", &self.supervisor).finish_non_exhaustive()
    }
}

impl Signals {
    /// Takes over the signals; from here on they no longer end the process by themselves.
    ///
    /// # Errors
    /// Where the system does not let us.
    pub fn take_over() -> std::io::Result<Signals> {
        let arriving = Arriving {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        Ok(Signals { arriving, supervisor: Supervisor::default(), ready: None })
    }

    /// The process serves once `ready` completes, and not from the first wait for a signal on. Nothing else polls it.
    pub fn serving_once(&mut self, ready: impl Future<Output = ()> + Send + 'static) {
        self.ready = Some(Box::pin(ready));
    }

    /// Waits for the next signal. Whoever asks for it is done with what the last one asked for: the supervisor is told
    /// so before, and what the signal asks for after.
    pub async fn next(&mut self) -> Asked {
        let asked = loop {
            let Some(ready) = &mut self.ready else {
                self.supervisor.tell(News::Serving);
                break self.arriving.next().await;
            };
            tokio::select! {
                // So that a signal that came together with it finds a process that serves.
                biased;
                () = ready => self.ready = None,
                asked = self.arriving.next() => break asked,
            }
        };
        match asked {
            Asked::Leave => self.supervisor.tell(News::Leaving),
            // Reading again before it serves is still starting.
            Asked::Reload if self.ready.is_some() => {}
            Asked::Reload => self.supervisor.tell(News::Reloading),
        }
        asked
    }

    /// Waits until leaving is asked for; passes over everything else.
    pub async fn leave_asked(&mut self) {
        while self.arriving.next().await != Asked::Leave {}
    }
}

impl Arriving {
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Leave,
            _ = self.interrupt.recv() => Asked::Leave,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_process_that_is_told_to_reload_before_it_serves_has_not_served() {
        let mut signals = Signals::take_over().unwrap();
        let (serves, served) = oneshot::channel::<()>();
        signals.serving_once(async {
            let _ = served.await;
        });
        let own = std::process::id().to_string();
        let ask = || std::process::Command::new("sh").args(["-c", &format!("kill -s HUP {own}")]).status();
        assert!(ask().unwrap().success());
        assert_eq!(signals.next().await, Asked::Reload);
        assert_eq!(signals.supervisor.told(), None);
        serves.send(()).unwrap();
        assert!(ask().unwrap().success());
        assert_eq!(signals.next().await, Asked::Reload);
        assert_eq!(signals.supervisor.told(), Some(News::Reloading));
    }
}
