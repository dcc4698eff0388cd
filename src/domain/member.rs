//! A person's place in an organization: what they may do there, and whether they have come yet.

use serde::{Deserialize, Serialize};

use super::clock::UnixMillis;
use super::id::{AgentId, MemberId, OrganizationId, PersonId};
use super::name::Name;
use super::person::Email;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberRole {
    /// Everything inside the organization.
    OrganizationAdmin,
    /// The keys of some of its agents.
    AgentAdmin,
}

impl MemberRole {
    /// As stored and as the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            MemberRole::OrganizationAdmin => "organization-admin",
            MemberRole::AgentAdmin => "agent-admin",
        }
    }
}

/// Whether a member may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// Not come yet; the invitation holds until this instant.
    Invited {
        /// When the invitation ends.
        until: UnixMillis,
    },
    /// May.
    Active,
    /// May not until enabled again.
    Disabled,
}

/// A member's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Their id.
    pub id: MemberId,
    /// The organization.
    pub organization: OrganizationId,
    /// The person.
    pub person: PersonId,
    /// The person's address.
    pub email: Email,
    /// What the person wants to be called. Nothing before they have come: that would be another organization's to tell.
    pub name: Option<Name>,
    /// What they may do.
    pub role: MemberRole,
    /// The agents of an agent admin, by id.
    pub agents: Vec<AgentId>,
    /// Whether they may come in.
    pub state: MemberState,
    /// When they were invited first.
    pub created_at: UnixMillis,
    /// Counts changes of the record; the ETag of `If-Match`.
    pub revision: u64,
}

impl Member {
    /// Whether they can act as an organization admin now.
    pub fn administers_organization(&self) -> bool {
        self.role == MemberRole::OrganizationAdmin && self.state == MemberState::Active
    }
}
