//! Composition root: the only module that sees all others. Tells the life of the process from ports to the last flush.
//!
//! Promises that starting either succeeds whole or fails with one line that says what to do, and that leaving keeps the
//! order of guarantee G9: readiness fails, running requests end, counts are recorded, logs are flushed.

mod http;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::http::Port;
use crate::config::reload::may_replace;
use crate::config::{self, Config, Problems};
use crate::console::{
    self, openid,
    operations::{Operations, Rules, SessionRules},
};
use crate::domain::clock::Clock;
use crate::gateway::{Gateway, Guard, Listening, Planes, Settings};
use crate::keytable::KeyTable;
use crate::limits::Limiter;
use crate::shutdown::{Asked, Signals};
use crate::store::{Database, LocalLedger};
use crate::telemetry::{self, AccessLog, Destination, Metrics, NotReady, Readiness};

/// The generation of the configuration that a process starts with; each reload adds one.
const FIRST_GENERATION: u64 = 1;

/// Where a process listens, port 0 resolved.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Programs.
    pub gateway: Vec<SocketAddr>,
    /// Management API and console.
    pub console: SocketAddr,
    /// Metrics and health.
    pub ops: SocketAddr,
}

/// A process that serves.
pub struct App {
    addresses: Addresses,
    operations: Operations,
    database: Database,
    gateway: Gateway,
    access_log: AccessLog,
    readiness: Readiness,
    /// What it runs by.
    config: Config,
    /// What the console says of it.
    site: Arc<console::Site>,
    leave: watch::Sender<bool>,
    console: JoinHandle<std::io::Result<()>>,
    ops: JoinHandle<std::io::Result<()>>,
    keeper: JoinHandle<()>,
    keeper_leave: oneshot::Sender<()>,
}

/// Ports first: what cannot be had is known before anything is touched.
struct Ports {
    gateway: Listening,
    console: Port,
    ops: Port,
}

impl Ports {
    fn bind(config: &Config) -> anyhow::Result<Ports> {
        let taken = |what: &str, address| {
            format!("cannot listen on {address} for {what}: choose a free port, or stop what listens there")
        };
        Ok(Ports {
            gateway: Listening::bind(&config.gateway.listen, config.gateway.workers)?,
            console: Port::bind(config.console.listen)
                .with_context(|| taken("the console", config.console.listen))?,
            ops: Port::bind(config.ops.listen).with_context(|| taken("metrics", config.ops.listen))?,
        })
    }
}

