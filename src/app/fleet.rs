//! A process as a member of a fleet: what of it speaks to Redis, put together.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;

use super::control_plane::Tells;
use super::data_plane::{Follows, Limits, Process};
use super::{Addresses, Role};
use crate::config::{Config, Fleet};
use crate::domain::clock::{Clock, UnixMillis};
use crate::domain::id::{GatewayId, KeyId};
use crate::fleet::redis::RedisHub;
use crate::fleet::{FleetBook, Follower, Identity, UsageSender};
use crate::keytable::KeyTable;
use crate::limits::*;
use crate::store::Database;

/// What both planes of a member share.
pub(super) struct Member {
    pub(super) hub: RedisHub,
    pub(super) fleet: Fleet,
    identity: Identity,
}

/// The member that `config` describes; `None` where it describes a process alone.
///
/// # Errors
/// Where `role` needs a fleet and there is none, or Redis' certificates cannot be read.
pub(super) fn member(config: &Config, role: Role, addresses: &Addresses) -> anyhow::Result<Option<Member>> {
    let Some(fleet) = &config.fleet else {
        let name = match role {
            Role::Serve => return Ok(None),
            Role::Gateway => "gateway",
            Role::Console => "console",
        };
        anyhow::bail!(
            "`keystile {name}` is a member of a fleet: set `fleet.redis`, or use `keystile serve`, which needs none"
        );
    };
    let hub = RedisHub::new(fleet).context("fleet.redis cannot be used")?;
    let address =
        super::control_plane::reached(&config.gateway.public_url, addresses.gateway.first().copied());
    let identity = Identity {
        gateway: GatewayId::generate(),
        name: fleet.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address,
        trust: fleet.trust,
        serve_for: fleet.serve_for.unwrap_or_default(),
    };
    Ok(Some(Member { hub, fleet: fleet.clone(), identity }))
}

impl Member {
    /// Begins to tell the gateways what `database` holds.
    pub(super) fn tell(&self, database: &Database, clock: &Clock, config: &Config) -> Tells {
        Tells::start(self.hub.clone(), database, clock, config, &self.fleet)
    }

    /// Begins to fill `keys` and to keep limits with the fleet's ledger.
    pub(super) fn serve(&self, keys: Arc<KeyTable>, process: &Process) -> (Limits, Follows) {
        let clock = process.clock.clone();
        let (limiter, keeper) = Limiter::new();
        let readiness = process.readiness.clone();
        let (follower, following) = Follower::new(
            self.hub.clone(),
            keys,
            clock.clone(),
            self.identity.clone(),
            move || readiness.generation(),
            || 0,
        );
        let book = FleetBook::default();
        let sender =
            UsageSender::new(self.hub.clone(), book.clone(), self.identity.gateway, following.synced());
        let limits = Limits::start(limiter, |left| async move {
            let (leave, leaving) = watch::channel(false);
            let sending = tokio::spawn(sender.run(leaving));
            keeper
                .run(Arc::new(Interim(book)), clock, async {
                    // A dropped sender means the same: nobody is left to serve.
                    let _ = left.await;
                })
                .await;
            leave.send_replace(true);
            let _ = sending.await;
        });
        let follows = Follows::start(following, &process.readiness, |left| follower.run(left));
        (limits, follows)
    }
}

struct Interim(FleetBook);
impl UsageBook for Interim {
    async fn begin(&self, now: UnixMillis, until: UnixMillis) -> Result<Boot, LedgerError> {
        self.0.begin(now, until).await
    }
    async fn record_usage(&self, d: &[UsageDelta], m: UnixMillis, n: UnixMillis) -> Result<(), LedgerError> {
        self.0.record_usage(d, m, n).await
    }
    async fn record_paths(&self, p: &[(KeyId, Vec<PathCount>)], m: UnixMillis) -> Result<(), LedgerError> {
        self.0.record_paths(p, m).await
    }
    async fn beat(&self, _: UnixMillis) -> Result<(), LedgerError> {
        Ok(())
    }
    async fn prune(&self, _: UnixMillis) -> Result<(), LedgerError> {
        Ok(())
    }
}
impl Ledger for Interim {
    async fn renew(&self, asks: &Asks, now_unix_ns: u64) -> Result<Grants, LedgerError> {
        Ok(Grants {
            quotas: asks
                .quotas
                .iter()
                .map(|ask| ask.grant(None, UnixMillis(now_unix_ns / 1_000_000)))
                .collect(),
            rates: asks.rates.iter().map(|ask| ask.grant(None, now_unix_ns)).collect(),
        })
    }
    async fn return_leases(&self, _: &Returns) -> Result<(), LedgerError> {
        Ok(())
    }
    async fn end(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}
