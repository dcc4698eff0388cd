//! Members: who has a place in an organization, and what they may do there.
//!
//! Promises that an organization that had an admin keeps one, and that who is disabled or removed has no session left
//! when that is answered. Never tells one organization of a person's places in others.

use std::collections::HashMap;

use serde::Deserialize;
use utoipa::ToSchema;

use super::fields::changed;
use super::input::present;
use super::{AGENTS_MAX, Caller, Expected, Operations, Refused};
use crate::console::view::{EntityTag, MemberView, Page};
use crate::domain::id::{AgentId, MemberId, OrganizationId, PersonId};
use crate::domain::member::{Member, MemberRole, MemberState};
use crate::domain::organization::Agent;
use crate::domain::person::{Email, Person};
use crate::domain::secret::{Secret, SecretFormat, SystemRandomness};
use crate::store::{Action, Change, Credentials};

use super::invitations::INVITATION_LIFETIME;

/// Members per organization at most.
pub(crate) const MEMBERS_MAX: u32 = 1_000;

/// A person to invite.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMember {
    /// Their address.
    pub email: Email,
    /// What they may do.
    pub role: MemberRole,
    /// The agents of an agent admin, by slug or id; at least one.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub agents: Option<Vec<String>>,
}

/// What to change of a member; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberPatch {
    /// What they may do.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = MemberRole, required = false)]
    pub role: Option<MemberRole>,
    /// The agents of an agent admin, as a whole, by slug or id.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<String>, required = false)]
    pub agents: Option<Vec<String>>,
    /// Whether they may not come in until enabled again.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = bool, required = false)]
    pub disabled: Option<bool>,
}

/// A member with the only copy of the token that their invitation's link ends with.
#[derive(Debug)]
pub struct Invited {
    /// The member.
    pub member: MemberView,
    /// The token.
    pub token: Secret,
}

impl Operations {
    /// A page of an organization's members.
    ///
    /// # Errors
    /// Where there is no such organization, the caller may not know its members, or the database does not answer.
    pub async fn list_members(
        &self,
        caller: &Caller,
        organization: &str,
        after: Option<MemberId>,
        limit: u32,
    ) -> Result<Page<MemberView>, Refused> {
        let organization = self.organization_of(organization).await?;
        caller.reach(organization.id)?.must_administer()?;
        let database = &self.0.database;
        let found = database.members(organization.id, after, limit.saturating_add(1)).await?;
        let agents = database.agents(organization.id, None, AGENTS_MAX).await?;
        Ok(Page::of(found, limit, |member| member.id.to_string(), |member| MemberView::new(member, &agents)))
    }

    /// One member.
    ///
    /// # Errors
    /// Where there is none, the caller may not know, or the database does not answer.
    pub async fn read_member(
        &self,
        caller: &Caller,
        organization: &str,
        member: &str,
    ) -> Result<MemberView, Refused> {
        let organization = self.organization_of(organization).await?;
        caller.reach(organization.id)?.must_administer()?;
        let id: MemberId = member.parse().map_err(|_| Refused::NotFound)?;
        let database = &self.0.database;
        let member = database.member(organization.id, id).await?.ok_or(Refused::NotFound)?;
        let agents = database.agents(organization.id, None, AGENTS_MAX).await?;
        Ok(MemberView::new(member, &agents))
    }

