//! Agents: the backend programs that an organization's routes lead to.

use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Reach;
use super::fields::changed;
use super::input::present;
use super::{AGENTS_MAX, Caller, Expected, Operations, Refused, organization_facts};
use crate::console::view::{AgentView, EntityTag, Page, RevocationView};
use crate::domain::id::AgentId;
use crate::domain::name::{Name, Slug};
use crate::domain::organization::Agent;
use crate::store::Action;

/// An agent to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAgent {
    /// Its name in addresses.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
}

/// What to change of an agent; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentPatch {
    /// Its name in addresses.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Slug, required = false)]
    pub slug: Option<Slug>,
    /// What people call it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Name, required = false)]
    pub name: Option<Name>,
}

impl Operations {
    /// A page of an organization's agents; an agent admin sees their own.
    ///
    /// # Errors
    /// Where there is no such organization, or the database does not answer.
    pub async fn list_agents(
        &self,
        caller: &Caller,
        organization: &str,
        after: Option<AgentId>,
        limit: u32,
    ) -> Result<Page<AgentView>, Refused> {
        let organization = self.organization_of(organization).await?;
        let reach = caller.reach(organization.id)?;
        let behind = limit.saturating_add(1);
        let found = match &reach {
            Reach::Operator | Reach::OrganizationAdmin => {
                self.0.database.agents(organization.id, after, behind).await?
            }
            Reach::AgentAdmin(_) => {
                let mut all = self.0.database.agents(organization.id, after, AGENTS_MAX).await?;
                all.retain(|agent| reach.sees_agent(agent.id));
                all
            }
        };
        Ok(Page::of(found, limit, |agent| agent.id.to_string(), AgentView::from))
    }

    /// One agent, by id or slug.
    ///
    /// # Errors
    /// Where there is none, or the database does not answer.
    pub async fn read_agent(
        &self,
        caller: &Caller,
        organization: &str,
        agent: &str,
    ) -> Result<AgentView, Refused> {
        let organization = self.organization_of(organization).await?;
        let reach = caller.reach(organization.id)?;
        let found = self.0.database.agent(organization.id, agent).await?;
        Ok(found.filter(|agent| reach.sees_agent(agent.id)).ok_or(Refused::NotFound)?.into())
    }

    /// Creates an agent. Routes lead to it when this returns.
    ///
    /// # Errors
    /// Where there is no such organization, the caller may not, the slug is taken, the organization is full, or the database does not do it.
    pub async fn create_agent(
        &self,
        caller: &Caller,
        organization: &str,
        new: NewAgent,
    ) -> Result<AgentView, Refused> {
        let (caller, reference) = (caller.clone(), organization.to_owned());
        self.complete(async move |parts| {
            let _order = parts.in_force.order().await;
            let (mut change, caller) = parts.begin(&caller).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            caller.reach(organization.id)?.must_administer()?;
            let mut agents = change.agents(organization.id, AGENTS_MAX).await?;
            if agents.len() >= AGENTS_MAX as usize {
                return Err(Refused::AgentsAtCap { cap: AGENTS_MAX });
            }
            let agent = Agent {
                id: AgentId::generate(),
                organization: organization.id,
                slug: new.slug,
                name: new.name,
                created_at: change.at(),
                revision: 1,
            };
            change.insert_agent(&agent).await.map_err(|error| Refused::taken(error, "slug"))?;
            let (id, name) = (agent.id.to_string(), agent.name.as_str());
            change.note(Action::AgentCreated, &id, name, Some(organization.id)).await?;
            let seq = change.commit().await?;
            agents.push(agent.clone());
            parts.in_force.put_organization(seq, organization_facts(&organization, &agents), &[]).await;
            Ok(agent.into())
        })
        .await
    }

    /// Changes an agent. Its keys stay its keys, whatever it is called.
    ///
    /// # Errors
    /// Where there is none, the caller may not, it is not as `expected`, the slug is taken, or the database does not do it.
    pub async fn change_agent(
        &self,
        caller: &Caller,
        organization: &str,
        agent: &str,
        expected: Expected,
        patch: AgentPatch,
    ) -> Result<AgentView, Refused> {
        let (caller, reference, agent) = (caller.clone(), organization.to_owned(), agent.to_owned());
        self.complete(async move |parts| {
            let _order = parts.in_force.order().await;
            let (mut change, caller) = parts.begin(&caller).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            let reach = caller.reach(organization.id)?;
            let before = change.agent(organization.id, &agent).await?;
            let before = before.filter(|agent| reach.sees_agent(agent.id)).ok_or(Refused::NotFound)?;
            reach.must_administer()?;
            expected.check(&EntityTag::of(&before.id, before.revision))?;
            let mut after = before.clone();
            after.slug = patch.slug.unwrap_or(after.slug);
            after.name = patch.name.unwrap_or(after.name);
            if after == before {
                return Ok(before.into());
            }
            after.revision += 1;
            change.update_agent(&after).await.map_err(|error| Refused::taken(error, "slug"))?;
            let (id, name) = (after.id.to_string(), after.name.as_str());
            let texts = |agent: &Agent| [Some(agent.slug.to_string()), Some(agent.name.to_string())];
            let fields = changed(["slug", "name"], texts(&before), texts(&after));
            change.note_fields(Action::AgentChanged, &id, name, Some(organization.id), &fields).await?;
            let agents = change.agents(organization.id, AGENTS_MAX).await?;
            let seq = change.commit().await?;
            parts.in_force.put_organization(seq, organization_facts(&organization, &agents), &[]).await;
            Ok(after.into())
        })
        .await
    }

    /// Deletes an agent with its keys. When this returns no gateway admits any of them.
    ///
    /// # Errors
    /// Where there is none, the caller may not, it is not as `expected`, or the database does not do it.
    pub async fn delete_agent(
        &self,
        caller: &Caller,
        organization: &str,
        agent: &str,
        expected: Expected,
    ) -> Result<RevocationView, Refused> {
        let (caller, reference, agent) = (caller.clone(), organization.to_owned(), agent.to_owned());
        self.complete(async move |parts| {
            let started = parts.clock.now();
            let _order = parts.in_force.order().await;
            let (mut change, caller) = parts.begin(&caller).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            let reach = caller.reach(organization.id)?;
            let agent = change.agent(organization.id, &agent).await?;
            let agent = agent.filter(|agent| reach.sees_agent(agent.id)).ok_or(Refused::NotFound)?;
            reach.must_administer()?;
            expected.check(&EntityTag::of(&agent.id, agent.revision))?;
            let keys = change.keys_of_agent(organization.id, agent.id).await?;
            parts.delete_keys(&mut change, &keys).await?;
            change.delete_agent(agent.id).await?;
            let (id, name) = (agent.id.to_string(), agent.name.as_str());
            change.note(Action::AgentDeleted, &id, name, Some(organization.id)).await?;
            let agents = change.agents(organization.id, AGENTS_MAX).await?;
            let seq = change.commit().await?;
            Ok(parts
                .in_force
                .end_agent(seq, organization_facts(&organization, &agents), &keys, started, &parts.clock)
                .await)
        })
        .await
    }
}
