//! The audit log: who did what, for whom it is theirs to know.

use super::access::Reach;
use super::{Caller, Operations, Refused};
use crate::console::view::{AuditSubject, AuditView, Instant, Page};
use crate::domain::clock::UnixMillis;
use crate::domain::id::AuditId;
use crate::store::{AuditLine, AuditQuery};

/// Which lines to show; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// A part of the name of who did it.
    pub actor: Option<String>,
    /// The id of a record, or a part of its name.
    pub subject: Option<String>,
    /// An action, such as `key.created`.
    pub action: Option<String>,
    /// Not before this instant.
    pub from: Option<UnixMillis>,
    /// Before this instant.
    pub to: Option<UnixMillis>,
}

/// Longest text to look for: nothing that is on record is longer.
const FILTER_CHARS_MAX: usize = 256;

impl AuditFilter {
    /// Refuses what no line can have: the database would search the whole log for it, or stumble over it.
    fn check(&self) -> Result<(), Refused> {
        let texts = [("actor", &self.actor), ("subject", &self.subject), ("action", &self.action)];
        let is_wrong = |text: &str| text.chars().count() > FILTER_CHARS_MAX;
        match texts.into_iter().find(|(_, text)| text.as_deref().is_some_and(is_wrong)) {
            None => Ok(()),
            Some((name, _)) => {
                let detail = format!("expected at most {FILTER_CHARS_MAX} characters");
                Err(Refused::Parameter { name, detail })
            }
        }
    }
}

impl Operations {
    /// A page of an organization's audit log, newest first, from before the line `before`. An agent admin sees their own
    /// actions.
    ///
    /// # Errors
    /// Where there is no such organization, the filter cannot be anybody's, or the database does not answer.
    pub async fn list_audit(
        &self,
        caller: &Caller,
        organization: &str,
        filter: AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Page<AuditView>, Refused> {
        let organization = self.organization_of(organization).await?;
        let actor_id = match caller.reach(organization.id)? {
            Reach::Operator | Reach::OrganizationAdmin => None,
            Reach::AgentAdmin(_) => caller.actor().id,
        };
        filter.check()?;
        let query = AuditQuery {
            actor_id,
            actor: filter.actor,
            subject: filter.subject,
            action: filter.action,
            from: filter.from,
            to: filter.to,
        };
        let found = self.0.database.audit(organization.id, &query, before, limit.saturating_add(1)).await?;
        Ok(Page::of(found, limit, |line| line.id.to_string(), view))
    }
}

fn view(line: AuditLine) -> AuditView {
    AuditView {
        id: line.id,
        at: Instant(line.at),
        actor: line.actor,
        action: line.action,
        subject: AuditSubject { id: line.subject, name: line.subject_name },
        changes: line.fields,
    }
}
