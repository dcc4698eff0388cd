//! What became of requests, added up by minute: `usage`, and `usage_paths` beside it.
//!
//! Promises that a key's counts and the ways that its requests took are forgotten in one transaction. Never reads them.

use std::collections::BTreeMap;

use super::{ROWS_MAX, signed};
use crate::domain::clock::UnixMillis;
use crate::domain::id::KeyId;
use crate::limits::{PathCount, Totals, UsageDelta};
use crate::store::engine::{Connection, Pool, query};

/// Old rows forgotten at once, so that renewals never wait long behind it.
const PRUNED_MAX: i64 = 5_000;
/// Counts are kept this long: a month and a day.
const USAGE_KEPT_MS: u64 = 32 * 86_400_000;
/// Windows and rates are kept this long after their end, in case the clock is set back.
const ENDED_KEPT_MS: u64 = 86_400_000;
/// The audit log, and what is known of gateways that are gone, are kept this long: a year and a month.
const AUDIT_KEPT_MS: u64 = 400 * 86_400_000;

pub(super) async fn record(
    counters: &Pool,
    deltas: &[UsageDelta],
    at_minute: UnixMillis,
    now: UnixMillis,
) -> sqlx::Result<()> {
    let mut transaction = counters.begin().await?;
    add(transaction.connection(), deltas, at_minute, now).await?;
    let admitted: Vec<_> = deltas.iter().filter(|delta| delta.counts.admitted() > 0).collect();
    for admitted in admitted.chunks(ROWS_MAX) {
        // `column1`, `column2` are what both SQLite and PostgreSQL call the columns of a bare VALUES.
        let mut query = query("UPDATE ledger_meters SET settled = v.column2 FROM (");
        query.push_rows(
            admitted.iter().map(|delta| [delta.key.to_string().into(), signed(delta.settled).into()]),
        );
        query.push(") AS v WHERE ledger_meters.key_id = v.column1");
        query.execute(&mut transaction).await?;
    }
    transaction.commit().await
}

/// Adds counts to a minute, and writes when their keys were used last.
pub(super) async fn add(
    mut connection: Connection<'_>,
    deltas: &[UsageDelta],
    at_minute: UnixMillis,
    used_at: UnixMillis,
) -> sqlx::Result<()> {
    // In the order of the keys, each once: two who add at the same time then wait for each other in one direction only,
    // and PostgreSQL takes no row twice in one statement.
    let mut by_key: BTreeMap<KeyId, Totals> = BTreeMap::new();
    for delta in deltas {
        *by_key.entry(delta.key).or_default() += delta.counts;
    }
    let rows: Vec<_> = by_key.into_iter().collect();
    for rows in rows.chunks(ROWS_MAX) {
        add_counts(connection.again(), rows, at_minute).await?;
    }
    let admitted: Vec<_> = rows.iter().filter(|(_, counts)| counts.admitted() > 0).collect();
    for admitted in admitted.chunks(ROWS_MAX) {
        let mut query = query("UPDATE keys SET last_used_at = ");
        query.push_bind(used_at.as_i64()).push(" WHERE (last_used_at IS NULL OR last_used_at < ");
        query.push_bind(used_at.as_i64()).push(") AND id IN (SELECT id FROM keys WHERE id IN (");
        query.push_list(admitted.iter().map(|(key, _)| key.to_string()));
        // A change that deletes several keys takes them in this order too.
        query.push(if connection.locks_rows() { ") ORDER BY id FOR UPDATE)" } else { "))" });
        query.execute(connection.again()).await?;
    }
    Ok(())
}

async fn add_counts(
    connection: Connection<'_>,
    rows: &[(KeyId, Totals)],
    at: UnixMillis,
) -> sqlx::Result<()> {
    let mut query = query(
        "INSERT INTO usage (key_id, at_minute, allowed, failed, denied_rate, denied_quota, denied_concurrency, \
         denied_other) ",
    );
    query.push_rows(rows.iter().map(|(key, counts)| {
        [
            key.to_string().into(),
            at.as_i64().into(),
            signed(counts.allowed).into(),
            signed(counts.failed).into(),
            signed(counts.denied_rate).into(),
            signed(counts.denied_quota).into(),
            signed(counts.denied_concurrency).into(),
            signed(counts.denied_other).into(),
        ]
    }));
    query.push(
        " ON CONFLICT (key_id, at_minute) DO UPDATE SET \
         allowed = usage.allowed + excluded.allowed, failed = usage.failed + excluded.failed, \
         denied_rate = usage.denied_rate + excluded.denied_rate, \
         denied_quota = usage.denied_quota + excluded.denied_quota, \
         denied_concurrency = usage.denied_concurrency + excluded.denied_concurrency, \
         denied_other = usage.denied_other + excluded.denied_other",
    );
    query.execute(connection).await.map(drop)
}

