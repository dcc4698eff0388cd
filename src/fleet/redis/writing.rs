//! What the publisher writes: the table of a new epoch, and changes.
//!
//! Promises that a table is open only where all that was filled into it came from one try, however late the calls of
//! others arrive; and that a change is in the table before it is in the feed, so that whoever loads the table at a point of
//! the feed has all changes up to there.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::Answer;
use super::hub::RedisHub;
use super::script::Invocation;
use super::scripts::{
    AT, BEGIN, CLEAN, FILL, OPEN, OPEN_LEDGER, PUBLISH, SHARD_APPLY, SHARD_BEGIN, SHARD_OPEN,
};
use crate::domain::secret::{SecretSource, SystemRandomness};
use crate::fleet::hub::{Entry, HubError, Lease, Record};

/// Most records in one call, unless one change has more: some 300 kB.
const RECORDS_MAX: usize = 1_000;
/// About how many changes the feed keeps. Whoever is further behind loads the table.
const FEED_CHANGES: &str = "100000";

impl RedisHub {
    pub(super) async fn begin_epoch(&self, lease: Lease) -> Result<(), HubError> {
        let mut random = [0; 8];
        SystemRandomness.fill(&mut random).map_err(|error| HubError::Unreachable(error.to_string()))?;
        let this_try = format!("{:016x}", u64::from_be_bytes(random));
        self.keep_try(lease, &this_try);
        let names = self.redis.names();
        let (term, epoch) = (lease.term.to_string(), lease.epoch.to_string());
        let args = [&term, &epoch, &this_try];
        let keys = [
            names.feed("head"),
            names.feed_of("organizations", lease.epoch),
            names.feed_of("log", lease.epoch),
            names.feed("epochs"),
        ];
        Answer::read(self.redis.call(&BEGIN, &keys, &args).await?)?;
        let begin = |shard| {
            let keys = [names.table(shard, lease.epoch), names.shard(shard, "epochs")];
            Invocation::new(&SHARD_BEGIN, &keys, &args)
        };
        self.all_shards(begin).await
    }

    pub(super) async fn fill_epoch(&self, lease: Lease, records: &[Record]) -> Result<(), HubError> {
        let this_try = self.kept_try(lease)?;
        let names = self.redis.names();
        for chunk in records.chunks(RECORDS_MAX) {
            let mut parts: BTreeMap<String, Invocation> = BTreeMap::new();
            for record in chunk {
                let (table, id, json) = match record {
                    Record::Organization(one) => {
                        (names.feed_of("organizations", lease.epoch), one.id.to_string(), json(one)?)
                    }
                    Record::Key(key) => {
                        (names.table(names.shard_of(key.id), lease.epoch), key.id.to_string(), json(key)?)
                    }
                    // What is gone is not in a table that is written anew.
                    Record::OrganizationGone(_) | Record::KeyGone { .. } => continue,
                };
                let part = parts.entry(table).or_insert_with_key(|table| {
                    Invocation::new(&FILL, std::slice::from_ref(table), &[&this_try])
                });
                part.push(id);
                part.push(json);
            }
            for answer in self.redis.call_all(parts.into_values().collect()).await? {
                Answer::read(answer?)?;
            }
        }
        Ok(())
    }

    pub(super) async fn open_epoch(&self, lease: Lease, seq: u64) -> Result<(), HubError> {
        let this_try = self.kept_try(lease)?;
        let names = self.redis.names();
        let (term, epoch, seq) = (lease.term.to_string(), lease.epoch.to_string(), seq.to_string());
        self.all_shards(|shard| {
            Invocation::new(&SHARD_OPEN, &[names.table(shard, lease.epoch)], &[&this_try, &seq])
        })
        .await?;
        let (organizations, log) =
            (names.feed_of("organizations", lease.epoch), names.feed_of("log", lease.epoch));
        let keys = [names.feed("head"), organizations, log];
        Answer::read(self.redis.call(&OPEN, &keys, &[&term, &epoch, &this_try, &seq]).await?)?;
        let of_the_feed = [epoch.clone(), names.feed("organizations:"), names.feed("log:")];
        Answer::read(self.redis.call(&CLEAN, &[names.feed("epochs")], &of_the_feed).await?)?;
        let of_a_shard = |shard| [epoch.clone(), names.shard(shard, "table:")];
        self.all_shards(|shard| Invocation::new(&CLEAN, &[names.shard(shard, "epochs")], &of_a_shard(shard)))
            .await
    }

