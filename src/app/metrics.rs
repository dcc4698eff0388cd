//! What the process tells Prometheus beyond what its parts register themselves.

use std::sync::Arc;

use super::control_plane::Tells;
use super::data_plane::Process;
use super::fleet::Member;
use crate::config::Config;
use crate::keytable::KeyTable;
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
    limits(&metrics, limiter)?;
    Ok(Arc::new(metrics))
}

/// The metrics of a member of a fleet.
pub(super) fn of_member(
    config: &Config,
    keys: &Arc<KeyTable>,
    limiter: Option<&Limiter>,
    process: &Process,
    member: &Member,
    tells: Option<&Tells>,
) -> anyhow::Result<Arc<Metrics>> {
    let readiness = process.readiness.clone();
    let metrics = Metrics::new(Arc::<KeyTable>::clone(keys), config.metrics.keys_max, readiness);
    process.access_log.register(&metrics)?;
    if let Some(limiter) = limiter {
        limits(&metrics, limiter)?;
    }
    Ok(Arc::new(metrics))
}

fn limits(metrics: &Metrics, limiter: &Limiter) -> anyhow::Result<()> {
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
