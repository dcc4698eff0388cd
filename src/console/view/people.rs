//! Members, invitations, sessions and callers as they are shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::{EntityTag, Instant, Tagged};
use crate::domain::id::{MemberId, OrganizationId, SessionId};
use crate::domain::member::{Member, MemberRole, MemberState};
use crate::domain::name::{Name, Slug};
use crate::domain::organization::Agent;
use crate::domain::person::Email;
use crate::domain::zone::Zone;

/// A member of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Member)]
pub struct MemberView {
    /// Their id.
    pub id: MemberId,
    /// Their address.
    pub email: Email,
    /// What they want to be called; nothing before they have come.
    #[schema(required)]
    pub name: Option<Name>,
    /// What they may do.
    pub role: MemberRole,
    /// The agents of an agent admin.
    pub agents: Vec<Slug>,
    /// Whether they may come in.
    pub state: MemberStateView,
    /// Until when their invitation holds, where they have not come.
    #[schema(required)]
    pub invited_until: Option<Instant>,
    /// When they were invited first.
    pub created_at: Instant,
    #[serde(skip)]
    revision: u64,
}

/// Whether a member may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MemberState)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Invitation)]
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
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct WhoView {
    /// As the audit log calls them: a person's address, a token's name.
    pub name: String,
    /// A person's address; nothing for a program.
    #[schema(required)]
    pub email: Option<Email>,
    /// What a person wants to be called.
    #[schema(required)]
    pub display_name: Option<Name>,
    /// The zone a person wants to read times in; each organization's own, unless set.
    #[schema(required)]
    pub time_zone: Option<Zone>,
    /// Whether a person has a password to sign in with.
    pub has_password: bool,
    /// What they may do.
    pub roles: Vec<RoleView>,
}

/// What somebody may do where.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HeldRole)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SignIn)]
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
    #[schema(required)]
    pub address: Option<String>,
    /// What the browser says it is.
    pub user_agent: String,
}