    /// Invites a person. Whether they have an account already is not told.
    ///
    /// # Errors
    /// Where there is no such organization, they have a place in it already, it is full, a field breaks a rule, the
    /// caller may not, or the database does not do it.
    pub async fn create_member(
        &self,
        caller: &Caller,
        organization: &str,
        new: NewMember,
    ) -> Result<Invited, Refused> {
        let token = SecretFormat::invitations().generate(&mut SystemRandomness)?;
        let (caller, reference) = (caller.clone(), organization.to_owned());
        self.complete(async move |parts| {
            let (mut change, caller) = parts.begin(&caller).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            caller.reach(organization.id)?.must_administer()?;
            let agents = change.agents(organization.id, AGENTS_MAX).await?;
            let own = agents_of(new.role, new.agents, &agents)?;
            let person = person_of(&mut change, &new.email).await?;
            if change
                .members_of_person(person)
                .await?
                .iter()
                .any(|other| other.organization == organization.id)
            {
                return Err(Refused::Taken { what: "e-mail address" });
            }
            if change.member_counts(organization.id).await?.0 >= u64::from(MEMBERS_MAX) {
                return Err(Refused::MembersAtCap { cap: MEMBERS_MAX });
            }
            let member = Member {
                id: MemberId::generate(),
                organization: organization.id,
                person,
                email: new.email,
                name: None,
                role: new.role,
                agents: own,
                state: MemberState::Invited { until: change.at().plus(INVITATION_LIFETIME) },
                created_at: change.at(),
                revision: 1,
            };
            change.insert_member(&member, Some(token.hash())).await?;
            note(&mut change, Action::MemberInvited, &member, Vec::new()).await?;
            change.commit().await?;
            Ok(Invited { member: MemberView::new(member, &agents), token })
        })
        .await
    }

    /// Changes a member. What they may do from their next request on is what it says.
    ///
    /// # Errors
    /// Where there is none, it is not as `expected`, no organization admin would be left, a field breaks a rule, the
    /// caller may not, or the database does not do it.
    pub async fn change_member(
        &self,
        caller: &Caller,
        organization: &str,
        member: &str,
        expected: Expected,
        patch: MemberPatch,
    ) -> Result<MemberView, Refused> {
        let (caller, reference, id) = (caller.clone(), organization.to_owned(), member.to_owned());
        self.complete(async move |parts| {
            let (mut change, caller) = parts.begin(&caller).await?;
            let (organization, before) = found(&mut change, &caller, &reference, &id).await?;
            expected.check(&EntityTag::of(&before.id, before.revision))?;
            let agents = change.agents(organization, AGENTS_MAX).await?;
            let after = patched(&before, patch, &agents)?;
            if after == before {
                return Ok(MemberView::new(before, &agents));
            }
            change.update_member(&Member { revision: before.revision + 1, ..after }).await?;
            // Read back: whether somebody who is enabled again had come before is not in the view.
            let after = change.member(organization, before.id).await?.ok_or(Refused::NotFound)?;
            keep_an_admin(&mut change, &before, Some(&after)).await?;
            if after.state == MemberState::Disabled {
                end_sessions(&mut change, &before).await?;
            }
            let texts = |member: &Member| {
                let agents = MemberView::new(member.clone(), &agents).agents;
                let agents: Vec<&str> = agents.iter().map(|slug| slug.as_str()).collect();
                let disabled = member.state == MemberState::Disabled;
                [Some(member.role.as_str().to_owned()), Some(agents.join(", ")), Some(disabled.to_string())]
            };
            let fields = changed(["role", "agents", "disabled"], texts(&before), texts(&after));
            note(&mut change, Action::MemberChanged, &after, fields).await?;
            change.commit().await?;
            Ok(MemberView::new(after, &agents))
        })
        .await
    }

    /// Removes a member. The keys that they made stay.
    ///
    /// # Errors
    /// Where there is none, it is not as `expected`, no organization admin would be left, the caller may not, or the
    /// database does not do it.
    pub async fn delete_member(
        &self,
        caller: &Caller,
        organization: &str,
        member: &str,
        expected: Expected,
    ) -> Result<(), Refused> {
        let (caller, reference, id) = (caller.clone(), organization.to_owned(), member.to_owned());
        self.complete(async move |parts| {
            let (mut change, caller) = parts.begin(&caller).await?;
            let (_, member) = found(&mut change, &caller, &reference, &id).await?;
            expected.check(&EntityTag::of(&member.id, member.revision))?;
            change.delete_member(member.id).await?;
            keep_an_admin(&mut change, &member, None).await?;
            end_sessions(&mut change, &member).await?;
            change.delete_person_without_place(member.person).await?;
            note(&mut change, Action::MemberRemoved, &member, Vec::new()).await?;
            change.commit().await?;
            Ok(())
        })
        .await
    }
}

