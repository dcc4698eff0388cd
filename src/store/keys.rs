//! Keys in SQL.
//!
//! Promises that a key is stored with the hash of its secret and never with the secret. The hash leaves this module
//! only beside the key, for whoever keeps a table by hash.

use sqlx::FromRow;

use super::change::Change;
use super::column::{count, limits, limits_text, parse};
use super::database::Database;
use super::engine::query;
use super::error::StoreError;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, KeyId, OrganizationId};
use crate::domain::key::Key;
use crate::domain::scope::{Access, Scope};
use crate::domain::secret::SecretHash;

#[derive(FromRow)]
struct KeyRow {
    id: String,
    organization_id: String,
    agent_id: Option<String>,
    name: String,
    hash: Vec<u8>,
    access: String,
    hint: String,
    created_at: i64,
    created_by: String,
    last_used_at: Option<i64>,
    expires_at: Option<i64>,
    disabled: bool,
    limits: String,
    revision: i64,
}

impl KeyRow {
    fn read(self) -> Result<(Key, SecretHash), StoreError> {
        let record = format!("key {}", self.id);
        let hash = hash(&record, &self.hash)?;
        let key = Key {
            id: parse(&record, "id", &self.id)?,
            organization: parse(&record, "organization_id", &self.organization_id)?,
            name: parse(&record, "name", &self.name)?,
            scope: scope(&record, self.agent_id.as_deref())?,
            access: access(&record, &self.access)?,
            hint: self.hint,
            created_at: UnixMillis::from_i64(self.created_at),
            created_by: self.created_by,
            last_used_at: self.last_used_at.map(UnixMillis::from_i64),
            expires_at: self.expires_at.map(UnixMillis::from_i64),
            disabled: self.disabled,
            limits: limits(&record, &self.limits)?,
            revision: count(self.revision),
        };
        Ok((key, hash))
    }
}

pub(super) fn hash(record: &str, bytes: &[u8]) -> Result<SecretHash, StoreError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| StoreError::Damaged {
        record: record.to_owned(),
        detail: "hash: not 32 bytes".to_owned(),
    })?;
    Ok(SecretHash::from(bytes))
}

pub(super) fn scope(record: &str, agent: Option<&str>) -> Result<Scope, StoreError> {
    match agent {
        None => Ok(Scope::Organization),
        Some(agent) => Ok(Scope::Agent(parse(record, "agent_id", agent)?)),
    }
}

pub(super) fn access(record: &str, text: &str) -> Result<Access, StoreError> {
    [Access::All, Access::Read].into_iter().find(|access| access.as_str() == text).ok_or_else(|| {
        StoreError::Damaged { record: record.to_owned(), detail: "access: neither all nor read".to_owned() }
    })
}

const KEY_BY_ID: &str =
    "SELECT id, organization_id, agent_id, name, hash, access, hint, created_at, created_by,
     last_used_at, expires_at, disabled, limits, revision FROM keys WHERE organization_id = $1 AND id = $2";
const KEYS_AFTER: &str =
    "SELECT id, organization_id, agent_id, name, hash, access, hint, created_at, created_by,
     last_used_at, expires_at, disabled, limits, revision
     FROM keys WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3";
const KEYS_OF_ORGANIZATION: &str =
    "SELECT id, organization_id, agent_id, name, hash, access, hint, created_at,
     created_by, last_used_at, expires_at, disabled, limits, revision
     FROM keys WHERE organization_id = $1 ORDER BY id";
const KEY_COUNT: &str = "SELECT COUNT(*) FROM keys WHERE organization_id = $1";

impl Database {
    /// The key of an organization with this id and its hash.
    pub(crate) async fn key(
        &self,
        organization: OrganizationId,
        key: KeyId,
    ) -> Result<Option<(Key, SecretHash)>, StoreError> {
        let row: Option<KeyRow> = query(KEY_BY_ID)
            .bind(organization.to_string())
            .bind(key.to_string())
            .fetch_optional(self.readers())
            .await?;
        row.map(KeyRow::read).transpose()
    }

