//! Where records are in force: in this process's own key table, or in the gateways of a fleet.
//!
//! Promises that what a change says holds where it counts before the change is answered, or that the answer says what is
//! missing. Called after the commit, with the number of the change.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use super::{Refused, ids_and_hashes, key_facts};
use crate::console::view::{Instant, RevocationState, RevocationView};
use crate::domain::clock::{Clock, Moment, UnixMillis};
use crate::domain::id::OrganizationId;
use crate::domain::key::Key;
use crate::domain::limit::Limits;
use crate::domain::organization::Organization;
use crate::domain::secret::SecretHash;
use crate::fleet::Desk;
use crate::keytable::{KeyTable, OrganizationFacts};
use crate::limits::{EffectiveLimits, LimitUse, Limiter};

/// Where records are in force.
pub enum InForce {
    /// In this process, which is the only gateway.
    Here(Here),
    /// In the gateways of a fleet, which follow the outbox.
    Fleet(Desk),
}

/// The only gateway's own table and limits.
pub struct Here {
    pub(super) keys: Arc<KeyTable>,
    pub(super) limiter: Limiter,
    /// Held from the start of a change until it is applied to the key table. Were it let go at the commit, a slower
    /// task could put an older state of a key over a newer one, or bring a deleted key back. Held across awaits on
    /// purpose, and by changes only: no read and no proxied request waits for it.
    order: Mutex<()>,
}

impl InForce {
    /// In this process's own table.
    pub fn here(keys: Arc<KeyTable>, limiter: Limiter) -> InForce {
        InForce::Here(Here { keys, limiter, order: Mutex::new(()) })
    }

