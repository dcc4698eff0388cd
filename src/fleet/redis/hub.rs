//! The hub that Redis is: each call of the contract, and who carries it out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::connection::Redis;
use super::counters::RedisCounters;
use crate::config::Fleet;
use crate::domain::id::GatewayId;
use crate::fleet::hub::{
    Beat, Entry, Hub, HubError, HubState, Lease, Page, Part, Position, Record, Registry, Synced,
};

/// The hub in Redis. Clones share its connection.
#[derive(Debug, Clone)]
pub struct RedisHub {
    pub(crate) redis: Redis,
    /// The epoch that is being written, and which try at it: calls of other tries change nothing.
    writing: Arc<Mutex<Option<(Lease, String)>>>,
}

impl RedisHub {
    /// The hub in the Redis of that configuration. Connects with its first call.
    ///
    /// # Errors
    /// [`HubError::Refused`] where the certificates cannot be read.
    pub fn new(fleet: &Fleet) -> Result<RedisHub, HubError> {
        Ok(RedisHub { redis: Redis::new(fleet)?, writing: Arc::default() })
    }

    /// What metrics tell of the calls.
    pub fn counters(&self) -> Arc<RedisCounters> {
        Arc::clone(self.redis.counters())
    }

    pub(super) fn keep_try(&self, lease: Lease, this_try: &str) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        *writing = Some((lease, this_try.to_owned()));
    }

    pub(super) fn kept_try(&self, lease: Lease) -> Result<String, HubError> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = writing.as_ref().filter(|(kept, _)| *kept == lease);
        kept.map(|(_, this_try)| this_try.clone()).ok_or(HubError::Superseded)
    }
}

impl Hub for RedisHub {
    async fn sync(&self, beat: &Beat) -> Result<Synced, HubError> {
        self.register(beat).await
    }

    async fn leave(&self, gateway: GatewayId) -> Result<(), HubError> {
        self.unregister(gateway).await
    }

    async fn expel(&self, gateway: GatewayId, beat: u64) -> Result<bool, HubError> {
        self.expelled(gateway, beat).await
    }

    async fn changes(&self, after: Position, wait: Duration) -> Result<Vec<Entry>, HubError> {
        self.read_changes(after, wait).await
    }

    fn parts(&self) -> Vec<Part> {
        let shards = (0..self.redis.names().shards()).map(Part::Keys);
        std::iter::once(Part::Organizations).chain(shards).collect()
    }

    async fn table(&self, epoch: u64, part: Part, cursor: u64) -> Result<Page, HubError> {
        self.read_table(epoch, part, cursor).await
    }

    async fn state(&self) -> Result<Option<HubState>, HubError> {
        self.read_state().await
    }

    async fn begin(&self, lease: Lease) -> Result<(), HubError> {
        self.begin_epoch(lease).await
    }

    async fn fill(&self, lease: Lease, records: &[Record]) -> Result<(), HubError> {
        self.fill_epoch(lease, records).await
    }

    async fn open(&self, lease: Lease, seq: u64) -> Result<(), HubError> {
        self.open_epoch(lease, seq).await
    }

    async fn publish(&self, lease: Lease, entries: &[Entry]) -> Result<u64, HubError> {
        self.publish_entries(lease, entries).await
    }

    async fn open_ledger(&self, lease: Lease) -> Result<(), HubError> {
        self.allow_ledger(lease).await
    }

    async fn registry(&self) -> Result<Registry, HubError> {
        self.registered().await
    }

    async fn mark(&self, gateways: &[GatewayId]) -> Result<(), HubError> {
        self.mark_remembered(gateways).await
    }
}
