//! What the process tells Prometheus beyond what its parts register themselves.

use std::sync::Arc;
use std::time::Duration;

use super::fleet::Member;
use super::serving::{Follows, Limits, Process};
use super::telling::Tells;
use crate::config::Config;
use crate::fleet::hub::SILENT_AFTER;
use crate::fleet::{Following, REVOCATION_BOUNDS_NS};
use crate::keytable::{KeyTable, Standing};
use crate::limits::Limiter;
use crate::telemetry::Metrics;

/// The metrics of a process with a data plane.
pub(super) fn of_gateway(
    config: &Config,
    keys: &Arc<KeyTable>,
    limiter: &Limiter,
    process: &Process,
) -> anyhow::Result<Arc<Metrics>> {
    let readiness = process.readiness.clone();
    let metrics = Metrics::new(Arc::<KeyTable>::clone(keys), config.metrics.keys_max, readiness);
    process.access_log.register(&metrics)?;
    own_limits(&metrics, limiter)?;
    Ok(Arc::new(metrics))
}

/// The metrics of a member of a fleet.
pub(super) fn of_member(
    config: &Config,
    keys: &Arc<KeyTable>,
    serves: Option<&(Limits, Follows)>,
    process: &Process,
    member: &Member,
    tells: Option<&Tells>,
) -> anyhow::Result<Arc<Metrics>> {
    let readiness = process.readiness.clone();
    let metrics = Metrics::new(Arc::<KeyTable>::clone(keys), config.metrics.keys_max, readiness);
    process.access_log.register(&metrics)?;
    redis(&metrics, member)?;
    if let Some((limits, follows)) = serves {
        own_limits(&metrics, &limits.limiter)?;
        slices(&metrics, limits)?;
        replica(&metrics, keys, process, &follows.following)?;
    }
    if let Some(tells) = tells {
        telling(&metrics, tells)?;
    }
    Ok(Arc::new(metrics))
}

