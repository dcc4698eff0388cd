//! Filling the key table at start, from every organization, agent and key on record.
//!
//! Promises that a table is complete or the start fails: a gateway that knew only some of the keys would refuse good
//! ones. Reads in pages, so that a million keys are never in memory twice.

use std::collections::BTreeMap;

use super::column::{limits, parse};
use super::database::Database;
use super::error::StoreError;
use super::keys::{access, hash, scope};
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, OrganizationId};
use crate::domain::name::Slug;
use crate::keytable::{KeyFacts, KeyTable, OrganizationFacts};

/// Rows read at a time.
const PAGE_ROWS: u32 = 10_000;

/// What the gateway needs of a key: id, organization, agent, hash, access, expiry, disabled, limits.
type KeyColumns = (String, String, Option<String>, Vec<u8>, String, Option<i64>, bool, String);

const AGENTS: &str = "SELECT id, organization_id, slug FROM agents WHERE id > $1 ORDER BY id LIMIT $2";
const KEYS: &str = "SELECT id, organization_id, agent_id, hash, access, expires_at, disabled, limits
     FROM keys WHERE id > $1 ORDER BY id LIMIT $2";

impl Database {
    /// Puts every organization and every key into `table`.
    ///
    /// # Errors
    /// Where the database does not answer or a record is damaged; `table` is then incomplete and not to be used.
    pub async fn load(&self, table: &KeyTable) -> Result<(), StoreError> {
        let mut agents = self.agents_by_organization().await?;
        let mut after = None;
        loop {
            let page = self.organizations(after, PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for organization in page {
                table.put_organization(OrganizationFacts {
                    id: organization.id,
                    agents: agents.remove(&organization.id).unwrap_or_default(),
                    slug: organization.slug,
                    zone: organization.zone.rules().clone(),
                    limits: organization.limits,
                });
            }
        }
        self.load_keys(table).await
    }

    async fn agents_by_organization(
        &self,
    ) -> Result<BTreeMap<OrganizationId, Vec<(Slug, AgentId)>>, StoreError> {
        let mut found: BTreeMap<OrganizationId, Vec<(Slug, AgentId)>> = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page: Vec<(String, String, String)> = sqlx::query_as(AGENTS)
                .bind(&after)
                .bind(i64::from(PAGE_ROWS))
                .fetch_all(self.readers())
                .await?;
            let Some((last, _, _)) = page.last() else { return Ok(found) };
            after.clone_from(last);
            for (id, organization, slug) in &page {
                let organization = parse("agent", "organization_id", organization)?;
                let agent = (parse("agent", "slug", slug)?, parse("agent", "id", id)?);
                found.entry(organization).or_default().push(agent);
            }
        }
    }

    async fn load_keys(&self, table: &KeyTable) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let page: Vec<KeyColumns> = sqlx::query_as(KEYS)
                .bind(&after)
                .bind(i64::from(PAGE_ROWS))
                .fetch_all(self.readers())
                .await?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for columns in page {
                let id = columns.0.clone();
                table.put_key(facts(columns)?).map_err(|_| StoreError::Damaged {
                    record: format!("key {id}"),
                    detail: "its organization does not exist".to_owned(),
                })?;
            }
        }
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
