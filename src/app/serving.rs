//! The data plane put together: key table, limits, workers, and in a fleet the follower that fills the table.
//!
//! Promises the order of guarantee G9 on leaving: running requests end, then limits and counts are handed back, then the
//! fleet is told.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::domain::clock::Clock;
use crate::fleet::{FleetBook, Following};
use crate::gateway::{Gateway, Guard, Listening, Planes, Settings};
use crate::keytable::KeyTable;
use crate::limits::Limiter;
use crate::telemetry::{AccessLog, Metrics, NotReady, Readiness};

/// What both planes are told of the process.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) clock: Clock,
    pub(super) access_log: AccessLog,
    pub(super) readiness: Readiness,
}

/// Limits, and the task that keeps them.
pub(super) struct Limits {
    pub(super) limiter: Limiter,
    /// Where counts wait on their way to SQL, in a fleet.
    pub(super) book: Option<FleetBook>,
    keeper: JoinHandle<()>,
    leave: oneshot::Sender<()>,
}

impl Limits {
    /// Spawns the keeper that `keep` makes of the signal to leave.
    pub(super) fn start<F>(
        limiter: Limiter,
        book: Option<FleetBook>,
        keep: impl FnOnce(oneshot::Receiver<()>) -> F,
    ) -> Limits
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (leave, left) = oneshot::channel();
        Limits { limiter, book, keeper: tokio::spawn(keep(left)), leave }
    }

    /// Records what is counted and hands leases back. Comes after the last request.
    async fn hand_back(self) {
        // Whether told or dropped means the same: nobody is left to serve.
        let _ = self.leave.send(());
        if self.keeper.await.is_err() {
            tracing::error!("the keeper of limits ended badly: counts of the last second may be missing");
        }
    }
}

/// The follower of a fleet's feed.
pub(super) struct Follows {
    pub(super) following: Following,
    task: JoinHandle<()>,
    leave: watch::Sender<bool>,
}

impl Follows {
    /// Spawns the follower that `follow` makes of the signal to leave, and keeps readiness in step with it.
    pub(super) fn start<F>(
        following: Following,
        readiness: &Readiness,
        follow: impl FnOnce(watch::Receiver<bool>) -> F,
    ) -> Follows
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (leave, left) = watch::channel(false);
        readiness.set(NotReady::Untrusted);
        tokio::spawn(tell_readiness(following.ready(), readiness.clone()));
        Follows { following, task: tokio::spawn(follow(left)), leave }
    }

    async fn leave(self) {
        self.leave.send_replace(true);
        if self.task.await.is_err() {
            tracing::error!("following the feed of changes ended badly");
        }
    }
}

async fn tell_readiness(mut ready: watch::Receiver<bool>, readiness: Readiness) {
    loop {
        if *ready.borrow_and_update() {
            readiness.unset(NotReady::Untrusted);
        } else {
            readiness.set(NotReady::Untrusted);
        }
        // The follower is gone when the process leaves.
        if ready.changed().await.is_err() {
            return;
        }
    }
}

/// See the module.
pub(super) struct DataPlane {
    gateway: Gateway,
    keys: Arc<KeyTable>,
    limits: Limits,
    follows: Option<Follows>,
}

impl DataPlane {
    /// Starts the workers. When it returns, they serve.
    pub(super) fn start(
        listening: Listening,
        config: &Config,
        process: &Process,
        keys: Arc<KeyTable>,
        metrics: Arc<Metrics>,
        limits: Limits,
        follows: Option<Follows>,
    ) -> anyhow::Result<DataPlane> {
        let planes = Planes {
            clock: process.clock.clone(),
            keys: Arc::clone(&keys),
            limiter: limits.limiter.clone(),
            metrics,
            access_log: process.access_log.clone(),
            guard: config.guard.failures_per_minute.map(|failures| Arc::new(Guard::new(failures))),
            connections_max: config.gateway.connections_max,
        };
        let gateway = Gateway::start(listening, &settings(config), &planes)
            .context("cannot start a worker: the system gives no more threads")?;
        Ok(DataPlane { gateway, keys, limits, follows })
    }

    /// Whether the table may be used; `None` where it is the truth itself.
    pub(super) fn ready(&self) -> Option<watch::Receiver<bool>> {
        self.follows.as_ref().map(|follows| follows.following.ready())
    }

    /// Takes over what of the configuration may change.
    pub(super) async fn apply(&self, config: &Config) {
        if let Some(follows) = &self.follows
            && *self.keys.defaults() != config.key_limits
        {
            // Entries hold their limits ready to use, so all are made anew.
            self.keys.set_defaults(config.key_limits.clone());
            follows.following.load_anew();
        }
        self.gateway.apply(&settings(config)).await;
    }

    /// Ends what runs, or cuts it after the grace time.
    pub(super) async fn drain(self, config: &Config) -> Drained {
        let DataPlane { gateway, limits, follows, .. } = self;
        if !gateway.leave(config.gateway.grace).await {
            tracing::warn!("the grace time is over: requests that still ran were cut");
        }
        Drained { limits, follows }
    }
}

/// A data plane without requests, which still holds leases and counts.
pub(super) struct Drained {
    limits: Limits,
    follows: Option<Follows>,
}

impl Drained {
    /// Hands everything back, then tells the fleet.
    pub(super) async fn leave(self) {
        self.limits.hand_back().await;
        if let Some(follows) = self.follows {
            follows.leave().await;
        }
    }
}

/// What the data plane is told of the configuration.
fn settings(config: &Config) -> Settings {
    Settings {
        routes: config.routes.clone(),
        upstreams: config.upstreams.clone(),
        key_format: config.key_format.clone(),
        trusted_proxies: config.gateway.trusted_proxies.clone(),
        head_bytes_max: config.gateway.head_bytes_max,
        head_fields_max: config.gateway.head_fields_max,
        target_bytes_max: config.gateway.target_bytes_max,
        head_timeout: config.gateway.head_timeout,
        idle_timeout: config.gateway.idle_timeout,
    }
}
