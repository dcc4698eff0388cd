//! The local ledger: grants and counts of one process in the SQL store.
//!
//! Owns the tables `ledger`, `ledger_rates`, `ledger_meters`, `ledger_life`, `usage` and `usage_paths`. Promises that every call is
//! one transaction on the connection for counters, so it never waits behind records of keys. Never decides what is
//! granted: the rules stand in [`crate::limits`].

mod batches;
mod counts;

use std::collections::{BTreeMap, HashMap};

use crate::domain::clock::UnixMillis;
use crate::domain::id::KeyId;
use crate::domain::limit::Window;
use crate::limits::{
    Asks, Boot, Grants, Held, Ledger, LedgerError, MeterGrant, PathCount, QuotaGrant, Returns, Span,
    UsageBook, UsageDelta,
};
use crate::store::Database;
use crate::store::engine::{Connection, Pool, Query, query};

/// Rows in one statement: well below SQLite's 32,766 parameters at nine a row.
const ROWS_MAX: usize = 500;

/// The ledger of one process.
#[derive(Debug, Clone)]
pub struct LocalLedger {
    counters: Pool,
}

impl LocalLedger {
    /// The ledger in `database`, which this process alone serves: see [`Database::open`].
    pub fn new(database: &Database) -> LocalLedger {
        LocalLedger { counters: database.counters().clone() }
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
        let noted = query("UPDATE ledger_life SET may_admit_to = $1 WHERE id = 1").bind(until.as_i64());
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
        let noted = query("UPDATE ledger_life SET left_cleanly = 1 WHERE id = 1");
        noted.execute(&self.counters).await.map(drop).map_err(failed)
    }
}

async fn begin(counters: &Pool, now: UnixMillis, until: UnixMillis) -> sqlx::Result<Boot> {
    let mut transaction = counters.begin().await?;
    let life: Option<(i64, i64)> = query("SELECT may_admit_to, left_cleanly FROM ledger_life WHERE id = 1")
        .fetch_optional(&mut transaction)
        .await?;
    let mut boot = Boot::default();
    let mut last = now;
    if let Some((may_admit_to, left_cleanly)) = life {
        let may_admit_to = UnixMillis::from_i64(may_admit_to);
        last = may_admit_to.min(now);
        if left_cleanly == 0 {
            boot.died_before = Some(may_admit_to);
        }
    }
    // What was granted and not counted may have been admitted: it is shown, at the time of the last sign of life.
    query(
        "INSERT INTO usage (key_id, at_minute, allowed, failed, denied_rate, denied_quota, denied_concurrency, \
         denied_other) SELECT key_id, $1, granted - settled, 0, 0, 0, 0, 0 FROM ledger_meters \
         WHERE granted > settled \
         ON CONFLICT (key_id, at_minute) DO UPDATE SET allowed = usage.allowed + excluded.allowed",
    )
    .bind(UnixMillis(last.0 - last.0 % 60_000).as_i64())
    .execute(&mut transaction)
    .await?;
    query("DELETE FROM ledger_meters").execute(&mut transaction).await?;
    query(
        "INSERT INTO ledger_life (id, may_admit_to, left_cleanly) VALUES (1, $1, 0) \
         ON CONFLICT (id) DO UPDATE SET may_admit_to = excluded.may_admit_to, left_cleanly = 0",
    )
    .bind(until.as_i64())
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(boot)
}

async fn renew(counters: &Pool, asks: &Asks, now_unix_ns: u64) -> sqlx::Result<Grants> {
    let mut transaction = counters.begin().await?;
    let recalled_quotas = asks.quotas.iter().filter(|ask| matches!(ask.held, Held::Unknown { .. }));
    let windows =
        recall_windows(transaction.connection(), recalled_quotas.map(|ask| ask.key).collect()).await?;
    let recalled_rates = asks.rates.iter().filter(|ask| ask.recall);
    let rates = recall_rates(transaction.connection(), recalled_rates.map(|ask| ask.key).collect()).await?;

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
    keep_windows(transaction.connection(), &windows_to_keep).await?;
    keep_rates(transaction.connection(), &rates_to_keep).await?;
    keep_meters(transaction.connection(), &asks.meters).await?;
    transaction.commit().await?;
    Ok(grants)
}

async fn return_leases(counters: &Pool, returns: &Returns) -> sqlx::Result<()> {
    let mut transaction = counters.begin().await?;
    keep_windows(transaction.connection(), &returns.quotas).await?;
    keep_rates(transaction.connection(), &returns.rates).await?;
    keep_meters(transaction.connection(), &returns.meters).await?;
    transaction.commit().await
}

