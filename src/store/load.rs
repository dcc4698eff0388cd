//! What gateways need of organizations and keys: one, those of an organization, page by page, or all into a key table.
//!
//! Promises that a table is complete or the start fails: a gateway that knew only some of the keys would refuse good
//! ones. Reads in pages, so that a million keys are never in memory twice.

use std::collections::HashMap;

use super::column::{limits, parse};
use super::database::Database;
use super::engine::query;
use super::error::StoreError;
use super::keys::{access, hash, scope};
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, KeyId, OrganizationId};
use crate::domain::name::Slug;
use crate::domain::organization::Organization;
use crate::keytable::{KeyFacts, KeyTable, OrganizationFacts};

/// Rows read at a time.
const PAGE_ROWS: u32 = 10_000;

/// What the gateway needs of a key: id, organization, agent, hash, access, expiry, disabled, limits.
type KeyColumns = (String, String, Option<String>, Vec<u8>, String, Option<i64>, bool, String);

const AGENTS: &str = "SELECT organization_id, slug, id FROM agents
     WHERE organization_id >= $1 AND organization_id <= $2 ORDER BY organization_id, id";
const KEYS_AFTER: &str = "SELECT id, organization_id, agent_id, hash, access, expires_at, disabled, limits
     FROM keys WHERE id > $1 ORDER BY id LIMIT $2";
const KEYS_OF: &str = "SELECT id, organization_id, agent_id, hash, access, expires_at, disabled, limits
     FROM keys WHERE organization_id = $1 ORDER BY id";
const KEY: &str = "SELECT id, organization_id, agent_id, hash, access, expires_at, disabled, limits
     FROM keys WHERE id = $1";

impl Database {
    /// Puts every organization and every key into `table`.
    ///
    /// # Errors
    /// Where the database does not answer or a record is damaged; `table` is then incomplete and not to be used.
    pub async fn load(&self, table: &KeyTable) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.organization_facts_page(after, PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for organization in page {
                table.put_organization(organization);
            }
        }
        let mut after = None;
        loop {
            let page = self.key_facts_page(after, PAGE_ROWS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for key in page {
                let id = key.id;
                table.put_key(key).map_err(|_| StoreError::Damaged {
                    record: format!("key {id}"),
                    detail: "its organization does not exist".to_owned(),
                })?;
            }
        }
    }

    /// What gateways need of an organization, with its agents; `None` where it is gone.
    pub async fn organization_facts(
        &self,
        id: OrganizationId,
    ) -> Result<Option<OrganizationFacts>, StoreError> {
        let found = self.organization(&id.to_string()).await?;
        Ok(self.with_agents(found.into_iter().collect()).await?.pop())
    }

    /// As [`Database::organization_facts`] for up to `limit` organizations, oldest first, from behind `after`.
    pub async fn organization_facts_page(
        &self,
        after: Option<OrganizationId>,
        limit: u32,
    ) -> Result<Vec<OrganizationFacts>, StoreError> {
        self.with_agents(self.organizations(after, limit).await?).await
    }

    /// Adds the agents to organizations that come in the order of their ids.
    async fn with_agents(&self, page: Vec<Organization>) -> Result<Vec<OrganizationFacts>, StoreError> {
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(Vec::new()) };
        let rows: Vec<(String, String, String)> = query(AGENTS)
            .bind(first.id.to_string())
            .bind(last.id.to_string())
            .fetch_all(self.readers())
            .await?;
        let mut agents: HashMap<OrganizationId, Vec<(Slug, AgentId)>> = HashMap::new();
        for (organization, slug, id) in &rows {
            let organization = parse("agent", "organization_id", organization)?;
            let agent = (parse("agent", "slug", slug)?, parse("agent", "id", id)?);
            agents.entry(organization).or_default().push(agent);
        }
        let facts = |organization: Organization| OrganizationFacts {
            id: organization.id,
            agents: agents.remove(&organization.id).unwrap_or_default(),
            slug: organization.slug,
            zone: organization.zone.rules().clone(),
            limits: organization.limits,
        };
        Ok(page.into_iter().map(facts).collect())
    }

    /// What gateways need of a key; `None` where it is gone.
    pub async fn key_facts(&self, key: KeyId) -> Result<Option<KeyFacts>, StoreError> {
        let row = query(KEY).bind(key.to_string()).fetch_optional(self.readers()).await?;
        row.map(facts).transpose()
    }

    /// As [`Database::key_facts`] for every key of an organization.
    pub async fn keys_of(&self, organization: OrganizationId) -> Result<Vec<KeyFacts>, StoreError> {
        let rows = query(KEYS_OF).bind(organization.to_string()).fetch_all(self.readers()).await?;
        rows.into_iter().map(facts).collect()
    }

    /// As [`Database::key_facts`] for up to `limit` keys, oldest first, from behind `after`.
    pub async fn key_facts_page(
        &self,
        after: Option<KeyId>,
        limit: u32,
    ) -> Result<Vec<KeyFacts>, StoreError> {
        let rows = query(KEYS_AFTER)
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(facts).collect()
    }
}

fn facts(columns: KeyColumns) -> Result<KeyFacts, StoreError> {
    let (id, organization, agent, secret_hash, key_access, expires_at, disabled, key_limits) = columns;
    let record = id.as_str();
    Ok(KeyFacts {
        id: parse(record, "id", &id)?,
        organization: parse(record, "organization_id", &organization)?,
        hash: hash(record, &secret_hash)?,
        scope: scope(record, agent.as_deref())?,
        access: access(record, &key_access)?,
        expires_at: expires_at.map(UnixMillis::from_i64),
        disabled,
        limits: limits(record, &key_limits)?,
    })
}
