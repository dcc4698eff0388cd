//! Invitations: a link that lets one person in, once, for seven days.
//!
//! Promises that a link alone never gives anybody a password that another place or account hangs on: whoever has come
//! somewhere before must show that it is them. A link that is over looks like one that never was.

use std::time::Duration;

use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::input::password;
use super::members::{Invited, found, note};
use super::passwords::check_password;
use super::sessions::{NewSession, Whence};
use super::{AGENTS_MAX, Caller, Operations, Parts, Refused};
use crate::console::view::{Instant, InvitationView, MemberView};
use crate::domain::clock::UnixMillis;
use crate::domain::member::{Member, MemberState};
use crate::domain::secret::{SecretFormat, SecretHash, SystemRandomness};
use crate::store::{Action, Change, Credentials};

/// How long an invitation holds.
pub(super) const INVITATION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What an invited person brings.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acceptance {
    /// The password that they choose; the one that they have, where they have an account already.
    #[serde(deserialize_with = "password")]
    #[schema(value_type = String, min_length = 12, max_length = 1024, format = Password)]
    pub password: Zeroizing<String>,
}

impl Operations {
    /// Makes another link for a member who has not come yet; the one before is over.
    ///
    /// # Errors
    /// Where there is no such member, they have come already, the caller may not, or the database does not do it.
    pub async fn renew_invitation(
        &self,
        caller: &Caller,
        organization: &str,
        member: &str,
    ) -> Result<Invited, Refused> {
        let token = SecretFormat::invitations().generate(&mut SystemRandomness)?;
        let (caller, reference, id) = (caller.clone(), organization.to_owned(), member.to_owned());
        self.complete(async move |parts| {
            let (mut change, caller) = parts.begin(&caller).await?;
            let (organization, member) = found(&mut change, &caller, &reference, &id).await?;
            if !matches!(member.state, MemberState::Invited { .. }) {
                return Err(Refused::AlreadyCome);
            }
            let until = change.at().plus(INVITATION_LIFETIME);
            change.put_invitation(member.id, token.hash(), until).await?;
            note(&mut change, Action::InvitationRenewed, &member, Vec::new()).await?;
            let agents = change.agents(organization, AGENTS_MAX).await?;
            let member = change.member(organization, member.id).await?.ok_or(Refused::NotFound)?;
            change.commit().await?;
            Ok(Invited { member: MemberView::new(member, &agents), token })
        })
        .await
    }

    /// What an invitation is to.
    ///
    /// # Errors
    /// [`Refused::NotFound`] where it is over or never was; or the database does not answer.
    pub async fn read_invitation(&self, token: &[u8]) -> Result<InvitationView, Refused> {
        if !SecretFormat::invitations().is_well_formed(token) {
            return Err(Refused::NotFound);
        }
        let database = &self.0.database;
        let member = database.member_by_invitation(SecretHash::of(token)).await?;
        let (member, until) = self.0.open(member)?;
        let organization = database.organization(&member.organization.to_string()).await?;
        Ok(InvitationView {
            email: member.email,
            organization: organization.ok_or(Refused::NotFound)?.name,
            role: member.role,
            until: Instant(until),
        })
    }

    /// Accepts an invitation and begins a session. A person who has no account yet gets the password that they choose;
    /// anybody else must know theirs.
    ///
    /// # Errors
    /// [`Refused::NotFound`] where the invitation is over or never was; [`Refused::SignInFailed`] where the person has
    /// another password, or signs in with a company account; too many tries failed; the password breaks a rule; or the
    /// database does not do it.
    pub async fn accept_invitation(
        &self,
        token: &[u8],
        acceptance: Acceptance,
        from: Whence,
    ) -> Result<NewSession, Refused> {
        if !SecretFormat::invitations().is_well_formed(token) {
            return Err(Refused::NotFound);
        }
        check_password(&acceptance.password, "/password")?;
        let (parts, hash) = (&self.0, SecretHash::of(token));
        let (member, _) = parts.open(parts.database.member_by_invitation(hash).await?)?;
        let (person, _) = parts.database.person(member.person).await?.ok_or(Refused::NotFound)?;
        let chosen = if has_account(&person) {
            let email = person.person.email.clone();
            let matched =
                parts.check_password(&email, &from, None, Some(person.clone()), acceptance.password);
            matched.await?.ok_or(Refused::SignInFailed)?;
            None
        } else {
            Some(parts.passwords.hash(acceptance.password).await?)
        };
        self.complete(async move |parts| {
            let mut change = parts.database.change(parts.actor_of(&person)).await?;
            // As it is now: somebody else may have used the link, or the account been made, in between.
            let (member, _) = parts.open(change.member_by_invitation(hash).await?)?;
            let (now, _) = change.person(member.person).await?.ok_or(Refused::NotFound)?;
            if now.password_hash != person.password_hash || now.openid != person.openid {
                return Err(Refused::SignInFailed);
            }
            if let Some(chosen) = chosen {
                change.update_person(&Credentials { password_hash: Some(chosen), ..now }).await?;
            }
            join(&mut change, &member).await?;
            let session = parts.begin_session(&mut change, member.person, from, true).await?;
            change.commit().await?;
            Ok(session)
        })
        .await
    }
}

impl Parts {
    /// The member, if the invitation that led to them still holds.
    fn open(&self, member: Option<Member>) -> Result<(Member, UnixMillis), Refused> {
        let member = member.ok_or(Refused::NotFound)?;
        match member.state {
            MemberState::Invited { until } if self.clock.now().unix < until => Ok((member, until)),
            MemberState::Invited { .. } | MemberState::Active | MemberState::Disabled => {
                Err(Refused::NotFound)
            }
        }
    }

    /// Accepts every invitation that waits for a person whose address is known to be theirs.
    pub(super) async fn accept_waiting(
        &self,
        change: &mut Change,
        person: &Credentials,
    ) -> Result<(), Refused> {
        for member in change.members_of_person(person.person.id).await? {
            if self.open(Some(member.clone())).is_ok() {
                join(change, &member).await?;
            }
        }
        Ok(())
    }
}

/// Whether a person can sign in already, by whatever means.
fn has_account(person: &Credentials) -> bool {
    person.password_hash.is_some() || person.openid.is_some() || person.person.is_operator
}

async fn join(change: &mut Change, member: &Member) -> Result<(), Refused> {
    change.accept_invitation(member.id).await?;
    note(change, Action::MemberJoined, member, Vec::new()).await
}
