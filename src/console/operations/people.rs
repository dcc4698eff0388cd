//! What a person may change of themselves; the first operator, and a way back in for those who lost their password.
//!
//! Promises that a new password ends every session there was.

use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::input::{password, present};
use super::passwords::check_password;
use super::sessions::{NewSession, Whence};
use super::{Caller, Operations, Refused};
use crate::console::view::{OrganizationName, RoleView, WhoView};
use crate::domain::id::PersonId;
use crate::domain::member::MemberRole;
use crate::domain::name::Name;
use crate::domain::person::{Email, InvalidEmail, Person};
use crate::domain::role::Role;
use crate::domain::secret::SecretHash;
use crate::domain::zone::Zone;
use crate::store::{Action, Credentials, Database};

/// By what a person shall sign in.
pub struct Login {
    /// Under which address they sign in.
    pub email: String,
    /// Their password; wiped when dropped.
    pub password: Zeroizing<String>,
}

/// What a person changes of themselves; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfilePatch {
    /// What they want to be called; null for nothing but their address.
    #[serde(default, deserialize_with = "present")]
    pub name: Option<Option<Name>>,
    /// The zone they want to read times in; null for each organization's own.
    #[serde(default, deserialize_with = "present")]
    pub time_zone: Option<Option<Zone>>,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordChange {
    /// The one that they have.
    #[serde(deserialize_with = "password")]
    #[schema(value_type = String, max_length = 1024, format = Password)]
    pub current: Zeroizing<String>,
    /// The one that they want.
    #[serde(deserialize_with = "password")]
    #[schema(value_type = String, min_length = 12, max_length = 1024, format = Password)]
    pub new: Zeroizing<String>,
}

impl Operations {
    /// Who the caller is and what they may do where.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn read_session(&self, caller: &Caller) -> Result<WhoView, Refused> {
        let found = match caller.person_id() {
            Some(id) => self.0.database.person(id).await?,
            None => None,
        };
        Ok(who(caller, found.as_ref().map(|(found, _)| found)))
    }

    /// Changes what a person is called and in which zone they read times.
    ///
    /// # Errors
    /// Where the caller is not a person, or the database does not do it.
    pub async fn change_profile(&self, caller: &Caller, patch: ProfilePatch) -> Result<WhoView, Refused> {
        let id = caller.person_id().ok_or(Refused::NotPermitted)?;
        let caller = caller.clone();
        self.complete(async move |parts| {
            let (mut change, caller) = parts.begin(&caller).await?;
            let (mut person, _) = change.person(id).await?.ok_or(Refused::NotFound)?;
            person.person.name = patch.name.unwrap_or(person.person.name);
            person.person.zone = patch.time_zone.unwrap_or(person.person.zone);
            change.update_person(&person).await?;
            change.commit().await?;
            Ok(who(&caller, Some(&person)))
        })
        .await
    }

    /// Changes a person's password. Every session of theirs ends; the one that this returns goes on in their place.
    ///
    /// # Errors
    /// Where the caller is not a person with a password, the current one is wrong, the new one breaks a rule, too many
    /// tries failed, or the database does not do it.
    pub async fn change_password(
        &self,
        caller: &Caller,
        passwords: PasswordChange,
        from: Whence,
    ) -> Result<NewSession, Refused> {
        let parts = &self.0;
        let id = caller.person_id().ok_or(Refused::NotPermitted)?;
        check_password(&passwords.new, "/new")?;
        let (found, _) = parts.database.person(id).await?.ok_or(Refused::NotFound)?;
        if found.password_hash.is_none() {
            return Err(Refused::field(
                "/current",
                "this account has no password: it signs in with a company account",
            ));
        }
        let email = found.person.email.clone();
        // Counted by itself, as a known browser is: who guesses at the account from elsewhere must not keep the person
        // from changing the very password that is guessed at.
        let own = *SecretHash::of(id.to_string().as_bytes()).as_bytes();
        let matched = parts.check_password(&email, &from, Some(own), Some(found), passwords.current).await?;
        let matched = matched.ok_or_else(|| Refused::field("/current", "expected the current password"))?;
        let hash = parts.passwords.hash(passwords.new).await?;
        let caller = caller.clone();
        self.complete(async move |parts| {
            let (mut change, caller) = parts.begin(&caller).await?;
            let (now, _) = change.person(id).await?.ok_or(Refused::NotFound)?;
            if now.password_hash != matched.password_hash {
                return Err(Refused::field("/current", "expected the current password"));
            }
            change.update_person(&Credentials { password_hash: Some(hash), ..now }).await?;
            change.delete_sessions(id).await?;
            change.delete_browsers(id).await?;
            for place in caller.places() {
                let action = Action::PasswordChanged;
                change.log(action, &id.to_string(), caller.name(), Some(place.organization), &[]).await?;
            }
            if caller.is_operator() {
                change.log(Action::PasswordChanged, &id.to_string(), caller.name(), None, &[]).await?;
            }
            let session = parts.begin_session(&mut change, id, from, true).await?;
            change.commit().await?;
            Ok(session)
        })
        .await
    }
}

