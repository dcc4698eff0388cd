//! Organizations and their agents in SQL.
//!
//! Promises that a reference `{org}` or `{agent}` finds the record by id or by slug; the two never coincide, because a
//! slug cannot have the form of an id.

use sqlx::FromRow;

use super::change::Change;
use super::column::{count, limits, limits_text, parse};
use super::database::Database;
use super::engine::query;
use super::error::StoreError;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, OrganizationId};
use crate::domain::organization::{Agent, Organization};

#[derive(FromRow)]
struct OrganizationRow {
    id: String,
    slug: String,
    name: String,
    time_zone: String,
    limits: String,
    created_at: i64,
    revision: i64,
}

impl OrganizationRow {
    fn read(self) -> Result<Organization, StoreError> {
        let record = format!("organization {}", self.id);
        Ok(Organization {
            id: parse(&record, "id", &self.id)?,
            slug: parse(&record, "slug", &self.slug)?,
            name: parse(&record, "name", &self.name)?,
            zone: parse(&record, "time_zone", &self.time_zone)?,
            limits: limits(&record, &self.limits)?,
            created_at: UnixMillis::from_i64(self.created_at),
            revision: count(self.revision),
        })
    }
}

#[derive(FromRow)]
struct AgentRow {
    id: String,
    organization_id: String,
    slug: String,
    name: String,
    created_at: i64,
    revision: i64,
}

impl AgentRow {
    fn read(self) -> Result<Agent, StoreError> {
        let record = format!("agent {}", self.id);
        Ok(Agent {
            id: parse(&record, "id", &self.id)?,
            organization: parse(&record, "organization_id", &self.organization_id)?,
            slug: parse(&record, "slug", &self.slug)?,
            name: parse(&record, "name", &self.name)?,
            created_at: UnixMillis::from_i64(self.created_at),
            revision: count(self.revision),
        })
    }
}

const ORGANIZATION_BY_REFERENCE: &str = "SELECT id, slug, name, time_zone, limits, created_at, revision
     FROM organizations WHERE id = $1 OR slug = $1";
const ORGANIZATIONS_AFTER: &str = "SELECT id, slug, name, time_zone, limits, created_at, revision
     FROM organizations WHERE id > $1 ORDER BY id LIMIT $2";
const AGENT_BY_REFERENCE: &str = "SELECT id, organization_id, slug, name, created_at, revision
     FROM agents WHERE organization_id = $1 AND (id = $2 OR slug = $2)";
const AGENTS_AFTER: &str = "SELECT id, organization_id, slug, name, created_at, revision
     FROM agents WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3";

impl Database {
    /// The organization with this id or slug.
    pub(crate) async fn organization(&self, reference: &str) -> Result<Option<Organization>, StoreError> {
        let row: Option<OrganizationRow> =
            query(ORGANIZATION_BY_REFERENCE).bind(reference).fetch_optional(self.readers()).await?;
        row.map(OrganizationRow::read).transpose()
    }

    /// Up to `limit` organizations, oldest first, from behind `after`.
    pub(crate) async fn organizations(
        &self,
        after: Option<OrganizationId>,
        limit: u32,
    ) -> Result<Vec<Organization>, StoreError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let rows: Vec<OrganizationRow> =
            query(ORGANIZATIONS_AFTER).bind(after).bind(i64::from(limit)).fetch_all(self.readers()).await?;
        rows.into_iter().map(OrganizationRow::read).collect()
    }

    /// The agent of an organization with this id or slug.
    pub(crate) async fn agent(
        &self,
        organization: OrganizationId,
        reference: &str,
    ) -> Result<Option<Agent>, StoreError> {
        let row: Option<AgentRow> = query(AGENT_BY_REFERENCE)
            .bind(organization.to_string())
            .bind(reference)
            .fetch_optional(self.readers())
            .await?;
        row.map(AgentRow::read).transpose()
    }

    /// Up to `limit` agents of an organization, oldest first, from behind `after`.
    pub(crate) async fn agents(
        &self,
        organization: OrganizationId,
        after: Option<AgentId>,
        limit: u32,
    ) -> Result<Vec<Agent>, StoreError> {
        let rows: Vec<AgentRow> = query(AGENTS_AFTER)
            .bind(organization.to_string())
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(AgentRow::read).collect()
    }
}

