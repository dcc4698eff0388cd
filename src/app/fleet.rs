//! A process as a member of a fleet: what of it speaks to Redis, put together.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;

use super::serving::{Follows, Limits, Process};
use super::telling::Tells;
use super::{Addresses, Role};
use crate::config::{Config, Fleet};
use crate::domain::clock::Clock;
use crate::domain::id::GatewayId;
use crate::fleet::redis::RedisHub;
use crate::fleet::{FleetBook, Follower, Identity, Told, UsageSender};
use crate::keytable::KeyTable;
use crate::limits::Limiter;
use crate::limits::slices::Seat;
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
    let address = super::telling::reached(&config.gateway.public_url, addresses.gateway.first().copied());
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
        let (limiter, keeper) = Limiter::fleet();
        let book = FleetBook::default();
        let (readiness, told_limiter, told_book) = (process.readiness.clone(), limiter.clone(), book.clone());
        let told = move || {
            let standing = told_limiter.fleet_standing();
            Told {
                generation: readiness.generation(),
                declared: standing.map_or(0, |standing| standing.declared_epoch),
                outstanding: standing.map_or(0, |standing| standing.outstanding),
                counted: told_book.counted(),
            }
        };
        let identity = self.identity.clone();
        let (follower, following) = Follower::new(self.hub.clone(), keys, clock.clone(), identity, told);
        let gateway = self.identity.gateway;
        let sender = UsageSender::new(self.hub.clone(), book.clone(), gateway, following.synced());
        let seat = Seat { gateway, goes_on: self.identity.trust + self.identity.serve_for };
        let (ledger, views, kept) = (Arc::new(self.hub.ledger()), following.view(), book.clone());
        let limits = Limits::start(limiter, Some(book), |left| async move {
            let (leave, leaving) = watch::channel(false);
            let sending = tokio::spawn(sender.run(leaving));
            // A dropped sender means the same: nobody is left to serve.
            let left = async {
                let _ = left.await;
            };
            keeper.run(ledger, Arc::new(kept), clock, seat, views, left).await;
            // Everything is counted by now.
            leave.send_replace(true);
            if sending.await.is_err() {
                tracing::error!("sending counts ended badly: usage lacks the last of them");
            }
        });
        let follows = Follows::start(following, &process.readiness, |left| follower.run(left));
        (limits, follows)
    }
}
