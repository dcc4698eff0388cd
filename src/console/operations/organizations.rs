//! Organizations: created, changed and deleted by operators, read by their members.

use serde::Deserialize;
use utoipa::ToSchema;

use super::fields::{changed, limits_text};
use super::input::present;
use super::refused::check_limits;
use super::{AGENTS_MAX, Caller, Expected, Operations, Parts, Refused, organization_facts};
use crate::console::view::{EntityTag, OrganizationView, Page, RevocationView};
use crate::domain::id::OrganizationId;
use crate::domain::limit::Limits;
use crate::domain::name::{Name, Slug};
use crate::domain::organization::Organization;
use crate::domain::zone::Zone;
use crate::store::Action;

/// An organization to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewOrganization {
    /// Its name in addresses.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// UTC unless set.
    pub time_zone: Option<Zone>,
    /// Its defaults for keys.
    #[serde(default)]
    pub limits: Option<Limits>,
}

/// What to change of an organization; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationPatch {
    /// Its name in addresses.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Slug, required = false)]
    pub slug: Option<Slug>,
    /// What people call it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Name, required = false)]
    pub name: Option<Name>,
    /// Its zone.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Zone, required = false)]
    pub time_zone: Option<Zone>,
    /// Its defaults for keys, as a whole; null or `{}` for none.
    #[serde(default, deserialize_with = "present")]
    pub limits: Option<Option<Limits>>,
}