pub(super) async fn record_paths(
    counters: &Pool,
    paths: &[(KeyId, Vec<PathCount>)],
    at: UnixMillis,
) -> sqlx::Result<()> {
    let mut transaction = counters.begin().await?;
    add_paths(transaction.connection(), paths, at).await?;
    transaction.commit().await
}

/// Adds the ways that requests took to a minute.
pub(super) async fn add_paths(
    mut connection: Connection<'_>,
    paths: &[(KeyId, Vec<PathCount>)],
    at: UnixMillis,
) -> sqlx::Result<()> {
    // As with counts: in one order, each once.
    let mut by_path: BTreeMap<(KeyId, &str, String), (&str, u64)> = BTreeMap::new();
    for (key, paths) in paths {
        for path in paths {
            let (agent, slug) = match &path.agent {
                Some((agent, slug)) => (agent.to_string(), &**slug),
                None => (String::new(), ""),
            };
            let row = by_path.entry((*key, &path.route, agent)).or_insert((slug, 0));
            *row = (slug, row.1 + path.requests);
        }
    }
    let rows: Vec<_> = by_path.into_iter().collect();
    for rows in rows.chunks(ROWS_MAX) {
        let mut query =
            query("INSERT INTO usage_paths (key_id, at_minute, route, agent_id, agent, requests) ");
        query.push_rows(rows.iter().map(|((key, route, agent), (slug, requests))| {
            [
                key.to_string().into(),
                at.as_i64().into(),
                (*route).into(),
                agent.into(),
                (*slug).into(),
                signed(*requests).into(),
            ]
        }));
        query.push(
            " ON CONFLICT (key_id, at_minute, route, agent_id) DO UPDATE SET \
             agent = excluded.agent, requests = usage_paths.requests + excluded.requests",
        );
        query.execute(connection.again()).await?;
    }
    Ok(())
}

pub(super) async fn prune(counters: &Pool, now: UnixMillis) -> sqlx::Result<()> {
    let usage_before = UnixMillis(now.0.saturating_sub(USAGE_KEPT_MS)).as_i64();
    let audit_before = UnixMillis(now.0.saturating_sub(AUDIT_KEPT_MS)).as_i64();
    let ended_before = UnixMillis(now.0.saturating_sub(ENDED_KEPT_MS)).as_i64();
    // Paths have no index of their own by time: they go with the counts that they belong to.
    let mut transaction = counters.begin().await?;
    for statement in [
        "DELETE FROM usage_paths WHERE (key_id, at_minute) IN (SELECT key_id, at_minute FROM usage \
         WHERE at_minute < $1 ORDER BY at_minute, key_id LIMIT $2)",
        "DELETE FROM usage WHERE (key_id, at_minute) IN (SELECT key_id, at_minute FROM usage \
         WHERE at_minute < $1 ORDER BY at_minute, key_id LIMIT $2)",
    ] {
        query(statement).bind(usage_before).bind(PRUNED_MAX).execute(&mut transaction).await?;
    }
    transaction.commit().await?;
    let statements = [
        (
            "DELETE FROM ledger WHERE (key_id, quota_per) IN \
             (SELECT key_id, quota_per FROM ledger WHERE ends_at < $1 LIMIT $2)",
            ended_before,
        ),
        (
            "DELETE FROM ledger_rates WHERE key_id IN \
             (SELECT key_id FROM ledger_rates WHERE full_at_ns < $1 LIMIT $2)",
            ended_before.saturating_mul(1_000_000),
        ),
        (
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)",
            audit_before,
        ),
        (
            "DELETE FROM fleet_gateways WHERE gateway_id IN \
             (SELECT gateway_id FROM fleet_gateways WHERE last_seen < $1 LIMIT $2)",
            audit_before,
        ),
        (
            "DELETE FROM usage_batches WHERE gateway_id IN \
             (SELECT gateway_id FROM usage_batches WHERE at < $1 LIMIT $2)",
            audit_before,
        ),
    ];
    for (statement, before) in statements {
        query(statement).bind(before).bind(PRUNED_MAX).execute(counters).await?;
    }
    Ok(())
}
