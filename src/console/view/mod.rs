//! Records as people and programs are shown them: the one shape that JSON and pages share.
//!
//! Promises that a view holds nothing secret: it is made from records, which hold none. Never decides anything.

mod audit;
mod gateways;
mod people;
mod records;
mod revocation;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::clock::UnixMillis;

pub use audit::{AuditSubject, AuditView};
pub use gateways::{FeedState, FeedView, GatewayState, GatewayView, GatewaysView, TrustView};
pub use people::{
    InvitationView, MemberStateView, MemberView, OrganizationName, RoleView, SessionView, WhoView,
};
pub use records::{AgentView, KeyPage, KeyView, OrganizationView, ScopeView};
pub use revocation::{RevocationState, RevocationView};

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
    /// The records, oldest first; the audit log newest first.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    #[schema(required)]
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
