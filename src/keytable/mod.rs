//! The key table: the in-memory replica of all keys that every request is authenticated against.
//!
//! Owns hash → entry and organization → entry. Promises that a lookup takes no store and gives out a clone of the
//! entry, never a guard of the map, so nothing that a request does can hold a writer up. Never sees a secret.

mod cut;
mod entry;
mod trust;

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::mpsc;

pub use cut::{Cut, CutReport, CutScope};
pub use entry::{KeyEntry, KeyFacts, OrganizationEntry, OrganizationFacts};
pub use trust::{Standing, Trust};

use crate::domain::id::{KeyId, OrganizationId};
use crate::domain::limit::Limits;
use crate::domain::secret::SecretHash;
use cut::{CUT_WAIT_MAX, Subscribers};

/// Takes eight bytes of what is a BLAKE3 hash already. Nobody can choose those bytes without choosing secrets by
/// brute force, and presented credentials only ever read.
#[derive(Debug, Default, Clone, Copy)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    // The length of the array comes first; it says nothing.
    fn write_usize(&mut self, _: usize) {}
}

type ByHash = DashMap<SecretHash, Arc<KeyEntry>, BuildHasherDefault<FirstBytes>>;

/// All keys and organizations.
#[derive(Debug)]
pub struct KeyTable {
    keys: ByHash,
    organizations: DashMap<OrganizationId, Arc<OrganizationEntry>>,
    defaults: ArcSwap<Limits>,
    subscribers: Subscribers,
    trust: Trust,
}

/// A key of an organization that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key table has no organization {0}")]
pub struct UnknownOrganization(pub OrganizationId);

impl KeyTable {
    /// An empty table that is the truth; `defaults` are the configuration's limits for keys.
    pub fn new(defaults: Limits) -> KeyTable {
        KeyTable {
            keys: DashMap::default(),
            organizations: DashMap::new(),
            defaults: ArcSwap::from_pointee(defaults),
            subscribers: Subscribers::default(),
            trust: Trust::always(),
        }
    }

    /// An empty table that is filled from elsewhere, and believed only as long as its [`Trust`] says.
    pub fn replica(defaults: Limits) -> KeyTable {
        KeyTable { trust: Trust::not_yet(), ..KeyTable::new(defaults) }
    }

