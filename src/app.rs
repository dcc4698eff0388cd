//! Composition root: the only module that sees all others. Tells the life of the process from ports to the last flush.
//!
//! Promises that starting either succeeds whole or fails with one line that says what to do, and that leaving keeps the
//! order of guarantee G9: readiness fails, running requests end, counts are recorded, logs are flushed.

mod fleet;
mod http;
mod metrics;
mod serving;
mod telling;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::fleet::Member;
use self::http::Port;
use self::serving::{DataPlane, Follows, Limits, Process};
use self::telling::{ControlPlane, Tells};
use crate::config::reload::may_replace;
use crate::config::{self, Config, Problems};
use crate::console::operations::{InForce, Operations};
use crate::domain::clock::Clock;
use crate::gateway::Listening;
use crate::keytable::KeyTable;
use crate::limits::Limiter;
use crate::shutdown::{Asked, Signals};
use crate::store::{Database, LocalLedger};
use crate::telemetry::{self, AccessLog, Destination, Metrics, NotReady, Readiness};

/// The generation of the configuration that a process starts with; each reload adds one.
const FIRST_GENERATION: u64 = 1;

/// Which planes a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Both; with a fleet configured as two members of it.
    Serve,
    /// The data plane of a fleet.
    Gateway,
    /// The control plane of a fleet.
    Console,
}

impl Role {
    fn has_gateway(self) -> bool {
        self != Role::Console
    }

    fn has_console(self) -> bool {
        self != Role::Gateway
    }
}

/// Where a process listens, port 0 resolved.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Programs; empty without a data plane.
    pub gateway: Vec<SocketAddr>,
    /// Management API and console; none without a control plane.
    pub console: Option<SocketAddr>,
    /// Metrics and health.
    pub ops: SocketAddr,
}

/// A process that serves.
pub struct App {
    addresses: Addresses,
    process: Process,
    /// What it runs by.
    config: Config,
    data: Option<DataPlane>,
    control: Option<ControlPlane>,
    leave: watch::Sender<bool>,
    ops: JoinHandle<std::io::Result<()>>,
}

/// Ports first: what cannot be had is known before anything is touched.
struct Ports {
    gateway: Option<Listening>,
    console: Option<Port>,
    ops: Port,
}

impl Ports {
    fn bind(config: &Config, role: Role) -> anyhow::Result<Ports> {
        let taken = |what: &str, address| {
            format!("cannot listen on {address} for {what}: choose a free port, or stop what listens there")
        };
        let console = role.has_console().then_some(config.console.listen);
        let console =
            console.map(|address| Port::bind(address).with_context(|| taken("the console", address)));
        Ok(Ports {
            gateway: role
                .has_gateway()
                .then(|| Listening::bind(&config.gateway.listen, config.gateway.workers))
                .transpose()?,
            console: console.transpose()?,
            ops: Port::bind(config.ops.listen).with_context(|| taken("metrics", config.ops.listen))?,
        })
    }

    fn addresses(&self) -> Addresses {
        Addresses {
            gateway: self.gateway.as_ref().map(|gateway| gateway.addresses().to_vec()).unwrap_or_default(),
            console: self.console.as_ref().map(|console| console.address),
            ops: self.ops.address,
        }
    }
}

impl App {
    /// Starts the planes of `role` in this process. When it returns, they serve; a gateway of a fleet from when
    /// [`App::ready`] says so.
    ///
    /// # Errors
    /// Where a port, a file or the database cannot be had, or the role needs a fleet and none is configured.
    pub async fn start(config: Config, role: Role) -> anyhow::Result<App> {
        let clock = Clock::system();
        let ports = Ports::bind(&config, role)?;
        let addresses = ports.addresses();
        let readiness = Readiness::starting();
        readiness.set_generation(FIRST_GENERATION);
        let destination = if role.has_gateway() { destination(&config.access_log) } else { Destination::Off };
        let access_log = AccessLog::open(&destination, &config.key_format, clock.clone())?;
        let process = Process { clock, access_log, readiness };
        let member = fleet::member(&config, role, &addresses)?;
        let (leave, left) = watch::channel(false);
        let parts = Parts::assemble(&config, role, &process, member.as_ref()).await?;
        let Parts { database, keys, limits, follows, tells, metrics } = parts;
        let limiter = limits.as_ref().map(|limits| limits.limiter.clone());
        let data = match (ports.gateway, limits) {
            (Some(listening), Some(limits)) => {
                let (keys, metrics) = (Arc::clone(&keys), Arc::clone(&metrics));
                Some(DataPlane::start(listening, &config, &process, keys, metrics, limits, follows)?)
            }
            _ => None,
        };
        let control = match (ports.console, database) {
            (Some(port), Some(database)) => {
                let gateway = addresses.gateway.first().copied();
                let in_force = match (&tells, limiter) {
                    (Some(tells), _) => InForce::Fleet(tells.desk.clone()),
                    (None, Some(limiter)) => InForce::here(keys, limiter),
                    (None, None) => anyhow::bail!("a console alone needs a fleet to tell"),
                };
                let clock = &process.clock;
                Some(ControlPlane::start(
                    port,
                    gateway,
                    &config,
                    clock,
                    database,
                    in_force,
                    tells,
                    left.clone(),
                )?)
            }
            _ => None,
        };
        let router = telemetry::ops::router(metrics, process.readiness.clone());
        let ops = tokio::spawn(ports.ops.serve(router, left));
        process.readiness.unset(NotReady::Starting);
        Ok(App { addresses, process, config, data, control, leave, ops })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Completes when the process may be sent requests for the first time.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + 'static {
        let ready = self.data.as_ref().and_then(DataPlane::ready);
        async move {
            if let Some(mut ready) = ready {
                // An error means that it left before.
                let _ = ready.wait_for(|ready| *ready).await;
            }
        }
    }