impl App {
    /// Starts gateway and console in this process. When it returns, all of it serves.
    ///
    /// # Errors
    /// Where a port, a file or the database cannot be had.
    pub async fn start(config: Config) -> anyhow::Result<App> {
        let clock = Clock::system();
        let ports = Ports::bind(&config)?;
        let access_log =
            AccessLog::open(&destination(&config.access_log), &config.key_format, clock.clone())?;
        let database = Database::open(&config.database, clock.clone()).await?;
        let keys = Arc::new(KeyTable::new(config.key_limits.clone()));
        database.load(&keys).await?;
        let (limiter, keeper) = Limiter::new();
        let ledger = Arc::new(LocalLedger::new(&database));
        let (keeper_leave, keeper_left) = oneshot::channel::<()>();
        let keeper = tokio::spawn(keeper.run(ledger, clock.clone(), async {
            // A dropped sender means the same: nobody is left to serve.
            let _ = keeper_left.await;
        }));
        let readiness = Readiness::starting();
        readiness.set_generation(FIRST_GENERATION);
        let metrics = metrics(&config, &keys, &limiter, &access_log, readiness.clone())?;
        let addresses = Addresses {
            gateway: ports.gateway.addresses().to_vec(),
            console: ports.console.address,
            ops: ports.ops.address,
        };
        let planes = Planes {
            clock: clock.clone(),
            keys: Arc::clone(&keys),
            limiter: limiter.clone(),
            metrics: Arc::clone(&metrics),
            access_log: access_log.clone(),
            guard: config.guard.failures_per_minute.map(|failures| Arc::new(Guard::new(failures))),
            connections_max: config.gateway.connections_max,
        };
        let gateway = Gateway::start(ports.gateway, &settings(&config), &planes)
            .context("cannot start a worker: the system gives no more threads")?;
        let site = Arc::new(site(&config, &addresses, &clock)?);
        let operations = Operations::new(database.clone(), keys, limiter, clock, rules(&config, &site));
        let (leave, left) = watch::channel(false);
        let router = console::router(operations.clone(), Arc::clone(&site));
        let console = tokio::spawn(ports.console.serve(router, left.clone()));
        let ops = tokio::spawn(ports.ops.serve(telemetry::ops::router(metrics, readiness.clone()), left));
        if site.may_sign_in() && !site.is_https() && !config.console.listen.ip().is_loopback() {
            tracing::warn!(
                listen = %config.console.listen,
                "people can sign in here without https from other machines: let `console.listen` be a loopback address, \
                 or set `console.public_url` to the https address of what ends TLS before it"
            );
        }
        readiness.unset(NotReady::Starting);
        Ok(App {
            addresses,
            operations,
            database,
            gateway,
            access_log,
            readiness,
            config,
            site,
            leave,
            console,
            ops,
            keeper,
            keeper_leave,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The records.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What may be done to records, for the demo, which is its own first operator.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Serves until a signal asks to leave, then leaves in order. SIGHUP takes over what `read` gives.
    pub async fn run(mut self, mut signals: Signals, read: impl Fn() -> Result<Config, Problems>) {
        while signals.next().await == Asked::Reload {
            self.access_log.reopen();
            match read() {
                Ok(next) => self.reload(next).await,
                Err(problems) => tracing::error!("the configuration was not taken over:\n{problems}"),
            }
        }
        tracing::info!(grace_s = self.config.gateway.grace.as_secs(), "leaving: finishing what runs");
        tokio::select! {
            () = self.leave() => {}
            () = signals.leave_asked() => tracing::warn!("asked twice: leaving at once"),
        }
    }

    /// Takes a configuration over whole, or says why not and changes nothing.
    async fn reload(&mut self, next: Config) {
        if let Err(refused) = may_replace(&self.config, &next) {
            tracing::error!("the configuration was not taken over: {refused}");
            return;
        }
        if next.key_limits != self.config.key_limits
            && let Err(error) = self.operations.apply_default_limits(next.key_limits.clone()).await
        {
            tracing::error!("the configuration was not taken over: {error}; send SIGHUP again");
            return;
        }
        self.gateway.apply(&settings(&next)).await;
        self.site.routes.store(Arc::new(next.routes.clone()));
        self.config = next;
        let generation = self.readiness.generation() + 1;
        self.readiness.set_generation(generation);
        tracing::info!(generation, "the configuration was taken over");
    }

    /// Leaves in order.
    async fn leave(self) {
        self.readiness.set(NotReady::Draining);
        // Balancers that ask for readiness now and then need a moment to look elsewhere.
        tokio::time::sleep(self.config.gateway.leave_delay).await;
        if !self.gateway.leave(self.config.gateway.grace).await {
            tracing::warn!("the grace time is over: requests that still ran were cut");
        }
        // Readiness and metrics are told until the last request has ended.
        self.leave.send_replace(true);
        for (name, task) in [("console", self.console), ("ops", self.ops)] {
            if let Ok(Err(error)) = task.await {
                tracing::error!(%error, "the {name} listener ended badly");
            }
        }
        let _ = self.keeper_leave.send(());
        if self.keeper.await.is_err() {
            tracing::error!("the keeper of limits ended badly: counts of the last second may be missing");
        }
        self.database.close().await;
        let access_log = self.access_log;
        let flushed = tokio::task::spawn_blocking(move || access_log.flush()).await;
        if !matches!(flushed, Ok(true)) {
            tracing::error!("the access log could not be flushed: its last lines are missing");
        }
        tracing::info!("left");
    }
}

fn destination(written: &config::AccessLog) -> Destination {
    match written {
        config::AccessLog::Off => Destination::Off,
        config::AccessLog::Stdout => Destination::Stdout,
        config::AccessLog::File(path) => Destination::File(path.clone()),
    }
}

/// What the control plane is told of the configuration.
fn rules(config: &Config, site: &console::Site) -> Rules {
    Rules {
        key_format: config.key_format.clone(),
        keys_per_organization: config.keys_per_organization,
        sessions: SessionRules {
            idle_timeout: config.console.sessions.idle_timeout,
            lifetime: config.console.sessions.lifetime,
        },
        people_may_sign_in: site.may_sign_in(),
    }
}

/// What the console is told of the deployment.
fn site(config: &Config, addresses: &Addresses, clock: &Clock) -> anyhow::Result<console::Site> {
    let public_url = reached(&config.console.public_url, Some(addresses.console));
    let openid = config.console.openid.as_ref();
    let openid = openid.map(|settings| openid::Provider::new(settings, &public_url, clock.clone()));
    let gateway = addresses.gateway.first().copied();
    Ok(console::Site {
        openid: openid.transpose()?,
        public_url,
        gateway_url: reached(&config.gateway.public_url, gateway),
        routes: ArcSwap::from_pointee(config.routes.clone()),
        trusted_proxies: config.console.trusted_proxies.clone(),
    })
}

/// A URL that was made of an address with port 0, with the port that the address was given.
fn reached(url: &str, address: Option<SocketAddr>) -> String {
    match (url.strip_suffix(":0"), address) {
        (Some(host), Some(address)) => format!("{host}:{}", address.port()),
        _ => url.to_owned(),
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

fn metrics(
    config: &Config,
    keys: &Arc<KeyTable>,
    limiter: &Limiter,
    access_log: &AccessLog,
    readiness: Readiness,
) -> anyhow::Result<Arc<Metrics>> {
    let metrics = Metrics::new(Arc::<KeyTable>::clone(keys), config.metrics.keys_max, readiness);
    access_log.register(&metrics)?;
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
    Ok(Arc::new(metrics))
}
