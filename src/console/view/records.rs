//! Organizations, agents and keys as they are shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::{EntityTag, Instant, Tagged};
use crate::domain::id::{AgentId, KeyId, OrganizationId};
use crate::domain::key::Key;
use crate::domain::limit::Limits;
use crate::domain::name::{Name, Slug};
use crate::domain::organization::{Agent, Organization};
use crate::domain::scope::Access;
use crate::domain::zone::Zone;

/// An organization.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Organization)]
pub struct OrganizationView {
    /// Its id.
    pub id: OrganizationId,
    /// Its name in addresses.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// The zone of its calendar windows.
    pub time_zone: Zone,
    /// Its defaults for keys.
    pub limits: Limits,
    /// What its keys get where they have no limits of their own: part by part its defaults, else the configuration's.
    pub effective_limits: Limits,
    /// When it was created.
    pub created_at: Instant,
    #[serde(skip)]
    revision: u64,
}

impl OrganizationView {
    /// The view of `organization` in a deployment that gives keys `configured` limits.
    pub fn new(organization: Organization, configured: &Limits) -> OrganizationView {
        OrganizationView {
            id: organization.id,
            slug: organization.slug,
            name: organization.name,
            time_zone: organization.zone,
            effective_limits: organization.limits.or(configured),
            limits: organization.limits,
            created_at: Instant(organization.created_at),
            revision: organization.revision,
        }
    }
}

impl Tagged for OrganizationView {
    fn tag(&self) -> EntityTag {
        EntityTag::of(&self.id, self.revision)
    }
}

/// An agent.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Agent)]
pub struct AgentView {
    /// Its id.
    pub id: AgentId,
    /// Its name in addresses.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// When it was created.
    pub created_at: Instant,
    #[serde(skip)]
    revision: u64,
}

impl From<Agent> for AgentView {
    fn from(agent: Agent) -> AgentView {
        AgentView {
            id: agent.id,
            slug: agent.slug,
            name: agent.name,
            created_at: Instant(agent.created_at),
            revision: agent.revision,
        }
    }
}

impl Tagged for AgentView {
    fn tag(&self) -> EntityTag {
        EntityTag::of(&self.id, self.revision)
    }
}

/// What a key opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = Scope)]
pub enum ScopeView {
    /// Every agent of its organization.
    Organization,
    /// One agent.
    Agent {
        /// The agent's slug.
        agent: Slug,
    },
}

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Key)]
pub struct KeyView {
    /// Its id.
    pub id: KeyId,
    /// What people call it.
    pub name: Name,
    /// What it opens.
    pub scope: ScopeView,
    /// Which methods it may use.
    pub access: Access,
    /// Prefix and last four characters of the secret.
    pub hint: String,
    /// When it was created.
    pub created_at: Instant,
    /// Who created it.
    pub created_by: String,
    /// When a request last passed with it.
    #[schema(required)]
    pub last_used_at: Option<Instant>,
    /// From when on it is refused.
    #[schema(required)]
    pub expires_at: Option<Instant>,
    /// Whether it is refused until enabled again.
    pub disabled: bool,
    /// Its own limits.
    pub limits: Limits,
    #[serde(skip)]
    revision: u64,
}

impl KeyView {
    /// The view of `key`, whose agent, where it has one, is called `agent`.
    pub fn new(key: Key, agent: Option<Slug>) -> KeyView {
        KeyView {
            id: key.id,
            name: key.name,
            scope: agent.map_or(ScopeView::Organization, |agent| ScopeView::Agent { agent }),
            access: key.access,
            hint: key.hint,
            created_at: Instant(key.created_at),
            created_by: key.created_by,
            last_used_at: key.last_used_at.map(Instant),
            expires_at: key.expires_at.map(Instant),
            disabled: key.disabled,
            limits: key.limits,
            revision: key.revision,
        }
    }
}

impl Tagged for KeyView {
    fn tag(&self) -> EntityTag {
        EntityTag::of(&self.id, self.revision)
    }
}

/// The keys of an organization that the caller may know of, with how many there are and may be.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyPage {
    /// The keys, oldest first.
    pub items: Vec<KeyView>,
    /// Where the next page begins; none on the last.
    #[schema(required)]
    pub next: Option<String>,
    /// How many keys there are that the caller may know of.
    pub count: u64,
    /// How many the organization may have, the caller's and others'.
    pub cap: u32,
    /// Whether it has as many.
    pub at_cap: bool,
}
