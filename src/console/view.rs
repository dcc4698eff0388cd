//! Records as people and programs are shown them: the one shape that JSON and pages share.
//!
//! Promises that a view holds nothing secret: it is made from records, which hold none. Never decides anything.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, KeyId, OrganizationId};
use crate::domain::key::Key;
use crate::domain::limit::Limits;
use crate::domain::name::{Name, Slug};
use crate::domain::organization::{Agent, Organization};
use crate::domain::scope::Access;
use crate::domain::zone::Zone;

/// An instant, shown in RFC 3339, UTC, with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub UnixMillis);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339())
    }
}

/// What tells one state of a record from every other, as `ETag` and `If-Match` say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag(String);

impl EntityTag {
    /// The tag of a record's revision. It holds the id too, because a slug may be used again for another record.
    pub fn of(id: &dyn std::fmt::Display, revision: u64) -> EntityTag {
        EntityTag(format!("\"{id}.{revision}\""))
    }

    /// With its quotation marks.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record that can be shown with its tag.
pub trait Tagged {
    /// The tag of the state that is shown.
    fn tag(&self) -> EntityTag;
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The records, oldest first.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}

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
    /// When it was created.
    pub created_at: Instant,
    #[serde(skip)]
    revision: u64,
}

impl From<Organization> for OrganizationView {
    fn from(organization: Organization) -> OrganizationView {
        OrganizationView {
            id: organization.id,
            slug: organization.slug,
            name: organization.name,
            time_zone: organization.zone,
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
    pub last_used_at: Option<Instant>,
    /// From when on it is refused.
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

/// The keys of an organization, with how many there are and may be.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = KeyPage)]
pub struct KeyPage {
    /// The keys, oldest first.
    pub items: Vec<KeyView>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
    /// How many keys the organization has.
    pub count: u64,
    /// How many it may have.
    pub cap: u32,
}

/// How far the end of some keys has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Revocation)]
pub struct RevocationView {
    /// Whether every gateway confirmed.
    pub state: RevocationState,
    /// Gateways that served the keys.
    pub gateways: u32,
    /// Of these, how many refuse the keys now and have begun to cut what they had running.
    pub confirmed: u32,
    /// The others.
    pub awaiting: Vec<String>,
    /// Milliseconds from the start of the operation to this answer.
    pub took_ms: u64,
    /// From when on no gateway admits the keys.
    pub effective_by: Instant,
}

/// Whether a revocation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = RevocationState)]
pub enum RevocationState {
    /// Every gateway confirmed: none admits the keys, and what they had running is cut.
    Complete,
    /// Some gateways did not answer in time.
    Pending,
}
