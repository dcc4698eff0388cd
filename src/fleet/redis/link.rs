//! The connection that calls share: opened when it is needed, given up when it leads nowhere, opened anew.
//!
//! Promises that at most one is being opened at a time, however many calls wait for it, and that a call which gives up
//! waiting stops nobody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::counters::RedisCounters;
use super::refusal::Failure;
use super::server::{Server, Wire};

/// A connection and which one it is.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) wire: Wire,
    generation: u64,
}

type Outcome = Option<Result<Opened, Failure>>;

enum State {
    Closed,
    Opening(watch::Receiver<Outcome>),
    Open(Opened),
}

struct Held {
    state: State,
    /// How many were begun to be opened.
    generation: u64,
}

/// The connection. Clones share it.
#[derive(Clone)]
pub(super) struct Link(Arc<Mutex<Held>>);

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link(…)")
    }
}

impl Link {
    pub(super) fn new() -> Link {
        Link(Arc::new(Mutex::new(Held { state: State::Closed, generation: 0 })))
    }

    /// The connection: the one that is open, or the one that comes of opening it. As long as connecting takes.
    pub(super) async fn wire(
        &self,
        server: &Arc<Server>,
        counters: &Arc<RedisCounters>,
    ) -> Result<Opened, Failure> {
        let mut opening = match self.open_or_opening(server, counters) {
            Ok(opened) => return Ok(opened),
            Err(opening) => opening,
        };
        let outcome = opening.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        match outcome {
            Ok(Some(outcome)) => outcome,
            // The task that was opening it ended with its runtime.
            Ok(None) | Err(_) => {
                self.lock().state = State::Closed;
                Err(Failure::silent("connecting was broken off"))
            }
        }
    }

    /// Gives up this connection: the next call opens another. Does nothing where that has happened already.
    pub(super) fn give_up(&self, opened: &Opened) {
        let mut held = self.lock();
        if matches!(&held.state, State::Open(current) if current.generation == opened.generation) {
            held.state = State::Closed;
        }
    }

    fn open_or_opening(
        &self,
        server: &Arc<Server>,
        counters: &Arc<RedisCounters>,
    ) -> Result<Opened, watch::Receiver<Outcome>> {
        let mut held = self.lock();
        match &held.state {
            State::Open(opened) => return Ok(opened.clone()),
            State::Opening(outcome) => return Err(outcome.clone()),
            State::Closed => {}
        }
        held.generation += 1;
        let generation = held.generation;
        let (told, outcome) = watch::channel(None);
        held.state = State::Opening(outcome.clone());
        let (link, server, counters) = (self.clone(), Arc::clone(server), Arc::clone(counters));
        tokio::spawn(async move {
            let result = server.connect().await.map(|wire| Opened { wire, generation });
            if generation > 1 && result.is_ok() {
                counters.reconnected();
            }
            link.lock().state = match &result {
                Ok(opened) => State::Open(opened.clone()),
                Err(_) => State::Closed,
            };
            told.send_replace(Some(result));
        });
        Err(outcome)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