/// The member that a reference means, for a caller who may change them.
pub(super) async fn found(
    change: &mut Change,
    caller: &Caller,
    organization: &str,
    member: &str,
) -> Result<(OrganizationId, Member), Refused> {
    let organization = change.organization(organization).await?.ok_or(Refused::NotFound)?;
    caller.reach(organization.id)?.must_administer()?;
    let id: MemberId = member.parse().map_err(|_| Refused::NotFound)?;
    let member = change.member(organization.id, id).await?.ok_or(Refused::NotFound)?;
    Ok((organization.id, member))
}

pub(super) async fn note(
    change: &mut Change,
    action: Action,
    member: &Member,
    fields: Vec<crate::store::FieldChange>,
) -> Result<(), Refused> {
    let id = member.id.to_string();
    change.note_fields(action, &id, member.email.as_str(), Some(member.organization), &fields).await?;
    Ok(())
}

/// The person with this address, who exists from now on.
async fn person_of(change: &mut Change, email: &Email) -> Result<PersonId, Refused> {
    if let Some(known) = change.person_by_email(email).await? {
        return Ok(known.person.id);
    }
    let id = PersonId::generate();
    let created_at = change.at();
    let person = Person { id, email: email.clone(), name: None, zone: None, is_operator: false, created_at };
    change.insert_person(&Credentials { person, password_hash: None, openid: None }).await?;
    Ok(id)
}

/// Ends the sessions of a member who loses a place that they held. Who had not come, or was disabled before, loses none,
/// and may be at work for another organization: inviting somebody's address must not be a way to sign them out.
async fn end_sessions(change: &mut Change, before: &Member) -> Result<(), Refused> {
    if before.state == MemberState::Active {
        change.delete_sessions(before.person).await?;
    }
    Ok(())
}

/// Refuses a change that takes the last organization admin away.
async fn keep_an_admin(change: &mut Change, before: &Member, after: Option<&Member>) -> Result<(), Refused> {
    let still = after.is_some_and(Member::administers_organization);
    if before.administers_organization() && !still && change.member_counts(before.organization).await?.1 == 0
    {
        return Err(Refused::LastAdmin);
    }
    Ok(())
}

fn patched(before: &Member, patch: MemberPatch, agents: &[Agent]) -> Result<Member, Refused> {
    let role = patch.role.unwrap_or(before.role);
    let written = match patch.agents {
        Some(written) => Some(written),
        None if role == MemberRole::AgentAdmin && role == before.role => None,
        None => Some(Vec::new()),
    };
    let own = match written {
        None => before.agents.clone(),
        Some(written) => agents_of(role, Some(written), agents)?,
    };
    let state = match (patch.disabled, before.state) {
        (Some(true), _) => MemberState::Disabled,
        (Some(false), MemberState::Disabled) => MemberState::Active,
        (_, state) => state,
    };
    Ok(Member { role, agents: own, state, ..before.clone() })
}

/// The agents that are meant, by id, in order.
fn agents_of(
    role: MemberRole,
    written: Option<Vec<String>>,
    agents: &[Agent],
) -> Result<Vec<AgentId>, Refused> {
    let written = written.unwrap_or_default();
    if role == MemberRole::OrganizationAdmin {
        if written.is_empty() {
            return Ok(Vec::new());
        }
        return Err(Refused::field("/agents", "expected agents for an agent admin only"));
    }
    if written.is_empty() {
        return Err(Refused::field("/agents", "expected at least one agent for an agent admin"));
    }
    if written.len() > AGENTS_MAX as usize {
        return Err(Refused::field("/agents", format!("expected at most {AGENTS_MAX} agents")));
    }
    let by_slug: HashMap<&str, AgentId> =
        agents.iter().map(|agent| (agent.slug.as_str(), agent.id)).collect();
    let is_known = |id: &AgentId| agents.iter().any(|agent| agent.id == *id);
    let mut own = Vec::with_capacity(written.len());
    for (at, reference) in written.iter().enumerate() {
        // A slug never has the form of an id.
        let by_id = || reference.parse().ok().filter(is_known);
        let agent = by_slug.get(reference.as_str()).copied().or_else(by_id);
        own.push(agent.ok_or_else(|| Refused::field(&format!("/agents/{at}"), "no such agent"))?);
    }
    own.sort_unstable();
    own.dedup();
    Ok(own)
}
