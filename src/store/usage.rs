//! What became of keys' requests, read back from the counts that the ledger records.
//!
//! Promises that what one call gives is of one instant, so that its parts add up. Never writes: the tables `usage` and
//! `usage_paths` are filled by the ledger.

use sqlx::FromRow;

use super::column::{count, parse};
use super::database::Database;
use super::engine::{Connection, query};
use super::error::StoreError;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{KeyId, OrganizationId};
use crate::limits::Totals;

/// Routes and agents that are named.
const MOST_USED_MAX: i64 = 10;

/// Counts over a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsageCounts {
    /// Where the span begins.
    pub(crate) at: UnixMillis,
    /// What became of its requests.
    pub(crate) totals: Totals,
}

/// A key's requests over a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyUsage {
    /// By time, oldest first; spans without requests are left out.
    pub(crate) counts: Vec<UsageCounts>,
    /// The ten routes that most admitted requests took, most used first.
    pub(crate) routes: Vec<(String, u64)>,
    /// The ten agents that most admitted requests went to, most used first.
    pub(crate) agents: Vec<(String, u64)>,
}

/// All requests of one key, in one of the spans that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanRequests {
    pub(crate) key: KeyId,
    /// Which span, from 0.
    pub(crate) span: u64,
    pub(crate) requests: u64,
}

#[derive(FromRow)]
struct CountsRow {
    at: i64,
    allowed: i64,
    failed: i64,
    rate: i64,
    quota: i64,
    concurrency: i64,
    other: i64,
}

impl CountsRow {
    fn read(self) -> UsageCounts {
        let totals = Totals {
            allowed: count(self.allowed),
            failed: count(self.failed),
            denied_rate: count(self.rate),
            denied_quota: count(self.quota),
            denied_concurrency: count(self.concurrency),
            denied_other: count(self.other),
        };
        UsageCounts { at: UnixMillis::from_i64(self.at), totals }
    }
}

// The casts are for PostgreSQL, whose SUM of BIGINT is NUMERIC.
const USAGE: &str = "SELECT (at_minute / $4) * $4 AS at, CAST(SUM(allowed) AS BIGINT) AS allowed,
     CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(denied_rate) AS BIGINT) AS rate,
     CAST(SUM(denied_quota) AS BIGINT) AS quota, CAST(SUM(denied_concurrency) AS BIGINT) AS concurrency,
     CAST(SUM(denied_other) AS BIGINT) AS other
     FROM usage WHERE key_id = $1 AND at_minute >= $2 AND at_minute < $3 GROUP BY 1 ORDER BY 1";
const ROUTES: &str = "SELECT route, CAST(SUM(requests) AS BIGINT) FROM usage_paths
     WHERE key_id = $1 AND at_minute >= $2 AND at_minute < $3 GROUP BY route ORDER BY 2 DESC, 1 LIMIT $4";
// An agent that is there has the slug of today; one that was deleted has one that it had.
const AGENTS: &str =
    "SELECT COALESCE(agents.slug, MAX(usage_paths.agent)), CAST(SUM(requests) AS BIGINT) FROM usage_paths
     LEFT JOIN agents ON agents.id = usage_paths.agent_id
     WHERE key_id = $1 AND at_minute >= $2 AND at_minute < $3 AND agent_id <> ''
     GROUP BY usage_paths.agent_id, agents.slug ORDER BY 2 DESC, 1 LIMIT $4";
const BY_SPAN: &str = "SELECT usage.key_id, (at_minute - $2) / $4,
     CAST(SUM(allowed + failed + denied_rate + denied_quota + denied_concurrency + denied_other) AS BIGINT)
     FROM keys JOIN usage ON usage.key_id = keys.id
     WHERE keys.organization_id = $1 AND at_minute >= $2 AND at_minute < $3 GROUP BY 1, 2";
const REQUESTS: &str = "SELECT CAST(COALESCE(SUM(
     allowed + failed + denied_rate + denied_quota + denied_concurrency + denied_other), 0) AS BIGINT)
     FROM usage WHERE key_id = $1 AND at_minute >= $2";

impl Database {
    /// A key's requests from `from` to before `to`, counted in spans of `grain_ms` that begin at multiples of it since
    /// 1970.
    pub(crate) async fn usage(
        &self,
        key: KeyId,
        from: UnixMillis,
        to: UnixMillis,
        grain_ms: u32,
    ) -> Result<KeyUsage, StoreError> {
        // One instant for all three, so that they add up.
        let mut instant = self.readers().begin_instant().await?;
        let routes = most_used(ROUTES, instant.connection(), key, from, to).await?;
        let agents = most_used(AGENTS, instant.connection(), key, from, to).await?;
        let rows: Vec<CountsRow> = query(USAGE)
            .bind(key.to_string())
            .bind(from.as_i64())
            .bind(to.as_i64())
            .bind(i64::from(grain_ms))
            .fetch_all(&mut instant)
            .await?;
        instant.commit().await?;
        Ok(KeyUsage { counts: rows.into_iter().map(CountsRow::read).collect(), routes, agents })
    }

    /// All requests of each key of an organization, in spans of `span_ms` from `from` to before `to`. Spans without
    /// requests are left out.
    pub(crate) async fn requests_by_span(
        &self,
        organization: OrganizationId,
        from: UnixMillis,
        to: UnixMillis,
        span_ms: u32,
    ) -> Result<Vec<SpanRequests>, StoreError> {
        let rows: Vec<(String, i64, i64)> = query(BY_SPAN)
            .bind(organization.to_string())
            .bind(from.as_i64())
            .bind(to.as_i64())
            .bind(i64::from(span_ms))
            .fetch_all(self.readers())
            .await?;
        let read = |(key, span, requests): (String, i64, i64)| {
            let key = parse("a count of requests", "key_id", &key)?;
            Ok(SpanRequests { key, span: count(span), requests: count(requests) })
        };
        rows.into_iter().map(read).collect()
    }

    /// All requests of a key since `from`.
    pub(crate) async fn requests_since(&self, key: KeyId, from: UnixMillis) -> Result<u64, StoreError> {
        let query = query(REQUESTS).bind(key.to_string()).bind(from.as_i64());
        Ok(count(query.fetch_number(self.readers()).await?))
    }
}

async fn most_used(
    statement: &'static str,
    connection: Connection<'_>,
    key: KeyId,
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Vec<(String, u64)>, StoreError> {
    let rows: Vec<(String, i64)> = query(statement)
        .bind(key.to_string())
        .bind(from.as_i64())
        .bind(to.as_i64())
        .bind(MOST_USED_MAX)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|(name, requests)| (name, count(requests))).collect())
}