impl Operations {
    /// A page of all organizations that the caller may know of.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn list_organizations(
        &self,
        caller: &Caller,
        after: Option<OrganizationId>,
        limit: u32,
    ) -> Result<Page<OrganizationView>, Refused> {
        let database = &self.0.database;
        let behind = limit.saturating_add(1);
        let found = if caller.is_operator() {
            database.organizations(after, behind).await?
        } else {
            let own = caller.places().iter().map(|place| place.organization);
            let mut found = Vec::new();
            for id in own.filter(|id| after.is_none_or(|after| *id > after)).take(behind as usize) {
                found.extend(database.organization(&id.to_string()).await?);
            }
            found
        };
        let view = |organization| self.0.organization_view(organization);
        Ok(Page::of(found, limit, |organization| organization.id.to_string(), view))
    }

    /// One organization, by id or slug.
    ///
    /// # Errors
    /// Where there is none, or the database does not answer.
    pub async fn read_organization(
        &self,
        caller: &Caller,
        reference: &str,
    ) -> Result<OrganizationView, Refused> {
        let organization = self.organization_of(reference).await?;
        caller.reach(organization.id)?;
        Ok(self.0.organization_view(organization))
    }

    /// Creates an organization.
    ///
    /// # Errors
    /// Where the caller may not, its slug is taken or its limits break a rule, or the database does not do it.
    pub async fn create_organization(
        &self,
        caller: &Caller,
        new: NewOrganization,
    ) -> Result<OrganizationView, Refused> {
        caller.must_be_operator()?;
        let limits = new.limits.unwrap_or_default();
        check_limits(&limits)?;
        let caller = caller.clone();
        self.complete(async move |parts| {
            let _order = parts.in_force.order().await;
            let (mut change, caller) = parts.begin(&caller).await?;
            caller.must_be_operator()?;
            let organization = Organization {
                id: OrganizationId::generate(),
                slug: new.slug,
                name: new.name,
                zone: new.time_zone.unwrap_or_else(Zone::utc),
                limits,
                created_at: change.at(),
                revision: 1,
            };
            let inserted = change.insert_organization(&organization).await;
            inserted.map_err(|error| Refused::taken(error, "slug"))?;
            let id = organization.id.to_string();
            let name = organization.name.as_str();
            change.note(Action::OrganizationCreated, &id, name, Some(organization.id)).await?;
            let seq = change.commit().await?;
            parts.in_force.put_organization(seq, organization_facts(&organization, &[]), &[]).await;
            Ok(parts.organization_view(organization))
        })
        .await
    }

    /// Changes an organization. New limits and a new zone hold for all its keys when this returns; neither usage nor
    /// running windows are reset.
    ///
    /// # Errors
    /// Where there is none, the caller may not, it is not as `expected`, the slug is taken, the limits break a rule, or the database does
    /// not do it.
    pub async fn change_organization(
        &self,
        caller: &Caller,
        reference: &str,
        expected: Expected,
        patch: OrganizationPatch,
    ) -> Result<OrganizationView, Refused> {
        if let Some(Some(limits)) = &patch.limits {
            check_limits(limits)?;
        }
        let (caller, reference) = (caller.clone(), reference.to_owned());
        self.complete(async move |parts| {
            let _order = parts.in_force.order().await;
            let (mut change, caller) = parts.begin(&caller).await?;
            let before = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            caller.reach(before.id)?.must_run_deployment()?;
            expected.check(&EntityTag::of(&before.id, before.revision))?;
            let mut after = patched(&before, patch);
            if after == before {
                return Ok(parts.organization_view(before));
            }
            after.revision += 1;
            let updated = change.update_organization(&after).await;
            updated.map_err(|error| Refused::taken(error, "slug"))?;
            let id = after.id.to_string();
            let fields = changed(["slug", "name", "timeZone", "limits"], texts(&before), texts(&after));
            let name = after.name.as_str();
            change.note_fields(Action::OrganizationChanged, &id, name, Some(after.id), &fields).await?;
            let agents = change.agents(after.id, AGENTS_MAX).await?;
            let compiled_anew =
                after.limits != before.limits || after.zone != before.zone || after.slug != before.slug;
            let keys = if compiled_anew { change.keys(after.id).await? } else { Vec::new() };
            let seq = change.commit().await?;
            parts.in_force.put_organization(seq, organization_facts(&after, &agents), &keys).await;
            Ok(parts.organization_view(after))
        })
        .await
    }

    /// Deletes an organization with its agents, people and keys. When this returns no gateway admits any of the keys.
    ///
    /// # Errors
    /// Where there is none, the caller may not, it is not as `expected`, or the database does not do it.
    pub async fn delete_organization(
        &self,
        caller: &Caller,
        reference: &str,
        expected: Expected,
    ) -> Result<RevocationView, Refused> {
        let (caller, reference) = (caller.clone(), reference.to_owned());
        self.complete(async move |parts| {
            let started = parts.clock.now();
            let _order = parts.in_force.order().await;
            let (mut change, caller) = parts.begin(&caller).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            caller.reach(organization.id)?.must_run_deployment()?;
            expected.check(&EntityTag::of(&organization.id, organization.revision))?;
            let keys = change.keys(organization.id).await?;
            parts.delete_keys(&mut change, &keys).await?;
            for agent in change.agents(organization.id, AGENTS_MAX).await? {
                change.delete_agent(agent.id).await?;
                let (id, name) = (agent.id.to_string(), agent.name.as_str());
                change.note(Action::AgentDeleted, &id, name, Some(organization.id)).await?;
            }
            for person in change.delete_members(organization.id).await? {
                change.delete_person_without_place(person).await?;
            }
            change.delete_organization(organization.id).await?;
            let (id, name) = (organization.id.to_string(), organization.name.as_str());
            change.note(Action::OrganizationDeleted, &id, name, Some(organization.id)).await?;
            let seq = change.commit().await?;
            let view = parts.in_force.revoke(seq, &keys, started, &parts.clock).await;
            parts.in_force.forget_organization(organization.id);
            Ok(view)
        })
        .await
    }
}

impl Parts {
    fn organization_view(&self, organization: Organization) -> OrganizationView {
        OrganizationView::new(organization, &self.in_force.defaults())
    }
}

fn texts(organization: &Organization) -> [Option<String>; 4] {
    let limits = (!organization.limits.is_empty()).then(|| limits_text(&organization.limits));
    let [slug, name] = [organization.slug.to_string(), organization.name.to_string()];
    [Some(slug), Some(name), Some(organization.zone.to_string()), limits]
}

fn patched(before: &Organization, patch: OrganizationPatch) -> Organization {
    let kept = before.clone();
    Organization {
        slug: patch.slug.unwrap_or(kept.slug),
        name: patch.name.unwrap_or(kept.name),
        zone: patch.time_zone.unwrap_or(kept.zone),
        limits: patch.limits.map_or(kept.limits, Option::unwrap_or_default),
        ..kept
    }
}