    /// Up to `limit` keys of an organization, oldest first, from behind `after`.
    pub(crate) async fn keys(
        &self,
        organization: OrganizationId,
        after: Option<KeyId>,
        limit: u32,
    ) -> Result<Vec<Key>, StoreError> {
        let rows: Vec<KeyRow> = query(KEYS_AFTER)
            .bind(organization.to_string())
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(|row| row.read().map(|(key, _)| key)).collect()
    }

    /// How many keys an organization has.
    pub(crate) async fn key_count(&self, organization: OrganizationId) -> Result<u64, StoreError> {
        let found = query(KEY_COUNT).bind(organization.to_string()).fetch_number(self.readers()).await?;
        Ok(count(found))
    }
}

impl Change {
    /// The key of an organization with this id and its hash, as this change sees it.
    pub(crate) async fn key(
        &mut self,
        organization: OrganizationId,
        key: KeyId,
    ) -> Result<Option<(Key, SecretHash)>, StoreError> {
        let row: Option<KeyRow> = query(KEY_BY_ID)
            .bind(organization.to_string())
            .bind(key.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.map(KeyRow::read).transpose()
    }

    /// Every key of an organization with its hash. As many as the cap allowed when they were created.
    pub(crate) async fn keys(
        &mut self,
        organization: OrganizationId,
    ) -> Result<Vec<(Key, SecretHash)>, StoreError> {
        let rows: Vec<KeyRow> =
            query(KEYS_OF_ORGANIZATION).bind(organization.to_string()).fetch_all(self.connection()).await?;
        rows.into_iter().map(KeyRow::read).collect()
    }

    /// Every key of an agent with its hash.
    pub(crate) async fn keys_of_agent(
        &mut self,
        organization: OrganizationId,
        agent: AgentId,
    ) -> Result<Vec<(Key, SecretHash)>, StoreError> {
        let mut keys = self.keys(organization).await?;
        keys.retain(|(key, _)| key.scope.agent() == Some(agent));
        Ok(keys)
    }

    /// How many keys an organization has. Holds until this change ends, because no other runs beside it.
    pub(crate) async fn key_count(&mut self, organization: OrganizationId) -> Result<u64, StoreError> {
        let found = query(KEY_COUNT).bind(organization.to_string()).fetch_number(self.connection()).await?;
        Ok(count(found))
    }

    /// Adds a key under the hash of its secret.
    pub(crate) async fn insert_key(&mut self, key: &Key, hash: SecretHash) -> Result<(), StoreError> {
        query(
            "INSERT INTO keys (id, organization_id, agent_id, name, hash, access, hint, created_at, created_by,
             last_used_at, expires_at, disabled, limits, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, $10, $11, $12, $13)",
        )
        .bind(key.id.to_string())
        .bind(key.organization.to_string())
        .bind(key.scope.agent().map(|agent| agent.to_string()))
        .bind(key.name.as_str())
        .bind(hash.as_bytes().as_slice())
        .bind(key.access.as_str())
        .bind(&key.hint)
        .bind(key.created_at.as_i64())
        .bind(&key.created_by)
        .bind(key.expires_at.map(UnixMillis::as_i64))
        .bind(key.disabled)
        .bind(limits_text(&key.limits))
        .bind(i64::try_from(key.revision).unwrap_or(i64::MAX))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes what may change of a key as it is now: never scope, access or hash, and never when it was used.
    pub(crate) async fn update_key(&mut self, key: &Key) -> Result<(), StoreError> {
        query(
            "UPDATE keys SET name = $2, expires_at = $3, disabled = $4, limits = $5, revision = $6
             WHERE id = $1",
        )
        .bind(key.id.to_string())
        .bind(key.name.as_str())
        .bind(key.expires_at.map(UnixMillis::as_i64))
        .bind(key.disabled)
        .bind(limits_text(&key.limits))
        .bind(i64::try_from(key.revision).unwrap_or(i64::MAX))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Deletes a key.
    pub(crate) async fn delete_key(&mut self, key: KeyId) -> Result<(), StoreError> {
        query("DELETE FROM keys WHERE id = $1").bind(key.to_string()).execute(self.connection()).await?;
        Ok(())
    }
}