fn ratio(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn redis(metrics: &Metrics, member: &Member) -> anyhow::Result<()> {
    let counters = member.hub.counters();
    metrics.register_gauge(
        "keystile_redis_breaker_open_ratio",
        "Says 1 while calls to Redis fail at once because the last ones did.",
        move || ratio(counters.breaker_open()),
    )?;
    let counters = member.hub.counters();
    metrics.register_counter(
        "keystile_redis_reconnects_total",
        "Connections to Redis that were opened after the first one.",
        move || counters.reconnects() as f64,
    )?;
    let counters = member.hub.counters();
    metrics.register_counters_by(
        "keystile_redis_calls_total",
        "Calls to Redis, by what they are for.",
        "call",
        move || counters.calls().iter().map(|call| (call.name, call.calls as f64)).collect(),
    )?;
    let counters = member.hub.counters();
    metrics.register_counters_by(
        "keystile_redis_failures_total",
        "Calls to Redis that were refused or got no answer in time.",
        "call",
        move || counters.calls().iter().map(|call| (call.name, call.failures as f64)).collect(),
    )?;
    Ok(())
}

fn slices(metrics: &Metrics, limits: &Limits) -> anyhow::Result<()> {
    let limiter = limits.limiter.clone();
    metrics.register_gauge(
        "keystile_ledger_outstanding_requests",
        "Requests of quotas that the fleet's ledger has granted to this gateway and that are not used: what its death would strand.",
        move || limiter.fleet_standing().map_or(0.0, |standing| standing.outstanding as f64),
    )?;
    let limiter = limits.limiter.clone();
    metrics.register_gauge(
        "keystile_ledger_outage_ratio",
        "Says 1 while the fleet's ledger does not answer and this gateway serves from its share.",
        move || ratio(limiter.fleet_standing().is_some_and(|standing| standing.away)),
    )?;
    let limiter = limits.limiter.clone();
    metrics.register_counter(
        "keystile_ledger_exchanges_total",
        "Calls to the fleet's ledger of limits.",
        move || limiter.fleet_standing().map_or(0.0, |standing| standing.exchanges as f64),
    )?;
    let limiter = limits.limiter.clone();
    metrics.register_counter(
        "keystile_ledger_undecided_requests_total",
        "Requests refused with 503 because the ledger did not say whether their limit was reached.",
        move || limiter.fleet_standing().map_or(0.0, |standing| standing.undecided as f64),
    )?;
    if let Some(book) = limits.book.clone() {
        metrics.register_gauge(
            "keystile_usage_batches_waiting",
            "Batches of counts that SQL does not have yet.",
            move || book.waiting() as f64,
        )?;
    }
    Ok(())
}

fn replica(
    metrics: &Metrics,
    keys: &Arc<KeyTable>,
    process: &Process,
    following: &Following,
) -> anyhow::Result<()> {
    let (table, clock) = (Arc::clone(keys), process.clock.clone());
    metrics.register_gauge(
        "keystile_fleet_trusted_ratio",
        "Says 1 while the replica of the keys is fresh: this gateway is in touch with Redis and has applied what is there.",
        move || ratio(table.trust().standing(&clock) == Standing::Fresh),
    )?;
    let (table, clock) = (Arc::clone(keys), process.clock.clone());
    metrics.register_gauge(
        "keystile_fleet_serving_ratio",
        "Says 1 while the replica of the keys may be used, fresh or not.",
        move || ratio(table.trust().standing(&clock) != Standing::Over),
    )?;
    let seen = following.clone();
    metrics.register_gauge(
        "keystile_fleet_applied_sequence",
        "The last change that the replica contains.",
        move || seen.applied().map_or(0.0, |at| at.seq as f64),
    )?;
    let seen = following.synced();
    metrics.register_gauge(
        "keystile_fleet_head_sequence",
        "The last change in the feed, as the last sync found it.",
        move || seen.borrow().map_or(0.0, |synced| synced.head.seq as f64),
    )?;
    let seen = following.synced();
    metrics.register_gauge(
        "keystile_fleet_epoch",
        "The lineage of what Redis holds; another one means that Redis had lost data.",
        move || seen.borrow().map_or(0.0, |synced| synced.head.epoch as f64),
    )?;
    let seen = following.clone();
    metrics.register_counter(
        "keystile_fleet_resyncs_total",
        "How often the whole table was loaded, the first time included.",
        move || seen.loads() as f64,
    )?;
    let seen = following.clone();
    metrics.register_gauge(
        "keystile_fleet_last_sync_seconds",
        "How long the last sync with Redis took.",
        move || seen.last_sync_ms() as f64 / 1e3,
    )?;
    Ok(())
}

fn telling(metrics: &Metrics, tells: &Tells) -> anyhow::Result<()> {
    let publishing = tells.desk.publishing().clone();
    metrics.register_gauge(
        "keystile_publisher_active_ratio",
        "Says 1 while this console publishes changes to the fleet; one console does.",
        move || ratio(publishing.is_active()),
    )?;
    let publishing = tells.desk.publishing().clone();
    metrics.register_gauge(
        "keystile_published_sequence",
        "The last change that this console has published.",
        move || publishing.published() as f64,
    )?;
    let publishing = tells.desk.publishing().clone();
    metrics.register_gauge(
        "keystile_outbox_lag_changes",
        "Changes that were committed and not published when this console looked last.",
        move || publishing.behind() as f64,
    )?;
    let publishing = tells.desk.publishing().clone();
    metrics.register_counter(
        "keystile_republications_total",
        "How often this console has written the whole table to Redis.",
        move || publishing.republications() as f64,
    )?;
    gateways(metrics, tells)?;
    counts(metrics, tells)
}

fn gateways(metrics: &Metrics, tells: &Tells) -> anyhow::Result<()> {
    let snapshots = tells.lookout.snapshots();
    metrics.register_gauge("keystile_fleet_gateways", "Gateways that are on the register.", move || {
        snapshots.borrow().gateways.len() as f64
    })?;
    let snapshots = tells.lookout.snapshots();
    metrics.register_gauge(
        "keystile_fleet_gateways_silent",
        "Gateways on the register that have given no sign for a second.",
        move || {
            let snapshot = snapshots.borrow();
            let is_silent = |silent_ms| Duration::from_millis(silent_ms) > SILENT_AFTER;
            let silent = snapshot.gateways.iter().filter(|sight| is_silent(sight.registered.silent_ms));
            silent.count() as f64
        },
    )?;
    Ok(())
}

fn counts(metrics: &Metrics, tells: &Tells) -> anyhow::Result<()> {
    let lookout = tells.lookout.clone();
    metrics.register_counter(
        "keystile_ledger_stranded_requests_total",
        "Requests that were granted to gateways which died: lost to their quotas until the window ends.",
        move || lookout.stranded() as f64,
    )?;
    let resumption = tells.resumption.clone();
    metrics.register_counter(
        "keystile_ledger_resumed_accounts_total",
        "Accounts whose counters went on from what SQL had counted and gateways declared, after Redis had lost them.",
        move || resumption.accounts() as f64,
    )?;
    let draining = tells.draining.clone();
    metrics.register_counter(
        "keystile_usage_batches_recorded_total",
        "Batches of counts that this console has recorded.",
        move || draining.recorded() as f64,
    )?;
    let desk = tells.desk.clone();
    metrics.register_histogram(
        "keystile_revocation_seconds",
        "How long changes that take something away waited until the whole fleet had applied them, or the wait ended.",
        REVOCATION_BOUNDS_NS,
        move || desk.took(),
    )?;
    let desk = tells.desk.clone();
    metrics.register_counter(
        "keystile_revocations_pending_total",
        "Revocations that were answered before every gateway had confirmed or was out.",
        move || desk.pending() as f64,
    )?;
    Ok(())
}

fn own_limits(metrics: &Metrics, limiter: &Limiter) -> anyhow::Result<()> {
    let ledger = limiter.clone();
    metrics.register_gauge(
        "keystile_ledger_secured_ratio",
        "Says 1 while what limits admit is on record ahead of time, 0 while the store fails and counts live in memory only.",
        move || if ledger.ledger_failing() { 0.0 } else { 1.0 },
    )?;
    let ledger = limiter.clone();
    metrics.register_counter(
        "keystile_ledger_unsecured_leases_total",
        "Leases granted without a record because the store failed; a crash now would forget them.",
        move || ledger.unsecured_grants() as f64,
    )?;
    let paths = limiter.clone();
    metrics.register_counter(
        "keystile_unattributed_requests_total",
        "Admitted requests that usage counts of their key and, for want of room, not of their route and agent.",
        move || paths.unattributed_requests() as f64,
    )?;
    Ok(())
}
