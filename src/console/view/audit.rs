//! The audit log as it is shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::Instant;
use crate::domain::id::AuditId;
use crate::store::FieldChange;

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditLine)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditSubject {
    /// Its id.
    pub id: String,
    /// What it was called then.
    pub name: String,
}
