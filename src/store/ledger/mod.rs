//! The local ledger: grants and counts of one process in the SQL store.
//!
//! Owns the tables `ledger`, `ledger_rates`, `ledger_meters`, `ledger_life`, `usage` and `usage_paths`. Promises that every call is
//! one transaction on the connection for counters, so it never waits behind records of keys. Never decides what is
//! granted: the rules stand in [`crate::limits`].

mod batches;
mod counts;

use std::collections::HashMap;

use sqlx::sqlite::{Sqlite, SqlitePool};
use sqlx::{QueryBuilder, Row};

use crate::domain::clock::UnixMillis;
use crate::domain::id::KeyId;
use crate::domain::limit::Window;
use crate::limits::{
    Asks, Boot, Grants, Held, Ledger, LedgerError, MeterGrant, PathCount, QuotaGrant, Returns, Span,
    UsageBook, UsageDelta,
};

/// Rows in one statement: well below SQLite's 32,766 parameters at nine a row.
const ROWS_MAX: usize = 500;

/// The ledger of one process on SQLite.
#[derive(Debug, Clone)]
pub struct LocalLedger {
    counters: SqlitePool,
}

impl LocalLedger {
    /// The ledger in the database of `counters`, a pool of one connection whose migrations have run.
    pub fn new(counters: SqlitePool) -> LocalLedger {
        LocalLedger { counters }
    }
}

impl UsageBook for LocalLedger {
    async fn begin(&self, now: UnixMillis, until: UnixMillis) -> Result<Boot, LedgerError> {
        begin(&self.counters, now, until).await.map_err(failed)
    }

    async fn record_usage(
        &self,
        deltas: &[UsageDelta],
        at_minute: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        counts::record(&self.counters, deltas, at_minute, now).await.map_err(failed)
    }

    async fn record_paths(
        &self,
        paths: &[(KeyId, Vec<PathCount>)],
        at_minute: UnixMillis,
    ) -> Result<(), LedgerError> {
        counts::record_paths(&self.counters, paths, at_minute).await.map_err(failed)
    }

    async fn beat(&self, until: UnixMillis) -> Result<(), LedgerError> {
        let noted = sqlx::query("UPDATE ledger_life SET may_admit_to = $1 WHERE id = 1").bind(until.as_i64());
        noted.execute(&self.counters).await.map(drop).map_err(failed)
    }

    async fn prune(&self, now: UnixMillis) -> Result<(), LedgerError> {
        counts::prune(&self.counters, now).await.map_err(failed)
    }
}

impl Ledger for LocalLedger {
    async fn renew(&self, asks: &Asks, now_unix_ns: u64) -> Result<Grants, LedgerError> {
        renew(&self.counters, asks, now_unix_ns).await.map_err(failed)
    }

    async fn return_leases(&self, returns: &Returns) -> Result<(), LedgerError> {
        return_leases(&self.counters, returns).await.map_err(failed)
    }

    async fn end(&self) -> Result<(), LedgerError> {
        let noted = sqlx::query("UPDATE ledger_life SET left_cleanly = 1 WHERE id = 1");
        noted.execute(&self.counters).await.map(drop).map_err(failed)
    }
}

async fn begin(counters: &SqlitePool, now: UnixMillis, until: UnixMillis) -> sqlx::Result<Boot> {
    let mut transaction = counters.begin_with("BEGIN IMMEDIATE").await?;
    let life = sqlx::query("SELECT may_admit_to, left_cleanly FROM ledger_life WHERE id = 1")
        .fetch_optional(&mut *transaction)
        .await?;
    let mut boot = Boot::default();
    let mut last = now;
    if let Some(life) = life {
        let may_admit_to = UnixMillis::from_i64(life.try_get(0)?);
        last = may_admit_to.min(now);
        if life.try_get::<i64, _>(1)? == 0 {
            boot.died_before = Some(may_admit_to);
        }
    }
    // What was granted and not counted may have been admitted: it is shown, at the time of the last sign of life.
    sqlx::query(
        "INSERT INTO usage (key_id, at_minute, allowed, failed, denied_rate, denied_quota, denied_concurrency, \
         denied_other) SELECT key_id, $1, granted - settled, 0, 0, 0, 0, 0 FROM ledger_meters \
         WHERE granted > settled \
         ON CONFLICT (key_id, at_minute) DO UPDATE SET allowed = usage.allowed + excluded.allowed",
    )
    .bind(UnixMillis(last.0 - last.0 % 60_000).as_i64())
    .execute(&mut *transaction)
    .await?;
    sqlx::query("DELETE FROM ledger_meters").execute(&mut *transaction).await?;
    sqlx::query(
        "INSERT INTO ledger_life (id, may_admit_to, left_cleanly) VALUES (1, $1, 0) \
         ON CONFLICT (id) DO UPDATE SET may_admit_to = excluded.may_admit_to, left_cleanly = 0",
    )
    .bind(until.as_i64())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(boot)
}

type Connection = sqlx::sqlite::SqliteConnection;

