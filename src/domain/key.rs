//! A key as the control plane knows it. Never its secret: that exists once, in the answer to its creation.

use super::clock::UnixMillis;
use super::id::{KeyId, OrganizationId};
use super::limit::Limits;
use super::name::Name;
use super::scope::{Access, Scope};

/// A credential's record: everything about a key that may be kept and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key's id.
    pub id: KeyId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: Name,
    /// What it opens; fixed at creation.
    pub scope: Scope,
    /// Which methods it may use.
    pub access: Access,
    /// Prefix and last four characters of the secret.
    pub hint: String,
    /// When it was created.
    pub created_at: UnixMillis,
    /// Who created it: an e-mail address, or the name of a management token.
    pub created_by: String,
    /// When a request last passed with it; a second late, or up to fifteen where thousands of keys are in use.
    pub last_used_at: Option<UnixMillis>,
    /// From when on it is refused; never, unless set.
    pub expires_at: Option<UnixMillis>,
    /// Refused until enabled again.
    pub disabled: bool,
    /// The key's own limits; what is absent comes from the organization, then from the configuration.
    pub limits: Limits,
    /// Counts changes of the record; the ETag of `If-Match`.
    pub revision: u64,
}