    /// The records, where there is a control plane.
    pub fn database(&self) -> Option<&Database> {
        self.control.as_ref().map(|control| &control.database)
    }

    /// What may be done to records, for the demo, which is its own first operator.
    pub fn operations(&self) -> Option<&Operations> {
        self.control.as_ref().map(|control| &control.operations)
    }

    /// Serves until a signal asks to leave, then leaves in order. SIGHUP takes over what `read` gives.
    pub async fn run(mut self, mut signals: Signals, read: impl Fn() -> Result<Config, Problems>) {
        while signals.next().await == Asked::Reload {
            self.process.access_log.reopen();
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
        if let Some(control) = &self.control
            && let Err(error) = control.apply(&self.config, &next).await
        {
            tracing::error!("the configuration was not taken over: {error}; send SIGHUP again");
            return;
        }
        if let Some(data) = &self.data {
            data.apply(&next).await;
        }
        self.config = next;
        let generation = self.process.readiness.generation() + 1;
        self.process.readiness.set_generation(generation);
        tracing::info!(generation, "the configuration was taken over");
    }

    /// Leaves in order.
    async fn leave(self) {
        self.process.readiness.set(NotReady::Draining);
        let mut drained = None;
        if let Some(data) = self.data {
            // Balancers that ask for readiness now and then need a moment to look elsewhere.
            tokio::time::sleep(self.config.gateway.leave_delay).await;
            drained = Some(data.drain(&self.config).await);
        }
        // Readiness and metrics are told until the last request has ended.
        self.leave.send_replace(true);
        let mut control = self.control;
        if let Some(control) = &mut control {
            control.answer_last().await;
        }
        if let Ok(Err(error)) = self.ops.await {
            tracing::error!(%error, "the ops listener ended badly");
        }
        if let Some(drained) = drained {
            drained.leave().await;
        }
        if let Some(control) = control {
            control.leave().await;
        }
        let access_log = self.process.access_log;
        let flushed = tokio::task::spawn_blocking(move || access_log.flush()).await;
        if !matches!(flushed, Ok(true)) {
            tracing::error!("the access log could not be flushed: its last lines are missing");
        }
        tracing::info!("left");
    }
}

/// What both planes are made of.
struct Parts {
    database: Option<Database>,
    keys: Arc<KeyTable>,
    limits: Option<Limits>,
    follows: Option<Follows>,
    tells: Option<Tells>,
    metrics: Arc<Metrics>,
}

impl Parts {
    async fn assemble(
        config: &Config,
        role: Role,
        process: &Process,
        member: Option<&Member>,
    ) -> anyhow::Result<Parts> {
        match member {
            Some(member) => Parts::of_fleet(config, role, process, member).await,
            None => Parts::alone(config, process).await,
        }
    }

    async fn alone(config: &Config, process: &Process) -> anyhow::Result<Parts> {
        let clock = &process.clock;
        let database = Database::open(&config.database, clock.clone()).await?;
        let keys = Arc::new(KeyTable::new(config.key_limits.clone()));
        database.load(&keys).await?;
        let (limiter, keeper) = Limiter::new();
        let ledger = Arc::new(LocalLedger::new(&database));
        let limits = Limits::start(limiter.clone(), None, |left| {
            keeper.run(ledger, clock.clone(), async {
                // A dropped sender means the same: nobody is left to serve.
                let _ = left.await;
            })
        });
        let metrics = metrics::of_gateway(config, &keys, &limiter, process)?;
        let (database, limits) = (Some(database), Some(limits));
        Ok(Parts { database, keys, limits, follows: None, tells: None, metrics })
    }

    async fn of_fleet(
        config: &Config,
        role: Role,
        process: &Process,
        member: &Member,
    ) -> anyhow::Result<Parts> {
        let clock = &process.clock;
        let keys = Arc::new(KeyTable::replica(config.key_limits.clone()));
        let database = if role.has_console() {
            Some(Database::open_shared(&config.database, clock.clone()).await?)
        } else {
            None
        };
        let tells = database.as_ref().map(|database| member.tell(database, clock, config));
        let serves = role.has_gateway().then(|| member.serve(Arc::clone(&keys), process));
        let metrics = metrics::of_member(config, &keys, serves.as_ref(), process, member, tells.as_ref())?;
        let (limits, follows) = serves.unzip();
        Ok(Parts { database, keys, limits, follows, tells, metrics })
    }
}

fn destination(written: &config::AccessLog) -> Destination {
    match written {
        config::AccessLog::Off => Destination::Off,
        config::AccessLog::Stdout => Destination::Stdout,
        config::AccessLog::File(path) => Destination::File(path.clone()),
    }
}
