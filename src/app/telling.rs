//! The control plane put together: records, operations, pages and API, and in a fleet what tells the gateways.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::http::Port;
use crate::config::Config;
use crate::console::{
    self, openid,
    operations::{InForce, Operations, Rules, SessionRules},
};
use crate::domain::clock::Clock;
use crate::domain::id::GatewayId;
use crate::fleet::redis::RedisHub;
use crate::fleet::{Desk, Drain, Draining, Floors, Lookout, Publisher, Register, Resumption, Revoker};
use crate::store::Database;

/// What tells the gateways of a fleet: tasks that run until the console has answered its last request.
pub(super) struct Tells {
    pub(super) desk: Desk,
    pub(super) lookout: Lookout,
    pub(super) draining: Draining,
    pub(super) resumption: Resumption,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    leave: watch::Sender<bool>,
}

impl Tells {
    /// Begins to publish, or to stand by, and to read the register.
    pub(super) fn start(
        hub: RedisHub,
        database: &Database,
        clock: &Clock,
        config: &Config,
        fleet: &crate::config::Fleet,
    ) -> Tells {
        let (leave, left) = watch::channel(false);
        let (publisher, publishing) = Publisher::new(database.clone(), hub.clone(), GatewayId::generate());
        let (register, lookout) =
            Register::new(database.clone(), hub.clone(), clock.clone(), fleet.failover_overlap);
        let revoker = Revoker::new(
            lookout.clone(),
            publishing.clone(),
            clock.clone(),
            fleet.trust,
            fleet.failover_overlap,
        );
        let (drain, draining) = Drain::new(hub.clone(), database.clone(), publishing.clone());
        let desk = Desk::new(revoker, publishing, draining.clone(), hub.ledger(), config.key_limits.clone());
        let books = hub.ledger();
        let (floors, resumption) = Floors::new(hub, books, database.clone(), desk.clone(), clock.clone());
        let tasks = vec![
            ("publishing changes", tokio::spawn(publisher.run(left.clone()))),
            ("reading the register of gateways", tokio::spawn(register.run(left.clone()))),
            ("recording counts of requests", tokio::spawn(drain.run(left.clone()))),
            ("resuming counters of limits", tokio::spawn(floors.run(left))),
        ];
        Tells { desk, lookout, draining, resumption, tasks, leave }
    }

    async fn leave(self) {
        self.leave.send_replace(true);
        for (name, task) in self.tasks {
            if task.await.is_err() {
                tracing::error!("{name} ended badly");
            }
        }
    }
}

/// See the module.
pub(super) struct ControlPlane {
    pub(super) operations: Operations,
    pub(super) database: Database,
    site: Arc<console::Site>,
    served: JoinHandle<std::io::Result<()>>,
    tells: Option<Tells>,
}

impl ControlPlane {
    /// Serves pages and API until `left` says so. `gateway` is where programs reach this process, if they do.
    #[expect(clippy::too_many_arguments, reason = "each is one part that the composition root has made")]
    pub(super) fn start(
        port: Port,
        gateway: Option<SocketAddr>,
        config: &Config,
        clock: &Clock,
        database: Database,
        in_force: InForce,
        tells: Option<Tells>,
        left: watch::Receiver<bool>,
    ) -> anyhow::Result<ControlPlane> {
        let site = Arc::new(site(config, port.address, gateway, clock)?);
        let operations = Operations::new(database.clone(), in_force, clock.clone(), rules(config, &site));
        if site.may_sign_in() && !site.is_https() && !config.console.listen.ip().is_loopback() {
            tracing::warn!(
                listen = %config.console.listen,
                "people can sign in here without https from other machines: let `console.listen` be a loopback address, \
                 or set `console.public_url` to the https address of what ends TLS before it"
            );
        }
        let router = console::router(operations.clone(), Arc::clone(&site));
        let served = tokio::spawn(port.serve(router, left));
        Ok(ControlPlane { operations, database, site, served, tells })
    }

    /// Takes over what of the configuration may change; an error names what failed, and nothing has changed then.
    pub(super) async fn apply(&self, running: &Config, next: &Config) -> Result<(), String> {
        if next.key_limits != running.key_limits {
            let applied = self.operations.apply_default_limits(next.key_limits.clone()).await;
            applied.map_err(|error| error.to_string())?;
        }
        self.site.routes.store(Arc::new(next.routes.clone()));
        Ok(())
    }

    /// Waits for the last answer, once leaving was asked for.
    pub(super) async fn answer_last(&mut self) {
        if let Ok(Err(error)) = (&mut self.served).await {
            tracing::error!(%error, "the console listener ended badly");
        }
    }

    /// Stops telling gateways and closes the database. Comes after [`ControlPlane::answer_last`] and after the data plane
    /// of the same process, which has counts to record.
    pub(super) async fn leave(self) {
        if let Some(tells) = self.tells {
            tells.leave().await;
        }
        self.database.close().await;
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
fn site(
    config: &Config,
    console: SocketAddr,
    gateway: Option<SocketAddr>,
    clock: &Clock,
) -> anyhow::Result<console::Site> {
    let public_url = reached(&config.console.public_url, Some(console));
    let openid = config.console.openid.as_ref();
    let openid = openid.map(|settings| openid::Provider::new(settings, &public_url, clock.clone()));
    Ok(console::Site {
        openid: openid.transpose()?,
        public_url,
        gateway_url: reached(&config.gateway.public_url, gateway),
        routes: ArcSwap::from_pointee(config.routes.clone()),
        trusted_proxies: config.console.trusted_proxies.clone(),
    })
}

/// A URL that was made of an address with port 0, with the port that the address was given.
pub(super) fn reached(url: &str, address: Option<SocketAddr>) -> String {
    match (url.strip_suffix(":0"), address) {
        (Some(host), Some(address)) => format!("{host}:{}", address.port()),
        _ => url.to_owned(),
    }
}
