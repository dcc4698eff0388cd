//! The audit log, read back: who did what to which record, and when.
//!
//! Never writes: a line is written by the change that it tells of.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::column::parse;
use super::database::Database;
use super::engine::query;
use super::error::StoreError;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AuditId, OrganizationId};

/// A field that an action changed. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Which, as the API calls it.
    pub field: String,
    /// What it was; nothing where it was not set.
    pub from: Option<String>,
    /// What it is; nothing where it is no longer set.
    pub to: Option<String>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditLine {
    /// Its id.
    pub(crate) id: AuditId,
    /// When.
    pub(crate) at: UnixMillis,
    /// Who, as they were called then.
    pub(crate) actor: String,
    /// What, such as `key.created`.
    pub(crate) action: String,
    /// The id of the record.
    pub(crate) subject: String,
    /// What the record was called then.
    pub(crate) subject_name: String,
    /// What changed of it.
    pub(crate) fields: Vec<FieldChange>,
}

/// Which lines to find; what is absent does not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditQuery {
    /// Only what this actor did, by id.
    pub(crate) actor_id: Option<String>,
    /// A part of who did it.
    pub(crate) actor: Option<String>,
    /// The id of a record, or a part of its name.
    pub(crate) subject: Option<String>,
    /// An action.
    pub(crate) action: Option<String>,
    /// Not before.
    pub(crate) from: Option<UnixMillis>,
    /// Before.
    pub(crate) to: Option<UnixMillis>,
}

#[derive(FromRow)]
struct AuditRow {
    id: String,
    at: i64,
    actor: String,
    action: String,
    subject: String,
    subject_name: String,
    fields: Option<String>,
}

impl AuditRow {
    fn read(self) -> Result<AuditLine, StoreError> {
        let record = format!("audit {}", self.id);
        let damaged = |error: serde_json::Error| StoreError::Damaged {
            record: record.clone(),
            detail: format!("fields: {error}"),
        };
        let fields = self.fields.as_deref().map(serde_json::from_str).transpose().map_err(damaged)?;
        Ok(AuditLine {
            id: parse(&record, "id", &self.id)?,
            at: UnixMillis::from_i64(self.at),
            actor: self.actor,
            action: self.action,
            subject: self.subject,
            subject_name: self.subject_name,
            fields: fields.unwrap_or_default(),
        })
    }
}

// Each text as it is and in lower case: LOWER of SQLite knows ASCII only, and would never find a capital beyond it.
const LINES_BEFORE: &str = r"SELECT id, at, actor, action, subject, subject_name, fields FROM audit
     WHERE organization_id = $1 AND ($2 = '' OR id < $2) AND ($3 = '' OR actor_id = $3)
     AND ($4 = '' OR LOWER(actor) LIKE $5 ESCAPE '\' OR actor LIKE $4 ESCAPE '\')
     AND ($6 = '' OR subject = $6 OR LOWER(subject_name) LIKE $8 ESCAPE '\' OR subject_name LIKE $7 ESCAPE '\')
     AND ($9 = '' OR action = $9) AND at >= $10 AND at < $11 ORDER BY id DESC LIMIT $12";

impl Database {
    /// Up to `limit` lines of an organization that are `sought`, newest first, from before `before`.
    pub(crate) async fn audit(
        &self,
        organization: OrganizationId,
        sought: &AuditQuery,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditLine>, StoreError> {
        let actor = sought.actor.as_deref().unwrap_or_default();
        let subject = sought.subject.as_deref().unwrap_or_default();
        let rows: Vec<AuditRow> = query(LINES_BEFORE)
            .bind(organization.to_string())
            .bind(before.map(|id| id.to_string()).unwrap_or_default())
            .bind(sought.actor_id.as_deref().unwrap_or_default())
            .bind(containing(actor))
            .bind(containing(&actor.to_lowercase()))
            .bind(subject)
            .bind(containing(subject))
            .bind(containing(&subject.to_lowercase()))
            .bind(sought.action.as_deref().unwrap_or_default())
            .bind(sought.from.map_or(0, UnixMillis::as_i64))
            .bind(sought.to.map_or(i64::MAX, UnixMillis::as_i64))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(AuditRow::read).collect()
    }
}

/// A pattern of LIKE that finds `part` anywhere, whatever it holds; nothing for nothing.
fn containing(part: &str) -> String {
    if part.is_empty() {
        return String::new();
    }
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for c in part.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