async fn recall_windows(
    mut connection: Connection<'_>,
    keys: Vec<KeyId>,
) -> sqlx::Result<HashMap<(KeyId, Window), (Span, u64)>> {
    let mut found = HashMap::new();
    for keys in keys.chunks(ROWS_MAX) {
        let statement = "SELECT key_id, quota_per, starts_at, ends_at, granted FROM ledger WHERE key_id IN (";
        let rows: Vec<(String, String, i64, i64, i64)> =
            by_keys(statement, keys).fetch_all(connection.again()).await?;
        for (key, window, starts_at, ends_at, granted) in rows {
            let window = Window::ALL.into_iter().find(|known| known.as_str() == window);
            let (Ok(key), Some(window)) = (key.parse(), window) else { continue };
            let span = Span { start: UnixMillis::from_i64(starts_at), end: UnixMillis::from_i64(ends_at) };
            found.insert((key, window), (span, unsigned(granted)));
        }
    }
    Ok(found)
}

async fn recall_rates(
    mut connection: Connection<'_>,
    keys: Vec<KeyId>,
) -> sqlx::Result<HashMap<KeyId, (u64, u64)>> {
    let mut found = HashMap::new();
    for keys in keys.chunks(ROWS_MAX) {
        let statement = "SELECT key_id, full_at_ns, interval_ns FROM ledger_rates WHERE key_id IN (";
        let rows: Vec<(String, i64, i64)> = by_keys(statement, keys).fetch_all(connection.again()).await?;
        for (key, full_at_ns, interval_ns) in rows {
            let Ok(key) = key.parse() else { continue };
            found.insert(key, (unsigned(full_at_ns), unsigned(interval_ns)));
        }
    }
    Ok(found)
}

fn by_keys(select: &'static str, keys: &[KeyId]) -> Query {
    let mut query = query(select);
    query.push_list(keys.iter().map(KeyId::to_string)).push(")");
    query
}

async fn keep_windows(
    mut connection: Connection<'_>,
    rows: &[(KeyId, Window, Span, u64)],
) -> sqlx::Result<()> {
    for rows in latest(rows, |row| (row.0, row.1.as_str())).chunks(ROWS_MAX) {
        let mut query = query("INSERT INTO ledger (key_id, quota_per, starts_at, ends_at, granted) ");
        query.push_rows(rows.iter().map(|(key, window, span, granted)| {
            [
                key.to_string().into(),
                window.as_str().into(),
                span.start.as_i64().into(),
                span.end.as_i64().into(),
                signed(*granted).into(),
            ]
        }));
        query.push(
            " ON CONFLICT (key_id, quota_per) DO UPDATE SET \
             starts_at = excluded.starts_at, ends_at = excluded.ends_at, granted = excluded.granted",
        );
        query.execute(connection.again()).await?;
    }
    Ok(())
}

async fn keep_rates(mut connection: Connection<'_>, rows: &[(KeyId, u64, u64)]) -> sqlx::Result<()> {
    for rows in latest(rows, |row| row.0).chunks(ROWS_MAX) {
        let mut query = query("INSERT INTO ledger_rates (key_id, full_at_ns, interval_ns) ");
        query.push_rows(rows.iter().map(|(key, full_at_ns, interval_ns)| {
            [key.to_string().into(), signed(*full_at_ns).into(), signed(*interval_ns).into()]
        }));
        query.push(
            " ON CONFLICT (key_id) DO UPDATE SET \
             full_at_ns = excluded.full_at_ns, interval_ns = excluded.interval_ns",
        );
        query.execute(connection.again()).await?;
    }
    Ok(())
}

async fn keep_meters(mut connection: Connection<'_>, rows: &[MeterGrant]) -> sqlx::Result<()> {
    for rows in latest(rows, |row| row.key).chunks(ROWS_MAX) {
        let mut query = query("INSERT INTO ledger_meters (key_id, granted, settled) ");
        query.push_rows(
            rows.iter()
                .map(|meter| [meter.key.to_string().into(), signed(meter.granted).into(), 0_i64.into()]),
        );
        query.push(" ON CONFLICT (key_id) DO UPDATE SET granted = excluded.granted");
        query.execute(connection.again()).await?;
    }
    Ok(())
}

/// The last of the rows with the same key, in the order of keys: PostgreSQL takes no row twice in one statement.
fn latest<'a, T, K: Ord>(rows: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<&'a T> {
    let by_key: BTreeMap<K, &T> = rows.iter().map(|row| (key(row), row)).collect();
    by_key.into_values().collect()
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