fn who(caller: &Caller, person: Option<&Credentials>) -> WhoView {
    let mut roles = Vec::new();
    if caller.is_operator() {
        roles.push(RoleView { role: Role::Operator.as_str(), organization: None, agents: None });
    }
    for place in caller.places() {
        let is_agent_admin = place.role == MemberRole::AgentAdmin;
        roles.push(RoleView {
            role: place.role.as_str(),
            organization: Some(OrganizationName {
                id: place.organization,
                slug: place.slug.clone(),
                name: place.name.clone(),
            }),
            agents: is_agent_admin.then(|| place.agents.iter().map(|(_, slug)| slug.clone()).collect()),
        });
    }
    WhoView {
        name: caller.name().to_owned(),
        email: person.map(|person| person.person.email.clone()),
        display_name: person.and_then(|person| person.person.name.clone()),
        time_zone: person.and_then(|person| person.person.zone.clone()),
        has_password: person.is_some_and(|person| person.password_hash.is_some()),
        roles,
    }
}

/// Makes a person an operator, in the database of a deployment. Somebody who is a member already keeps their places, gets
/// this password, and is signed out everywhere: a password that was chosen before the person ran a deployment need not
/// be theirs alone.
///
/// # Errors
/// Where the address or the password breaks a rule, the person is an operator already, or the database does not do it.
pub async fn create_operator(database: &Database, caller: &Caller, new: Login) -> Result<PersonId, Refused> {
    let email: Email =
        new.email.parse().map_err(|error: InvalidEmail| Refused::field("/email", error.to_string()))?;
    check_password(&new.password, "/password")?;
    let hash = super::passwords::Passwords::new().hash(new.password).await?;
    let mut change = database.change(caller.actor()).await?;
    let id = match change.person_by_email(&email).await? {
        Some(known) if known.person.is_operator => return Err(Refused::Taken { what: "e-mail address" }),
        Some(known) => {
            let id = known.person.id;
            let person = Person { is_operator: true, ..known.person };
            let now = Credentials { person, password_hash: Some(hash), openid: None };
            change.update_person(&now).await?;
            change.delete_sessions(id).await?;
            change.delete_browsers(id).await?;
            id
        }
        None => {
            let (id, created_at, email) = (PersonId::generate(), change.at(), email.clone());
            let person = Person { id, email, name: None, zone: None, is_operator: true, created_at };
            change.insert_person(&Credentials { person, password_hash: Some(hash), openid: None }).await?;
            id
        }
    };
    change.note(Action::OperatorCreated, &id.to_string(), email.as_str(), None).await?;
    change.commit().await?;
    Ok(id)
}

/// Gives a person another password, whoever they are: for those who lost theirs. Every session of theirs ends, and the
/// company account that they next sign in with is theirs from then on, so that a change of provider locks nobody out.
///
/// # Errors
/// Where the password breaks a rule, there is no such person, or the database does not do it.
pub async fn reset_password(database: &Database, caller: &Caller, new: Login) -> Result<(), Refused> {
    let nobody = || Refused::field("/email", "nobody signs in with this address");
    let email: Email = new.email.parse().map_err(|_| nobody())?;
    check_password(&new.password, "/password")?;
    let hash = super::passwords::Passwords::new().hash(new.password).await?;
    let mut change = database.change(caller.actor()).await?;
    let found = change.person_by_email(&email).await?.ok_or_else(nobody)?;
    let id = found.person.id;
    change.update_person(&Credentials { password_hash: Some(hash), openid: None, ..found }).await?;
    change.delete_sessions(id).await?;
    change.delete_browsers(id).await?;
    change.log(Action::PasswordChanged, &id.to_string(), email.as_str(), None, &[]).await?;
    change.commit().await?;
    Ok(())
}
