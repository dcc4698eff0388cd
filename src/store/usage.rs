//! What became of a key's requests, read back from the counts that the ledger records.
//!
//! Never writes: the table `usage` is filled by the ledger.

use super::column::count;
use super::database::Database;
use super::error::StoreError;
use crate::domain::clock::UnixMillis;
use crate::domain::id::KeyId;

/// Counts over a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsageCounts {
    /// Where the span begins.
    pub(crate) at: UnixMillis,
    /// Admitted and answered.
    pub(crate) allowed: u64,
    /// Refused.
    pub(crate) denied: u64,
    /// Admitted, then failed.
    pub(crate) failed: u64,
}

// The casts are for PostgreSQL, whose SUM of BIGINT is NUMERIC.
const USAGE: &str = "SELECT (at_minute / $4) * $4 AS at, CAST(SUM(allowed) AS BIGINT),
     CAST(SUM(denied_rate + denied_quota + denied_concurrency + denied_other) AS BIGINT), CAST(SUM(failed) AS BIGINT)
     FROM usage WHERE key_id = $1 AND at_minute >= $2 AND at_minute < $3 GROUP BY 1 ORDER BY 1";

impl Database {
    /// Counts of a key from `from` to before `to`, in spans of `grain_ms` that begin at multiples of it since 1970.
    pub(crate) async fn usage(
        &self,
        key: KeyId,
        from: UnixMillis,
        to: UnixMillis,
        grain_ms: u32,
    ) -> Result<Vec<UsageCounts>, StoreError> {
        let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(USAGE)
            .bind(key.to_string())
            .bind(from.as_i64())
            .bind(to.as_i64())
            .bind(i64::from(grain_ms))
            .fetch_all(self.readers())
            .await?;
        let read = |(at, allowed, denied, failed)| UsageCounts {
            at: UnixMillis::from_i64(at),
            allowed: count(allowed),
            denied: count(denied),
            failed: count(failed),
        };
        Ok(rows.into_iter().map(read).collect())
    }
}
