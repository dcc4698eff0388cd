//! What everything in Redis is called, and in which shard a key lives.
//!
//! Promises that the names of one shard share one hash tag, so that a script which touches several of them runs in a
//! cluster too, and that all names begin with the configured prefix, which is what the rights in Redis go by.

use crate::config::Topology;
use crate::domain::id::KeyId;

/// Shards of a cluster: more than the masters that most have, so that each master gets some; every one costs a stamp
/// and a call of its own in each check.
const CLUSTER_SHARDS: u16 = 16;

/// The names of one fleet in its Redis.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
    shards: u16,
}

impl Names {
    /// The names of a fleet under `prefix`. A prefix must not hold `{` or `}`.
    pub(crate) fn new(prefix: &str, topology: &Topology) -> Names {
        let shards = match topology {
            Topology::Single { .. } | Topology::Sentinel { .. } => 1,
            Topology::Cluster { .. } => CLUSTER_SHARDS,
        };
        Names { prefix: prefix.to_owned(), shards }
    }

    /// How many shards there are, at least 1.
    pub(crate) fn shards(&self) -> u16 {
        self.shards
    }

    /// The shard that a key's record and accounts live in, from 0.
    pub(crate) fn shard_of(&self, key: KeyId) -> u16 {
        let shard = crc32fast::hash(key.as_bytes()) % u32::from(self.shards.max(1));
        u16::try_from(shard).unwrap_or(0)
    }

    /// The name of something in the slot of the feed: `keystile:{feed}:head`.
    pub(crate) fn feed(&self, what: &str) -> String {
        format!("{}:{{feed}}:{what}", self.prefix)
    }

    /// The name of something of an epoch in the slot of the feed: `keystile:{feed}:log:7`.
    pub(crate) fn feed_of(&self, what: &str, epoch: u64) -> String {
        format!("{}:{{feed}}:{what}:{epoch}", self.prefix)
    }

    /// The name of something in the slot of a shard: `keystile:{k0}:epochs`.
    pub(crate) fn shard(&self, shard: u16, what: &str) -> String {
        format!("{}:{{k{shard}}}:{what}", self.prefix)
    }

    /// The name of something of an epoch in the slot of a shard: `keystile:{k0}:table:7`.
    pub(crate) fn shard_of_epoch(&self, shard: u16, what: &str, epoch: u64) -> String {
        format!("{}:{{k{shard}}}:{what}:{epoch}", self.prefix)
    }

    /// The table of a shard in an epoch, which carries the shard's stamp too.
    pub(crate) fn table(&self, shard: u16, epoch: u64) -> String {
        self.shard_of_epoch(shard, "table", epoch)
    }
}