impl Change {
    /// The organization with this id or slug, as this change sees it.
    pub(crate) async fn organization(&mut self, reference: &str) -> Result<Option<Organization>, StoreError> {
        let row: Option<OrganizationRow> =
            query(ORGANIZATION_BY_REFERENCE).bind(reference).fetch_optional(self.connection()).await?;
        row.map(OrganizationRow::read).transpose()
    }

    /// The agent with this id or slug, as this change sees it.
    pub(crate) async fn agent(
        &mut self,
        organization: OrganizationId,
        reference: &str,
    ) -> Result<Option<Agent>, StoreError> {
        let row: Option<AgentRow> = query(AGENT_BY_REFERENCE)
            .bind(organization.to_string())
            .bind(reference)
            .fetch_optional(self.connection())
            .await?;
        row.map(AgentRow::read).transpose()
    }

    /// Every agent of an organization, as this change sees it, up to `limit`.
    pub(crate) async fn agents(
        &mut self,
        organization: OrganizationId,
        limit: u32,
    ) -> Result<Vec<Agent>, StoreError> {
        let rows: Vec<AgentRow> = query(AGENTS_AFTER)
            .bind(organization.to_string())
            .bind("")
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.into_iter().map(AgentRow::read).collect()
    }

    /// Adds an organization.
    pub(crate) async fn insert_organization(
        &mut self,
        organization: &Organization,
    ) -> Result<(), StoreError> {
        query(
            "INSERT INTO organizations (id, slug, name, time_zone, limits, created_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(organization.id.to_string())
        .bind(organization.slug.as_str())
        .bind(organization.name.as_str())
        .bind(organization.zone.as_str())
        .bind(limits_text(&organization.limits))
        .bind(organization.created_at.as_i64())
        .bind(revision(organization.revision))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes an organization as it is now.
    pub(crate) async fn update_organization(
        &mut self,
        organization: &Organization,
    ) -> Result<(), StoreError> {
        query(
            "UPDATE organizations SET slug = $2, name = $3, time_zone = $4, limits = $5, revision = $6
             WHERE id = $1",
        )
        .bind(organization.id.to_string())
        .bind(organization.slug.as_str())
        .bind(organization.name.as_str())
        .bind(organization.zone.as_str())
        .bind(limits_text(&organization.limits))
        .bind(revision(organization.revision))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Deletes an organization. Its keys, agents and members must be gone.
    pub(crate) async fn delete_organization(
        &mut self,
        organization: OrganizationId,
    ) -> Result<(), StoreError> {
        query("DELETE FROM organizations WHERE id = $1")
            .bind(organization.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds an agent.
    pub(crate) async fn insert_agent(&mut self, agent: &Agent) -> Result<(), StoreError> {
        query(
            "INSERT INTO agents (id, organization_id, slug, name, created_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(agent.id.to_string())
        .bind(agent.organization.to_string())
        .bind(agent.slug.as_str())
        .bind(agent.name.as_str())
        .bind(agent.created_at.as_i64())
        .bind(revision(agent.revision))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes an agent as it is now.
    pub(crate) async fn update_agent(&mut self, agent: &Agent) -> Result<(), StoreError> {
        query("UPDATE agents SET slug = $2, name = $3, revision = $4 WHERE id = $1")
            .bind(agent.id.to_string())
            .bind(agent.slug.as_str())
            .bind(agent.name.as_str())
            .bind(revision(agent.revision))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Deletes an agent. Its keys must be gone.
    pub(crate) async fn delete_agent(&mut self, agent: AgentId) -> Result<(), StoreError> {
        for statement in ["DELETE FROM member_agents WHERE agent_id = $1", "DELETE FROM agents WHERE id = $1"]
        {
            query(statement).bind(agent.to_string()).execute(self.connection()).await?;
        }
        Ok(())
    }
}

fn revision(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
