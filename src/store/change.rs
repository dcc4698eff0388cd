//! A change: one transaction that holds what changed, who did it, and the note for whoever must know.
//!
//! Promises that the outbox numbers changes in the order of their commits, without gaps, and that no record changes
//! without its audit row and its outbox row. Never commits by itself: a change that is dropped did not happen.

use serde_json::to_string;
use uuid::Uuid;

use super::audit::FieldChange;
use super::column::count;
use super::database::Database;
use super::engine::{Connection, Transaction, query};
use super::error::StoreError;
use crate::domain::clock::UnixMillis;
use crate::domain::id::OrganizationId;
use crate::domain::key::Key;
use crate::domain::secret::SecretHash;

/// What was done to which kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An organization was created.
    OrganizationCreated,
    /// Its name, zone or limits changed.
    OrganizationChanged,
    /// It was deleted, with everything in it.
    OrganizationDeleted,
    /// An agent was created.
    AgentCreated,
    /// Its slug or name changed.
    AgentChanged,
    /// It was deleted, with its keys.
    AgentDeleted,
    /// A key was created.
    KeyCreated,
    /// Its name, limits, expiry or state changed.
    KeyChanged,
    /// It was deleted.
    KeyDeleted,
    /// An operator was created.
    OperatorCreated,
    /// A management token was made.
    TokenCreated,
    /// A management token was revoked.
    TokenRevoked,
    /// A person was invited.
    MemberInvited,
    /// Another invitation took the place of the one before.
    InvitationRenewed,
    /// An invited person came.
    MemberJoined,
    /// A member's role, agents or state changed.
    MemberChanged,
    /// A member was removed.
    MemberRemoved,
    /// A person signed in.
    SignedIn,
    /// A person chose another password.
    PasswordChanged,
}

impl Action {
    /// Every action, for lists to choose from.
    pub const ALL: [Action; 19] = [
        Action::KeyCreated,
        Action::KeyChanged,
        Action::KeyDeleted,
        Action::AgentCreated,
        Action::AgentChanged,
        Action::AgentDeleted,
        Action::MemberInvited,
        Action::InvitationRenewed,
        Action::MemberJoined,
        Action::MemberChanged,
        Action::MemberRemoved,
        Action::SignedIn,
        Action::PasswordChanged,
        Action::OrganizationCreated,
        Action::OrganizationChanged,
        Action::OrganizationDeleted,
        Action::OperatorCreated,
        Action::TokenCreated,
        Action::TokenRevoked,
    ];
}

impl Action {
    /// As stored in outbox and audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::OrganizationCreated => "organization.created",
            Action::OrganizationChanged => "organization.changed",
            Action::OrganizationDeleted => "organization.deleted",
            Action::AgentCreated => "agent.created",
            Action::AgentChanged => "agent.changed",
            Action::AgentDeleted => "agent.deleted",
            Action::KeyCreated => "key.created",
            Action::KeyChanged => "key.changed",
            Action::KeyDeleted => "key.deleted",
            Action::OperatorCreated => "operator.created",
            Action::TokenCreated => "token.created",
            Action::TokenRevoked => "token.revoked",
            Action::MemberInvited => "member.invited",
            Action::InvitationRenewed => "invitation.renewed",
            Action::MemberJoined => "member.joined",
            Action::MemberChanged => "member.changed",
            Action::MemberRemoved => "member.removed",
            Action::SignedIn => "person.signed-in",
            Action::PasswordChanged => "person.password-changed",
        }
    }
}

/// Who makes a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    /// What the audit log calls them.
    pub(crate) name: String,
    /// The id of the person or token; none for the process itself.
    pub(crate) id: Option<String>,
}

impl From<&str> for Actor {
    fn from(name: &str) -> Actor {
        Actor { name: name.to_owned(), id: None }
    }
}

/// An open change.
pub(crate) struct Change {
    transaction: Transaction,
    actor: Actor,
    at: UnixMillis,
    last: i64,
}

