//! A tenant and its backend programs, as the control plane knows them.

use super::clock::UnixMillis;
use super::id::{AgentId, OrganizationId};
use super::limit::Limits;
use super::name::{Name, Slug};
use super::zone::Zone;

/// The tenant's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name in addresses, unique in the deployment.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// The zone whose calendar its keys' quotas follow.
    pub zone: Zone,
    /// Its defaults for keys; what is absent comes from the configuration.
    pub limits: Limits,
    /// When it was created.
    pub created_at: UnixMillis,
    /// Counts changes of the record; the ETag of `If-Match`.
    pub revision: u64,
}

/// A backend program's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its name in addresses, unique in its organization.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// When it was created.
    pub created_at: UnixMillis,
    /// Counts changes of the record; the ETag of `If-Match`.
    pub revision: u64,
}