    /// How long the table may be believed.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The key whose secret has this hash.
    pub fn lookup(&self, hash: &SecretHash) -> Option<Arc<KeyEntry>> {
        self.keys.get(hash).map(|found| Arc::clone(found.value()))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The organization of that id.
    pub fn organization(&self, id: OrganizationId) -> Option<Arc<OrganizationEntry>> {
        self.organizations.get(&id).map(|found| Arc::clone(found.value()))
    }

    /// Creates an organization or replaces what is known of it. Its agents change for all its keys at once; where
    /// slug, limits or time zone changed, the caller puts its keys again.
    pub fn put_organization(&self, facts: OrganizationFacts) {
        let OrganizationFacts { id, slug, zone, limits, mut agents } = facts;
        agents.sort();
        let outer = limits.or(&self.defaults.load());
        let agents = Arc::new(agents.into_boxed_slice());
        let place = self.organizations.entry(id);
        let shared_agents = match &place {
            Entry::Occupied(known) => {
                let shared_agents = Arc::clone(&known.get().agents);
                shared_agents.store(agents);
                shared_agents
            }
            Entry::Vacant(_) => Arc::new(ArcSwap::new(agents)),
        };
        if let Entry::Occupied(known) = &place {
            let known = known.get();
            if known.slug == slug && known.outer == outer && known.zone == zone {
                return;
            }
        }
        let shared = Arc::new(crate::limits::EffectiveLimits::compile(&outer, zone.clone()));
        place.insert(Arc::new(OrganizationEntry { id, slug, zone, outer, shared, agents: shared_agents }));
    }

    /// Forgets an organization. Its keys are the caller's to revoke.
    pub fn remove_organization(&self, id: OrganizationId) {
        self.organizations.remove(&id);
    }

    /// Whether the table has exactly this of a key, so that putting it would change nothing.
    pub fn holds(&self, facts: &KeyFacts) -> bool {
        let Some(known) = self.lookup(&facts.hash) else { return false };
        let current = self.organization(facts.organization);
        let same_organization = current.is_some_and(|current| Arc::ptr_eq(&current, &known.organization));
        known.id == facts.id
            && same_organization
            && known.scope == facts.scope
            && known.access == facts.access
            && known.disabled == facts.disabled
            && known.expires_at() == facts.expires_at
            && *known.limits.limits() == facts.limits.or(&known.organization.outer)
    }

    /// Removes what `keeps` does not say to keep: keys by hash, organizations by id. Gives the keys that went.
    pub fn retain(
        &self,
        keeps_key: impl Fn(&SecretHash) -> bool,
        keeps_organization: impl Fn(OrganizationId) -> bool,
    ) -> Vec<KeyId> {
        let mut gone = Vec::new();
        self.keys.retain(|hash, entry| {
            let keeps = keeps_key(hash);
            if !keeps {
                gone.push(entry.id);
            }
            keeps
        });
        self.organizations.retain(|id, _| keeps_organization(*id));
        gone
    }

    /// Creates a key or replaces what is known of it; what it has used stays used.
    ///
    /// # Errors
    /// Where the table does not have the key's organization.
    pub fn put_key(&self, facts: KeyFacts) -> Result<(), UnknownOrganization> {
        let organization =
            self.organization(facts.organization).ok_or(UnknownOrganization(facts.organization))?;
        let fresh = KeyEntry::new(&facts, organization);
        match self.keys.entry(facts.hash) {
            Entry::Occupied(mut place) => {
                let fresh = fresh.sharing_account_of(place.get());
                place.insert(Arc::new(fresh));
            }
            Entry::Vacant(place) => {
                place.insert(Arc::new(fresh));
            }
        }
        Ok(())
    }

    /// Removes keys, then has every worker cut what they have running. From the moment this is called no request
    /// begins with them; when it returns, nothing of them runs on a worker that answered.
    pub async fn revoke(&self, keys: &[(KeyId, SecretHash)]) -> CutReport {
        for (_, hash) in keys {
            self.keys.remove(hash);
        }
        let keys: Vec<KeyId> = keys.iter().map(|(id, _)| *id).collect();
        self.cut(&keys).await
    }

    /// Has every worker cut what the keys have running, without removing them: for keys that were disabled.
    pub async fn cut(&self, keys: &[KeyId]) -> CutReport {
        self.subscribers.cut(CutScope::Keys(keys.into()), CUT_WAIT_MAX).await
    }

    /// Has every worker cut whatever runs with any key: the table is not to be believed any more.
    pub async fn cut_all(&self) -> CutReport {
        self.subscribers.cut(CutScope::All, CUT_WAIT_MAX).await
    }

    /// The cuts that a worker has to carry out; one subscription for each worker.
    pub fn subscribe(&self) -> mpsc::Receiver<Cut> {
        self.subscribers.subscribe()
    }

    /// What the configuration gives keys whose organization says nothing else.
    pub fn defaults(&self) -> Arc<Limits> {
        self.defaults.load_full()
    }

    /// Replaces the configuration's limits for keys. Takes effect for organizations and keys put afterwards: the
    /// caller puts all of them again.
    pub fn set_defaults(&self, defaults: Limits) {
        self.defaults.store(Arc::new(defaults));
    }

    /// Visits every key that a request ever touched, for metrics. `visit` must not call the table.
    pub fn for_each_account(&self, mut visit: impl FnMut(&KeyEntry)) {
        for found in &self.keys {
            if found.value().account_in_use().is_some() {
                visit(found.value());
            }
        }
    }
}

#[cfg(test)]
mod tests;