impl Database {
    /// Begins a change by `actor`. From here to the end no other change runs, in this process or another, so that what
    /// is read within it (a count of keys, a revision) still holds when it commits.
    pub(crate) async fn change(&self, actor: impl Into<Actor>) -> Result<Change, StoreError> {
        let mut transaction = self.writer().begin().await?;
        // An update that changes nothing: it takes the write lock (SQLite) or the row's lock (PostgreSQL).
        let last = query("UPDATE change_sequence SET last = last WHERE id = 1 RETURNING last")
            .fetch_number(&mut transaction)
            .await?;
        Ok(Change { transaction, actor: actor.into(), at: self.clock().now().unix, last })
    }
}

impl Change {
    /// When the change happens, as its records say.
    pub(crate) fn at(&self) -> UnixMillis {
        self.at
    }

    /// Who makes it.
    pub(crate) fn actor(&self) -> &str {
        &self.actor.name
    }

    /// Goes on as somebody who was only found within the change.
    pub(crate) fn act_as(&mut self, actor: Actor) {
        self.actor = actor;
    }

    pub(super) fn connection(&mut self) -> Connection<'_> {
        self.transaction.connection()
    }

    /// Writes the outbox row and the audit row of one record that this change touched.
    pub(crate) async fn note(
        &mut self,
        action: Action,
        subject: &str,
        subject_name: &str,
        organization: Option<OrganizationId>,
    ) -> Result<(), StoreError> {
        self.note_fields(action, subject, subject_name, organization, &[]).await
    }

    /// As [`Change::note`], with what changed of the record.
    pub(crate) async fn note_fields(
        &mut self,
        action: Action,
        subject: &str,
        subject_name: &str,
        organization: Option<OrganizationId>,
        fields: &[FieldChange],
    ) -> Result<(), StoreError> {
        self.tell(action, subject, organization, None).await?;
        self.log(action, subject, subject_name, organization, fields).await
    }

    /// As [`Change::note`] for a key that is deleted, with the hash that is to be refused from now on.
    pub(crate) async fn note_key_deleted(&mut self, key: &Key, hash: SecretHash) -> Result<(), StoreError> {
        let (id, organization) = (key.id.to_string(), Some(key.organization));
        self.tell(Action::KeyDeleted, &id, organization, Some(hash)).await?;
        self.log(Action::KeyDeleted, &id, key.name.as_str(), organization, &[]).await
    }

    /// Writes the outbox row.
    async fn tell(
        &mut self,
        action: Action,
        subject: &str,
        organization: Option<OrganizationId>,
        key_hash: Option<SecretHash>,
    ) -> Result<(), StoreError> {
        self.last += 1;
        query(
            "INSERT INTO changes (seq, kind, subject, at, organization_id, key_hash)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.last)
        .bind(action.as_str())
        .bind(subject)
        .bind(self.at.as_i64())
        .bind(organization.map(|id| id.to_string()))
        .bind(key_hash.map(|hash| hash.as_bytes().to_vec()))
        .execute(&mut self.transaction)
        .await?;
        Ok(())
    }

    /// Writes the audit row alone: for what nobody but the reader of the log must know.
    pub(crate) async fn log(
        &mut self,
        action: Action,
        subject: &str,
        subject_name: &str,
        organization: Option<OrganizationId>,
        fields: &[FieldChange],
    ) -> Result<(), StoreError> {
        // Strings only: this cannot fail, and a line without its fields is better than none.
        let fields = if fields.is_empty() { None } else { to_string(fields).ok() };
        query(
            "INSERT INTO audit (id, at, actor, actor_id, action, subject, subject_name, organization_id, fields)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(Uuid::now_v7().to_string())
        .bind(self.at.as_i64())
        .bind(&self.actor.name)
        .bind(&self.actor.id)
        .bind(action.as_str())
        .bind(subject)
        .bind(subject_name)
        .bind(organization.map(|id| id.to_string()))
        .bind(fields)
        .execute(&mut self.transaction)
        .await?;
        Ok(())
    }

    /// Makes the change durable: when this returns, it survives a power cut. Gives the number of its last outbox row.
    pub(crate) async fn commit(mut self) -> Result<u64, StoreError> {
        query("UPDATE change_sequence SET last = $1 WHERE id = 1")
            .bind(self.last)
            .execute(&mut self.transaction)
            .await?;
        self.transaction.commit().await?;
        Ok(count(self.last))
    }
}
