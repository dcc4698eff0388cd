//! What followers read: the table page by page, and the feed behind a change.
//!
//! Promises that each page is vouched for in the very step that reads it. Whether the feed still holds the change after
//! the last one known is for the follower to see: a trimmed feed begins later.

use std::time::Duration;

use redis::streams::StreamReadReply;
use serde::de::DeserializeOwned;

use super::answer::{Answer, strange};
use super::hub::RedisHub;
use super::script::Invocation;
use super::scripts::{SHARD_STATE, STATE, TABLE};
use crate::fleet::hub::{Entry, HubError, HubState, Page, Part, Position, Record};

/// About how many records a page has: some 300 kB, of which Redis makes an answer in a few milliseconds. Others wait
/// meanwhile, signs of life among them.
const PAGE_RECORDS: &str = "1000";
/// Most changes that are read at once.
const CHANGES_MAX: usize = 512;
/// Longest wait in one call: a connection that leads nowhere is noticed no later.
const WAIT_MAX: Duration = Duration::from_secs(1);

impl RedisHub {
    pub(super) async fn read_state(&self) -> Result<Option<HubState>, HubError> {
        let names = self.redis.names();
        let answer = self.redis.call::<&str>(&STATE, &[names.feed("head")], &[]).await?;
        if is_none(&answer) {
            return Ok(None);
        }
        let mut answer = Answer::read(answer)?;
        let head = Position { epoch: answer.number()?, seq: answer.number()? };
        let term = answer.number()?;
        let mut vouched = answer.number()? == 1;
        let ask = |shard| Invocation::new::<&str>(&SHARD_STATE, &[names.table(shard, head.epoch)], &[]);
        for shard in self.redis.call_all((0..names.shards()).map(ask).collect()).await? {
            vouched &= Answer::read(shard?)?.number()? == 1;
        }
        Ok(Some(HubState { head, term, vouched }))
    }

    pub(super) async fn read_table(&self, epoch: u64, part: Part, cursor: u64) -> Result<Page, HubError> {
        let names = self.redis.names();
        let key = match part {
            Part::Organizations => names.feed_of("organizations", epoch),
            Part::Keys(shard) => names.table(shard, epoch),
        };
        let call = Invocation::new(&TABLE, &[key], &[cursor.to_string().as_str(), PAGE_RECORDS]);
        let mut answer = Answer::read(self.redis.call_bulk(call).await?)?;
        let next = Some(answer.number()?).filter(|next| *next != 0);
        let mut records = Vec::new();
        while !answer.is_empty() {
            let (field, value) = (answer.bytes()?, answer.bytes()?);
            if field.first() == Some(&b'!') {
                continue;
            }
            records.push(match part {
                Part::Organizations => Record::Organization(record(&value)?),
                Part::Keys(_) => Record::Key(record(&value)?),
            });
        }
        Ok(Page { records, next })
    }

    pub(super) async fn read_changes(&self, after: Position, wait: Duration) -> Result<Vec<Entry>, HubError> {
        let wait = wait.min(WAIT_MAX);
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(CHANGES_MAX);
        // A wait of 0 would be one without an end.
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(0);
        if wait_ms > 0 {
            command.arg("BLOCK").arg(wait_ms);
        }
        let feed = self.redis.names().feed_of("log", after.epoch);
        command.arg("STREAMS").arg(feed).arg(format!("{}-0", after.seq));
        let answer = self.redis.wait_for("changes", &command, wait).await?;
        let read: Option<StreamReadReply> = redis::from_redis_value(answer).map_err(|_| strange())?;
        let ids = read.into_iter().flat_map(|read| read.keys).flat_map(|stream| stream.ids);
        let mut entries = Vec::new();
        for id in ids {
            // What stands between two changes says that the feed was opened.
            let Some(seq) = id.id.strip_suffix("-0").and_then(|seq| seq.parse().ok()) else { continue };
            let records: Option<Vec<u8>> = id.get("r");
            entries.push(Entry { seq, records: record(&records.ok_or_else(strange)?)? });
        }
        Ok(entries)
    }
}

fn is_none(answer: &redis::Value) -> bool {
    let redis::Value::Array(values) = answer else { return false };
    matches!(values.as_slice(), [redis::Value::BulkString(word)] if word == b"none")
}

fn record<T: DeserializeOwned>(json: &[u8]) -> Result<T, HubError> {
    serde_json::from_slice(json).map_err(|error| HubError::Foreign(format!("a record: {error}")))
}
