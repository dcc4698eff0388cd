//! Who an authenticated request is for, as upstreams and logs are told.

use super::id::{KeyId, OrganizationId};
use super::scope::Scope;

/// A key that was authenticated, with its organization and scope. Copied out of the key table's entry, so it holds
/// nothing that could unlock anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The key.
    pub key: KeyId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// What it opens.
    pub scope: Scope,
}
