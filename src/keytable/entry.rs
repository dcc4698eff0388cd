//! What the data plane knows of a key and of an organization.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;

use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, KeyId, OrganizationId};
use crate::domain::limit::Limits;
use crate::domain::name::Slug;
use crate::domain::principal::Principal;
use crate::domain::scope::{Access, Scope};
use crate::domain::secret::SecretHash;
use crate::limits::{Account, EffectiveLimits};

/// An organization as the records know it.
#[derive(Debug, Clone)]
pub struct OrganizationFacts {
    /// Its id.
    pub id: OrganizationId,
    /// Its name in addresses.
    pub slug: Slug,
    /// The time zone of its windows.
    pub zone: TimeZone,
    /// Its default limits for keys.
    pub limits: Limits,
    /// Its agents.
    pub agents: Vec<(Slug, AgentId)>,
}

/// A key as the records know it.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// Its id.
    pub id: KeyId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// The hash of its secret.
    pub hash: SecretHash,
    /// What it opens.
    pub scope: Scope,
    /// Which methods it may use.
    pub access: Access,
    /// From when on it is refused.
    pub expires_at: Option<UnixMillis>,
    /// Refused until enabled again.
    pub disabled: bool,
    /// Its own limits.
    pub limits: Limits,
}

/// Agents by slug, sorted: organizations have few, and a sorted slice is the smallest map.
pub(super) type Agents = Arc<ArcSwap<Box<[(Slug, AgentId)]>>>;

/// An organization, shared by the entries of its keys.
#[derive(Debug)]
pub struct OrganizationEntry {
    /// Its id.
    pub id: OrganizationId,
    /// Its name in addresses.
    pub slug: Slug,
    pub(super) zone: TimeZone,
    /// The organization's limits laid over the configuration's.
    pub(super) outer: Limits,
    /// For all keys without limits of their own.
    pub(super) shared: Arc<EffectiveLimits>,
    pub(super) agents: Agents,
}

impl OrganizationEntry {
    /// The agent of that slug.
    pub fn agent(&self, slug: &str) -> Option<AgentId> {
        let agents = self.agents.load();
        let at = agents.binary_search_by(|(own, _)| own.as_str().cmp(slug)).ok()?;
        agents.get(at).map(|(_, id)| *id)
    }
}

/// A key, as requests see it. Immutable but for its account; a change makes a new entry.
#[derive(Debug)]
pub struct KeyEntry {
    /// The key's id.
    pub id: KeyId,
    /// What it opens.
    pub scope: Scope,
    /// Which methods it may use.
    pub access: Access,
    /// Refused until enabled again.
    pub disabled: bool,
    /// The organization that owns it.
    pub organization: Arc<OrganizationEntry>,
    /// The limits in force.
    pub limits: Arc<EffectiveLimits>,
    /// The largest value means never: half the size of an `Option`, which counts at a million keys.
    expires_at: UnixMillis,
    /// Made at the first request: most keys of a large table are idle.
    account: OnceLock<Arc<Account>>,
}

const NEVER: UnixMillis = UnixMillis(u64::MAX);

impl KeyEntry {
    pub(super) fn new(facts: &KeyFacts, organization: Arc<OrganizationEntry>) -> KeyEntry {
        let limits = if facts.limits.is_empty() {
            Arc::clone(&organization.shared)
        } else {
            let limits = facts.limits.or(&organization.outer);
            Arc::new(EffectiveLimits::compile(&limits, organization.zone.clone()))
        };
        KeyEntry {
            id: facts.id,
            scope: facts.scope,
            access: facts.access,
            disabled: facts.disabled,
            organization,
            limits,
            expires_at: facts.expires_at.unwrap_or(NEVER),
            account: OnceLock::new(),
        }
    }

    /// The same key's next version, with the account of `earlier`.
    pub(super) fn sharing_account_of(self, earlier: &KeyEntry) -> KeyEntry {
        // A request may hold `earlier` and touch its account for the first time only after the replacement: were
        // the account not made here, there would be two, and the limit would be given twice.
        KeyEntry { account: OnceLock::from(Arc::clone(earlier.account())), ..self }
    }

    /// The key's account.
    pub fn account(&self) -> &Arc<Account> {
        self.account.get_or_init(|| Arc::new(Account::new(self.id)))
    }

    /// The key's account, if a request ever touched it.
    pub fn account_in_use(&self) -> Option<&Arc<Account>> {
        self.account.get()
    }

    /// From when on the key is refused.
    pub fn expires_at(&self) -> Option<UnixMillis> {
        (self.expires_at != NEVER).then_some(self.expires_at)
    }

    /// Whether the key is past its expiry.
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        now >= self.expires_at
    }

    /// Who a request with this key is for.
    pub fn principal(&self) -> Principal {
        Principal { key: self.id, organization: self.organization.id, scope: self.scope }
    }
}