    /// Holds other changes of this process back until they may be applied. A fleet applies changes by their numbers.
    pub(super) async fn order(&self) -> Option<MutexGuard<'_, ()>> {
        match self {
            InForce::Here(here) => Some(here.order.lock().await),
            InForce::Fleet(_) => None,
        }
    }

    /// What the configuration gives keys whose organization says nothing else.
    pub(super) fn defaults(&self) -> Arc<Limits> {
        match self {
            InForce::Here(here) => here.keys.defaults(),
            InForce::Fleet(desk) => desk.defaults(),
        }
    }

    /// An organization is like this from change `seq` on, and those of its keys that take something from it.
    pub(super) async fn put_organization(
        &self,
        seq: u64,
        facts: OrganizationFacts,
        keys: &[(Key, SecretHash)],
    ) {
        match self {
            InForce::Here(here) => {
                let id = facts.id;
                here.keys.put_organization(facts);
                here.put_keys(id, keys);
            }
            InForce::Fleet(desk) => desk.announce(seq).await,
        }
    }

    /// A key was created by change `seq`.
    pub(super) async fn add_key(&self, seq: u64, key: &Key, hash: SecretHash) {
        match self {
            InForce::Here(here) => here.put_keys(key.organization, &[(key.clone(), hash)]),
            InForce::Fleet(desk) => desk.announce(seq).await,
        }
    }

    /// A key is `after` from change `seq` on, and was `before`.
    pub(super) async fn change_key(&self, seq: u64, before: &Key, after: &Key, hash: SecretHash) {
        match self {
            InForce::Here(here) => {
                here.put_keys(after.organization, &[(after.clone(), hash)]);
                if after.disabled && !before.disabled {
                    here.keys.cut(&[after.id]).await;
                }
            }
            // A name is the console's alone; whatever else changes may take something away.
            InForce::Fleet(desk) if only_renamed(before, after) => desk.announce(seq).await,
            InForce::Fleet(desk) => {
                desk.settle(seq).await;
            }
        }
    }

    /// Ends keys whose deletion is committed as change `seq`, and says how far that got since `started`.
    pub(super) async fn revoke(
        &self,
        seq: u64,
        keys: &[(Key, SecretHash)],
        started: Moment,
        clock: &Clock,
    ) -> RevocationView {
        let view = |complete, gateways, confirmed, awaiting, effective_by| {
            let took_ms = clock.now().nanos_since(started) / 1_000_000;
            let state = if complete { RevocationState::Complete } else { RevocationState::Pending };
            RevocationView { state, gateways, confirmed, awaiting, took_ms, effective_by }
        };
        match self {
            InForce::Here(here) => {
                let report = here.keys.revoke(&ids_and_hashes(keys)).await;
                let now = Some(Instant(clock.now().unix));
                // The keys are out of the table either way; what may be left is a worker that has not yet said it cut.
                if report.workers_awaited == 0 {
                    view(true, report.gateways, report.gateways, Vec::new(), now)
                } else {
                    view(false, report.gateways, 0, vec!["this gateway".to_owned()], now)
                }
            }
            InForce::Fleet(desk) => {
                let settled = desk.settle(seq).await;
                let now = clock.now().unix;
                let effective_by = settled.effective_in.map(|left| Instant(now.plus(left)));
                view(settled.complete, settled.gateways, settled.confirmed, settled.awaiting, effective_by)
            }
        }
    }

    /// As [`InForce::revoke`], for the keys of an agent that its organization has no more.
    pub(super) async fn end_agent(
        &self,
        seq: u64,
        organization: OrganizationFacts,
        keys: &[(Key, SecretHash)],
        started: Moment,
        clock: &Clock,
    ) -> RevocationView {
        if let InForce::Here(here) = self {
            // The agent leaves the table first, so that no organization-wide key opens it while its own are cut.
            here.keys.put_organization(organization);
        }
        self.revoke(seq, keys, started, clock).await
    }

    /// Returns when everything that was counted before is on record, as far as that can be had at once. Gives the instant
    /// before which all is, or `now`.
    pub(super) async fn settle_counts(&self, now: UnixMillis) -> UnixMillis {
        match self {
            InForce::Here(here) => {
                here.limiter.flush().await;
                now
            }
            InForce::Fleet(desk) => {
                desk.settle_counts().await;
                // A gateway that never counted, or whose clock is ahead, says nothing about the others.
                desk.counted().filter(|counted| counted.0 > 0).map_or(now, |counted| counted.min(now))
            }
        }
    }

    /// Each limit in force for a key with its use at `now`.
    ///
    /// # Errors
    /// Where it was deleted meanwhile, or the fleet's ledger does not answer.
    pub(super) async fn uses(
        &self,
        key: &Key,
        hash: &SecretHash,
        organization: &Organization,
        now: Moment,
    ) -> Result<Vec<LimitUse>, Refused> {
        match self {
            InForce::Here(here) => {
                let entry = here.keys.lookup(hash).ok_or(Refused::NotFound)?;
                here.limiter.recall(entry.account(), &entry.limits).await;
                Ok(entry.account().snapshot(&entry.limits, now))
            }
            InForce::Fleet(desk) => {
                let limits = key.limits.or(&organization.limits.or(&desk.defaults()));
                let limits = EffectiveLimits::compile(&limits, organization.zone.rules().clone());
                desk.uses(key.id, &limits, now).await.ok_or(Refused::LedgerAway)
            }
        }
    }

    /// An organization is gone since change `seq`, and its keys are revoked.
    pub(super) fn forget_organization(&self, organization: OrganizationId) {
        if let InForce::Here(here) = self {
            here.keys.remove_organization(organization);
        }
    }
}

impl Here {
    /// Puts keys into the table. Their organization is there, because it was put before its first key was stored and
    /// changes are applied in order.
    fn put_keys(&self, organization: OrganizationId, keys: &[(Key, SecretHash)]) {
        for (key, hash) in keys {
            if self.keys.put_key(key_facts(key, *hash)).is_err() {
                tracing::error!(%organization, key = %key.id, "key table does not know the organization of a stored key");
            }
        }
    }
}

fn only_renamed(before: &Key, after: &Key) -> bool {
    let same = |key: &Key| (key.limits.clone(), key.expires_at, key.disabled);
    same(before) == same(after)
}
