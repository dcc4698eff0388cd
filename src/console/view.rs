//! Records as people and programs are shown them: the one shape that JSON and pages share.
//!
//! Promises that a view holds nothing secret: it is made from records, which hold none. Never decides anything.

use serde::{Serialize, Serializer};

use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, AuditId, KeyId, MemberId, OrganizationId, SessionId};
use crate::domain::key::Key;
use crate::domain::limit::Limits;
use crate::domain::member::{Member, MemberRole, MemberState};
use crate::domain::name::{Name, Slug};
use crate::domain::organization::{Agent, Organization};
use crate::domain::person::Email;
use crate::domain::scope::Access;
use crate::domain::zone::Zone;
use crate::store::FieldChange;

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
#[derive(Debug, Clone, Serialize)]
pub struct Page<T> {
    /// The records, oldest first; the audit log newest first.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The page of `found`, which holds one record more than `limit` where there is another page behind it.
    pub(super) fn of<R>(
        mut found: Vec<R>,
        limit: u32,
        id: impl Fn(&R) -> String,
        view: impl Fn(R) -> T,
    ) -> Page<T> {
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = if more { found.last().map(id) } else { None };
        Page { items: found.into_iter().map(view).collect(), next }
    }
}

/// An organization.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
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
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
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
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
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

/// The keys of an organization that the caller may know of, with how many there are and may be.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyPage {
    /// The keys, oldest first.
    pub items: Vec<KeyView>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
    /// How many keys there are that the caller may know of.
    pub count: u64,
    /// How many the organization may have, the caller's and others'.
    pub cap: u32,
    /// Whether it has as many.
    pub at_cap: bool,
}

/// How far the end of some keys has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationState {
    /// Every gateway confirmed: none admits the keys, and what they had running is cut.
    Complete,
    /// Some gateways did not answer in time.
    Pending,
}

/// A member of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    /// Their id.
    pub id: MemberId,
    /// Their address.
    pub email: Email,
    /// What they want to be called; nothing before they have come.
    pub name: Option<Name>,
    /// What they may do.
    pub role: MemberRole,
    /// The agents of an agent admin.
    pub agents: Vec<Slug>,
    /// Whether they may come in.
    pub state: MemberStateView,
    /// Until when their invitation holds, where they have not come.
    pub invited_until: Option<Instant>,
    /// When they were invited first.
    pub created_at: Instant,
    #[serde(skip)]
    revision: u64,
}

/// Whether a member may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStateView {
    /// Not come yet.
    Invited,
    /// May.
    Active,
    /// May not until enabled again.
    Disabled,
}

impl MemberView {
    /// The view of `member` in the organization that has `agents`.
    pub fn new(member: Member, agents: &[Agent]) -> MemberView {
        let (state, until) = match member.state {
            MemberState::Invited { until } => (MemberStateView::Invited, Some(until)),
            MemberState::Active => (MemberStateView::Active, None),
            MemberState::Disabled => (MemberStateView::Disabled, None),
        };
        let own = agents.iter().filter(|agent| member.agents.contains(&agent.id));
        MemberView {
            id: member.id,
            email: member.email,
            name: member.name,
            role: member.role,
            agents: own.map(|agent| agent.slug.clone()).collect(),
            state,
            invited_until: until.map(Instant),
            created_at: Instant(member.created_at),
            revision: member.revision,
        }
    }
}

impl Tagged for MemberView {
    fn tag(&self) -> EntityTag {
        EntityTag::of(&self.id, self.revision)
    }
}

/// What an invitation is to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitationView {
    /// Whom it is for.
    pub email: Email,
    /// Where to.
    pub organization: Name,
    /// What they may do there.
    pub role: MemberRole,
    /// Until when it holds.
    pub until: Instant,
}

/// Who the caller is, and what they may do where.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhoView {
    /// As the audit log calls them: a person's address, a token's name.
    pub name: String,
    /// A person's address; nothing for a program.
    pub email: Option<Email>,
    /// What a person wants to be called.
    pub display_name: Option<Name>,
    /// The zone a person wants to read times in; each organization's own, unless set.
    pub time_zone: Option<Zone>,
    /// Whether a person has a password to sign in with.
    pub has_password: bool,
    /// What they may do.
    pub roles: Vec<RoleView>,
}

/// What somebody may do where.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleView {
    /// `operator`, `organization-admin` or `agent-admin`.
    pub role: &'static str,
    /// Where; everywhere, for an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationName>,
    /// The agents of an agent admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<Slug>>,
}

/// What an organization is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationName {
    /// Its id.
    pub id: OrganizationId,
    /// Its name in addresses.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
}

/// A sign-in of the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// When it began.
    pub created_at: Instant,
    /// When it was last used, to the minute.
    pub last_seen_at: Instant,
    /// When it ends at the latest.
    pub expires_at: Instant,
    /// From where it began.
    pub address: Option<String>,
    /// What the browser says it is.
    pub user_agent: String,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: Instant,
    /// Who, as they were called then.
    pub actor: String,
    /// What, such as `key.created`.
    pub action: String,
    /// To which record.
    pub subject: AuditSubject,
    /// What changed of it.
    pub changes: Vec<FieldChange>,
}

/// A record as a line of the audit log names it; it may be gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditSubject {
    /// Its id.
    pub id: String,
    /// What it was called then.
    pub name: String,
}
