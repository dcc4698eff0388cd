//! Counts that gateways of a fleet hand over in numbered batches.
//!
//! Promises that a batch counts exactly once, however often it is recorded: its number and its counts are one
//! transaction. Never asks whether a number was left out: who passes batches on keeps their order.

use super::{counts, signed, unsigned};
use crate::domain::clock::UnixMillis;
use crate::domain::id::{GatewayId, KeyId};
use crate::limits::{PathCount, UsageDelta};
use crate::store::column::parse;
use crate::store::engine::query;
use crate::store::{Database, StoreError};

// The row's lock is taken first, so that of two who record the same batch the later one finds it recorded.
const NUMBER: &str = "INSERT INTO usage_batches (gateway_id, recorded, at) VALUES ($1, $2, $3)
     ON CONFLICT (gateway_id) DO UPDATE SET recorded = excluded.recorded, at = excluded.at
     WHERE usage_batches.recorded < excluded.recorded";
const ADMITTED: &str = "SELECT CAST(COALESCE(SUM(allowed + failed), 0) AS BIGINT) FROM usage
     WHERE key_id = $1 AND at_minute >= $2";
const COUNTED: &str =
    "SELECT DISTINCT key_id FROM usage WHERE at_minute >= $1 AND key_id > $2 ORDER BY key_id LIMIT $3";

impl Database {
    /// Records batch `number` of a gateway: adds its counts and paths to the minute `at_minute`, and says that its keys
    /// were used at `used_at`. When this returns, it survives a power cut. Of a delta, `settled` means nothing here.
    /// `false` where the batch, or a later one, was recorded before: then nothing is added.
    ///
    /// # Errors
    /// Where the database does not answer: whether it was recorded is then not known, and asking again does no harm.
    pub async fn record_batch(
        &self,
        gateway: GatewayId,
        number: u64,
        deltas: &[UsageDelta],
        paths: &[(KeyId, Vec<PathCount>)],
        at_minute: UnixMillis,
        used_at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.writer().begin().await?;
        let new = query(NUMBER)
            .bind(gateway.to_string())
            .bind(signed(number))
            .bind(self.clock().now().unix.as_i64())
            .execute(&mut transaction)
            .await?;
        if new == 0 {
            return Ok(false);
        }
        counts::add(transaction.connection(), deltas, at_minute, used_at).await?;
        counts::add_paths(transaction.connection(), paths, at_minute).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The number of the last batch on record of each gateway.
    pub async fn recorded_batches(&self) -> Result<Vec<(GatewayId, u64)>, StoreError> {
        let rows: Vec<(String, i64)> =
            query("SELECT gateway_id, recorded FROM usage_batches ORDER BY gateway_id")
                .fetch_all(self.readers())
                .await?;
        let read = |(gateway, recorded): (String, i64)| {
            Ok((parse("a batch of counts", "gateway_id", &gateway)?, unsigned(recorded)))
        };
        rows.into_iter().map(read).collect()
    }

    /// Requests of a key that were admitted in the minutes from `from`, as far as they are on record.
    pub async fn admitted_since(&self, key: KeyId, from: UnixMillis) -> Result<u64, StoreError> {
        let sum = query(ADMITTED).bind(key.to_string()).bind(from.as_i64());
        Ok(unsigned(sum.fetch_number(self.readers()).await?))
    }

    /// Keys behind `after`, in order, that have counts from the minute at `from` on.
    pub async fn keys_counted_since(
        &self,
        from: UnixMillis,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeyId>, StoreError> {
        let rows: Vec<(String,)> = query(COUNTED)
            .bind(from.as_i64())
            .bind(after.map(|key| key.to_string()).unwrap_or_default())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(|(key,)| parse("a count of requests", "key_id", key)).collect()
    }

    /// Forgets some of what is too old: counts and their paths after 32 days, windows a day after their end, the audit
    /// log and gateways that are gone after 400 days; up to 5,000 rows of each, so that nobody waits long behind it.
    pub async fn prune(&self, now: UnixMillis) -> Result<(), StoreError> {
        Ok(counts::prune(self.counters(), now).await?)
    }
}
