//! What a gateway tells the fleet of itself.

use std::time::Duration;

use crate::domain::clock::UnixMillis;
use crate::domain::id::GatewayId;

/// What a gateway is called, and by which rules it goes on.
#[derive(Debug, Clone)]
pub struct Identity {
    /// This life of it.
    pub gateway: GatewayId,
    /// What people call it.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// Where programs reach it.
    pub address: String,
    /// How long the replica is believed after the start of a sync.
    pub trust: Duration,
    /// How much longer it serves when Redis is away; zero: not at all.
    pub serve_for: Duration,
}

impl Identity {
    pub(super) fn goes_on_ms(&self) -> u64 {
        u64::try_from((self.trust + self.serve_for).as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a process says of itself with each beat, beyond how far its replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// The generation of the configuration that it runs.
    pub generation: u64,
    /// The latest epoch whose ledger it has told of everything that it holds.
    pub declared: u64,
    /// Requests granted to it and not spent.
    pub outstanding: u64,
    /// SQL has everything that it counted before.
    pub counted: UnixMillis,
}