    pub(super) async fn publish_entries(&self, lease: Lease, entries: &[Entry]) -> Result<u64, HubError> {
        let (term, epoch) = (lease.term.to_string(), lease.epoch.to_string());
        let head = self.redis.names().feed("head");
        let mut at = Answer::read(self.redis.call(&AT, &[head], &[&term, &epoch]).await?)?.number()?;
        let mut rest = follows(at, entries)?;
        while !rest.is_empty() {
            let mut records = 0;
            let fits = |entry: &&Entry| {
                records += entry.records.len().max(1);
                records <= RECORDS_MAX
            };
            // One change goes in one call, however many records it has: shards count changes, not records.
            let (chunk, later) = rest.split_at(rest.iter().take_while(fits).count().max(1).min(rest.len()));
            self.apply(lease, chunk).await?;
            at = self.append(lease, chunk).await?;
            rest = later;
        }
        Ok(at)
    }

    /// Applies changes to the keys of all shards that they touch.
    async fn apply(&self, lease: Lease, entries: &[Entry]) -> Result<(), HubError> {
        let names = self.redis.names();
        let mut shards: BTreeMap<u16, Invocation> = BTreeMap::new();
        for entry in entries {
            for record in &entry.records {
                let (id, json) = match record {
                    Record::Key(key) => (key.id, json(key)?),
                    Record::KeyGone { id, .. } => (*id, String::new()),
                    Record::Organization(_) | Record::OrganizationGone(_) => continue,
                };
                let shard = names.shard_of(id);
                let first = || {
                    let table = names.table(shard, lease.epoch);
                    Invocation::new(&SHARD_APPLY, &[table], &[lease.term.to_string()])
                };
                let call = shards.entry(shard).or_insert_with(first);
                call.push(entry.seq.to_string());
                call.push(id.to_string());
                call.push(json);
            }
        }
        for answer in self.redis.call_all(shards.into_values().collect()).await? {
            Answer::read(answer?)?;
        }
        Ok(())
    }

    /// Appends changes to the feed.
    async fn append(&self, lease: Lease, entries: &[Entry]) -> Result<u64, HubError> {
        let names = self.redis.names();
        let keys = [
            names.feed("head"),
            names.feed_of("organizations", lease.epoch),
            names.feed_of("log", lease.epoch),
        ];
        let (term, epoch) = (lease.term.to_string(), lease.epoch.to_string());
        let mut call = Invocation::new(&PUBLISH, &keys, &[&term, &epoch, FEED_CHANGES]);
        for entry in entries {
            let organizations = organizations(entry)?;
            call.push(entry.seq.to_string());
            call.push(json(&entry.records)?);
            call.push(organizations.len().to_string());
            for (id, json) in organizations {
                call.push(id);
                call.push(json);
            }
        }
        Answer::read(self.redis.call_bulk(call).await?)?.number()
    }

    pub(super) async fn allow_ledger(&self, lease: Lease) -> Result<(), HubError> {
        let keys = [self.redis.names().feed("head"), self.redis.names().feed("ledger")];
        let args = [lease.term.to_string(), lease.epoch.to_string()];
        Answer::read(self.redis.call(&OPEN_LEDGER, &keys, &args).await?)?;
        Ok(())
    }

    async fn all_shards(&self, call: impl Fn(u16) -> Invocation) -> Result<(), HubError> {
        let calls = (0..self.redis.names().shards()).map(call).collect();
        for answer in self.redis.call_all(calls).await? {
            Answer::read(answer?)?;
        }
        Ok(())
    }
}

/// Those of `entries` that are to be applied behind `at`.
fn follows(at: u64, entries: &[Entry]) -> Result<&[Entry], HubError> {
    let applied = entries.iter().take_while(|entry| entry.seq <= at).count();
    let rest = entries.get(applied..).unwrap_or_default();
    let in_order = rest.iter().zip(at + 1..).all(|(entry, seq)| entry.seq == seq);
    // A table that has a change of which the feed lacks a predecessor would pass over that one later.
    if in_order { Ok(rest) } else { Err(HubError::OutOfOrder { at }) }
}

/// The organizations that a change touches: id, and the record or nothing where it is gone.
fn organizations(entry: &Entry) -> Result<Vec<(String, String)>, HubError> {
    let touched = entry.records.iter().filter_map(|record| match record {
        Record::Organization(one) => Some(json(one).map(|json| (one.id.to_string(), json))),
        Record::OrganizationGone(id) => Some(Ok((id.to_string(), String::new()))),
        Record::Key(_) | Record::KeyGone { .. } => None,
    });
    touched.collect()
}

fn json(record: &impl Serialize) -> Result<String, HubError> {
    serde_json::to_string(record).map_err(|error| HubError::Foreign(error.to_string()))
}
