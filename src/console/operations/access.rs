//! Who may do what: a caller, and how far they reach in one organization.
//!
//! Promises that what a caller may not know of looks to them exactly like what does not exist, and that a change is
//! judged by what its caller may do when it happens, not when they signed in.

use crate::domain::id::{AgentId, OrganizationId, PersonId};
use crate::domain::key::Key;
use crate::domain::limit::Limits;
use crate::domain::member::MemberRole;
use crate::domain::name::Name;
use crate::domain::person::Person;
use crate::domain::role::Role;
use crate::domain::scope::Scope;
use crate::domain::zone::Zone;
use crate::store::{Actor, Change, Credentials, Place};

use super::{FieldProblem, Parts, Refused};

/// Somebody whose credential was checked, or this process itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    actor: Actor,
    person: Option<Person>,
    is_operator: bool,
    places: Vec<Place>,
}

impl Caller {
    /// This process or whoever started it, acting as an operator under the name that the audit log shows.
    pub fn operator(name: &str) -> Caller {
        Caller { actor: name.into(), person: None, is_operator: true, places: Vec::new() }
    }

    /// A program that presented the management token with this id and name.
    pub(super) fn token(id: &str, name: &str) -> Caller {
        let actor = Actor { name: name.to_owned(), id: Some(id.to_owned()) };
        Caller { actor, person: None, is_operator: true, places: Vec::new() }
    }

    /// A person as their records are.
    pub(super) fn person(credentials: &Credentials, places: Vec<Place>) -> Caller {
        let person = &credentials.person;
        let actor = Actor { name: person.email.to_string(), id: Some(person.id.to_string()) };
        Caller { actor, person: Some(person.clone()), is_operator: person.is_operator, places }
    }

    /// Under which name they appear in the audit log.
    pub fn name(&self) -> &str {
        &self.actor.name
    }

    /// Whether they run the deployment.
    pub fn is_operator(&self) -> bool {
        self.is_operator
    }

    /// What they are in an organization; nothing where they have no place in it.
    pub fn role_in(&self, organization: OrganizationId) -> Option<Role> {
        match self.reach(organization).ok()? {
            Reach::Operator => Some(Role::Operator),
            Reach::OrganizationAdmin => Some(Role::OrganizationAdmin),
            Reach::AgentAdmin(_) => Some(Role::AgentAdmin),
        }
    }

    pub(super) fn actor(&self) -> Actor {
        self.actor.clone()
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// The person; none for a program.
    pub(super) fn person_id(&self) -> Option<PersonId> {
        self.person.as_ref().map(|person| person.id)
    }

    /// What the person wants to be called; nothing for a program.
    pub fn display_name(&self) -> Option<&Name> {
        self.person.as_ref()?.name.as_ref()
    }

    /// The zone that the person wants to read times in; nothing for a program.
    pub fn zone(&self) -> Option<&Zone> {
        self.person.as_ref()?.zone.as_ref()
    }

    /// Whether anything at all is open to them.
    pub(super) fn may_enter(&self) -> bool {
        self.is_operator || !self.places.is_empty()
    }

    /// How far they reach in an organization.
    ///
    /// # Errors
    /// [`Refused::NotFound`] where they have no place in it: they may not know whether it exists.
    pub(super) fn reach(&self, organization: OrganizationId) -> Result<Reach, Refused> {
        if self.is_operator {
            return Ok(Reach::Operator);
        }
        let place = self.places.iter().find(|place| place.organization == organization);
        let place = place.ok_or(Refused::NotFound)?;
        Ok(match place.role {
            MemberRole::OrganizationAdmin => Reach::OrganizationAdmin,
            MemberRole::AgentAdmin => {
                Reach::AgentAdmin(place.agents.iter().map(|(agent, _)| *agent).collect())
            }
        })
    }

    /// Refuses everybody but operators, without a word on what exists.
    pub(super) fn must_be_operator(&self) -> Result<(), Refused> {
        if self.is_operator { Ok(()) } else { Err(Refused::NotPermitted) }
    }
}

/// How far a caller reaches in an organization that they may know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// Everything, the organization's own limits included.
    Operator,
    /// Everything inside.
    OrganizationAdmin,
    /// The agent-scoped keys of these agents.
    AgentAdmin(Vec<AgentId>),
}

impl Reach {
    /// Whether they may know of keys with this scope; who may, may do everything with them.
    pub(super) fn covers(&self, scope: Scope) -> bool {
        match (self, scope) {
            (Reach::Operator | Reach::OrganizationAdmin, _) => true,
            (Reach::AgentAdmin(_), Scope::Organization) => false,
            (Reach::AgentAdmin(agents), Scope::Agent(agent)) => agents.contains(&agent),
        }
    }

    /// Refuses a key that they may not know of.
    pub(super) fn must_cover(&self, key: &Key) -> Result<(), Refused> {
        if self.covers(key.scope) { Ok(()) } else { Err(Refused::NotFound) }
    }

    /// Whether they may know of an agent.
    pub(super) fn sees_agent(&self, agent: AgentId) -> bool {
        self.covers(Scope::Agent(agent))
    }

    /// Refuses who may not change the organization itself.
    pub(super) fn must_run_deployment(&self) -> Result<(), Refused> {
        match self {
            Reach::Operator => Ok(()),
            Reach::OrganizationAdmin | Reach::AgentAdmin(_) => Err(Refused::NotPermitted),
        }
    }

    /// Refuses who may not change agents, or know of members.
    pub(super) fn must_administer(&self) -> Result<(), Refused> {
        match self {
            Reach::Operator | Reach::OrganizationAdmin => Ok(()),
            Reach::AgentAdmin(_) => Err(Refused::NotPermitted),
        }
    }

    /// Refuses limits that are wider than what the organization gives its keys, part by part, unless an operator sets
    /// them.
    pub(super) fn must_narrow(&self, own: &Limits, given: &Limits) -> Result<(), Refused> {
        if *self == Reach::Operator {
            return Ok(());
        }
        let problems: Vec<FieldProblem> = own
            .wider_than(given)
            .into_iter()
            .map(|problem| FieldProblem::new(&format!("/limits{}", problem.pointer), problem.message))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(Refused::Invalid(problems)) }
    }
}

impl Parts {
    /// Begins a change by `caller`, with what they may do read anew: who was disabled, removed or given another role
    /// a moment ago changes nothing any more by what they were before.
    pub(super) async fn begin(&self, caller: &Caller) -> Result<(Change, Caller), Refused> {
        let mut change = self.database.change(caller.actor()).await?;
        let Some(id) = caller.person_id() else { return Ok((change, caller.clone())) };
        let (credentials, places) = change.person(id).await?.ok_or(Refused::NotFound)?;
        let caller = Caller::person(&credentials, places);
        Ok((change, caller))
    }
}