async fn renew(counters: &SqlitePool, asks: &Asks, now_unix_ns: u64) -> sqlx::Result<Grants> {
    let mut transaction = counters.begin_with("BEGIN IMMEDIATE").await?;
    let recalled_quotas = asks.quotas.iter().filter(|ask| matches!(ask.held, Held::Unknown { .. }));
    let windows = recall_windows(&mut transaction, recalled_quotas.map(|ask| ask.key).collect()).await?;
    let recalled_rates = asks.rates.iter().filter(|ask| ask.recall);
    let rates = recall_rates(&mut transaction, recalled_rates.map(|ask| ask.key).collect()).await?;

    let now = UnixMillis(now_unix_ns / 1_000_000);
    let mut grants = Grants::default();
    let mut windows_to_keep = Vec::new();
    for ask in &asks.quotas {
        let record = windows.get(&(ask.key, ask.window)).copied();
        let grant = ask.grant(record, now);
        let QuotaGrant { span, granted, .. } = grant;
        if record != Some((span, granted)) && granted > 0 {
            windows_to_keep.push((ask.key, ask.window, span, granted));
        }
        grants.quotas.push(grant);
    }
    let mut rates_to_keep = Vec::new();
    for ask in &asks.rates {
        let grant = ask.grant(rates.get(&ask.key).copied(), now_unix_ns);
        if ask.want > 0 {
            rates_to_keep.push((ask.key, grant.ceiling_unix_ns, ask.interval_ns));
        }
        grants.rates.push(grant);
    }
    keep_windows(&mut transaction, &windows_to_keep).await?;
    keep_rates(&mut transaction, &rates_to_keep).await?;
    keep_meters(&mut transaction, &asks.meters).await?;
    transaction.commit().await?;
    Ok(grants)
}

async fn return_leases(counters: &SqlitePool, returns: &Returns) -> sqlx::Result<()> {
    let mut transaction = counters.begin_with("BEGIN IMMEDIATE").await?;
    keep_windows(&mut transaction, &returns.quotas).await?;
    keep_rates(&mut transaction, &returns.rates).await?;
    keep_meters(&mut transaction, &returns.meters).await?;
    transaction.commit().await
}

async fn recall_windows(
    connection: &mut Connection,
    keys: Vec<KeyId>,
) -> sqlx::Result<HashMap<(KeyId, Window), (Span, u64)>> {
    let mut found = HashMap::new();
    for keys in keys.chunks(ROWS_MAX) {
        let rows = by_keys(
            "SELECT key_id, quota_per, starts_at, ends_at, granted FROM ledger WHERE key_id IN (",
            keys,
        )
        .build()
        .fetch_all(&mut *connection)
        .await?;
        for row in rows {
            let window: String = row.try_get(1)?;
            let window = Window::ALL.into_iter().find(|known| known.as_str() == window);
            let (Ok(key), Some(window)) = (row.try_get::<String, _>(0)?.parse(), window) else { continue };
            let span = Span {
                start: UnixMillis::from_i64(row.try_get(2)?),
                end: UnixMillis::from_i64(row.try_get(3)?),
            };
            found.insert((key, window), (span, unsigned(row.try_get(4)?)));
        }
    }
    Ok(found)
}

async fn recall_rates(
    connection: &mut Connection,
    keys: Vec<KeyId>,
) -> sqlx::Result<HashMap<KeyId, (u64, u64)>> {
    let mut found = HashMap::new();
    for keys in keys.chunks(ROWS_MAX) {
        let rows =
            by_keys("SELECT key_id, full_at_ns, interval_ns FROM ledger_rates WHERE key_id IN (", keys)
                .build()
                .fetch_all(&mut *connection)
                .await?;
        for row in rows {
            let Ok(key) = row.try_get::<String, _>(0)?.parse() else { continue };
            found.insert(key, (unsigned(row.try_get(1)?), unsigned(row.try_get(2)?)));
        }
    }
    Ok(found)
}

fn by_keys(select: &'static str, keys: &[KeyId]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(select);
    let mut list = query.separated(", ");
    for key in keys {
        list.push_bind(key.to_string());
    }
    query.push(")");
    query
}

async fn keep_windows(connection: &mut Connection, rows: &[(KeyId, Window, Span, u64)]) -> sqlx::Result<()> {
    for rows in rows.chunks(ROWS_MAX) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO ledger (key_id, quota_per, starts_at, ends_at, granted) ",
        );
        query.push_values(rows, |mut row, (key, window, span, granted)| {
            row.push_bind(key.to_string()).push_bind(window.as_str());
            row.push_bind(span.start.as_i64()).push_bind(span.end.as_i64()).push_bind(signed(*granted));
        });
        query.push(
            " ON CONFLICT (key_id, quota_per) DO UPDATE SET \
             starts_at = excluded.starts_at, ends_at = excluded.ends_at, granted = excluded.granted",
        );
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn keep_rates(connection: &mut Connection, rows: &[(KeyId, u64, u64)]) -> sqlx::Result<()> {
    for rows in rows.chunks(ROWS_MAX) {
        let mut query =
            QueryBuilder::<Sqlite>::new("INSERT INTO ledger_rates (key_id, full_at_ns, interval_ns) ");
        query.push_values(rows, |mut row, (key, full_at_ns, interval_ns)| {
            row.push_bind(key.to_string()).push_bind(signed(*full_at_ns)).push_bind(signed(*interval_ns));
        });
        query.push(
            " ON CONFLICT (key_id) DO UPDATE SET \
             full_at_ns = excluded.full_at_ns, interval_ns = excluded.interval_ns",
        );
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn keep_meters(connection: &mut Connection, rows: &[MeterGrant]) -> sqlx::Result<()> {
    for rows in rows.chunks(ROWS_MAX) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO ledger_meters (key_id, granted, settled) ");
        query.push_values(rows, |mut row, meter| {
            row.push_bind(meter.key.to_string()).push_bind(signed(meter.granted)).push("0");
        });
        query.push(" ON CONFLICT (key_id) DO UPDATE SET granted = excluded.granted");
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn failed(error: sqlx::Error) -> LedgerError {
    LedgerError(error.to_string())
}

#[cfg(test)]
mod tests;
