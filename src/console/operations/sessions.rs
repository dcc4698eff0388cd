//! Signing in and out: by password, by company account, by invitation.
//!
//! Promises that a session's secret exists in the answer to its sign-in and as a hash; that an unknown address, a wrong
//! password and a person without a place are refused with the same words after the same work; and that a session whose
//! person was signed out, disabled or given another password is not found by the next request.

use std::net::IpAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::throttle::Attempt;
use super::{Caller, Operations, Parts, Refused};
use crate::console::view::{Instant, SessionView};
use crate::domain::clock::UnixMillis;
use crate::domain::id::{PersonId, SessionId};
use crate::domain::name::Name;
use crate::domain::person::Email;
use crate::domain::secret::{Secret, SecretFormat, SecretHash, SystemRandomness};
use crate::store::{Action, Actor, Change, Credentials, Session};

/// Sessions of one person at once; a further one ends the oldest.
const SESSIONS_MAX: u32 = 20;
/// Browsers remembered of one person.
const BROWSERS_MAX: u32 = 20;
/// How long a browser is remembered.
pub(crate) const BROWSER_LIFETIME: Duration = Duration::from_secs(180 * 24 * 60 * 60);
/// How exactly the time of last use is written.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// Longest name of a browser that is kept, in characters.
const USER_AGENT_CHARS_MAX: usize = 256;

/// Where a request comes from.
#[derive(Debug, Clone, Default)]
pub struct Whence {
    /// The address, where it is known.
    pub address: Option<IpAddr>,
    /// What the browser says it is.
    pub user_agent: String,
    /// What the browser's cookie holds of an earlier session, which ends where another one begins.
    pub session: Option<Vec<u8>>,
}

/// Somebody who wants to sign in with a password.
pub struct SignIn {
    /// Their address as written.
    pub email: String,
    /// Their password; wiped when dropped.
    pub password: Zeroizing<String>,
    /// From where.
    pub from: Whence,
    /// What the browser keeps since an earlier sign-in.
    pub browser: Option<Vec<u8>>,
}

/// What a provider of OpenID Connect vouches for.
#[derive(Debug, Clone)]
pub struct OpenIdIdentity {
    /// The provider.
    pub issuer: String,
    /// Its name for the person; never given to another.
    pub subject: String,
    /// Their address, which the provider has verified.
    pub email: Email,
    /// What they are called.
    pub name: Option<Name>,
}

/// A session just begun, with the only copies of its secrets.
#[derive(Debug)]
pub struct NewSession {
    /// What the cookie holds.
    pub secret: Secret,
    /// Who signed in.
    pub caller: Caller,
    /// How long it lasts at most.
    pub lifetime: Duration,
    /// What the browser keeps to be known again, where it was not.
    pub browser: Option<Secret>,
}

/// Who a session belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The person.
    pub caller: Caller,
    /// The session.
    pub session: SessionId,
}

impl Operations {
    /// Whose session `secret` is; nobody's where it is over or never was.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn resume(&self, secret: &[u8]) -> Result<Option<SignedIn>, Refused> {
        if !SecretFormat::sessions().is_well_formed(secret) {
            return Ok(None);
        }
        let database = &self.0.database;
        let now = self.0.clock.now().unix;
        let found = database.session(SecretHash::of(secret), now, self.0.idle_since(now)).await?;
        let Some(session) = found else { return Ok(None) };
        let Some((credentials, places)) = database.person(session.person).await? else { return Ok(None) };
        let caller = Caller::person(&credentials, places);
        if now >= session.seen_at.plus(SEEN_EVERY) {
            let (database, id) = (database.clone(), session.id);
            // Nobody waits for it, and nothing hangs on its success but how soon an idle session ends.
            tokio::spawn(async move {
                if let Err(error) = database.touch_session(id, now).await {
                    tracing::warn!(%error, "the time a session was last used could not be written");
                }
            });
        }
        Ok(caller.may_enter().then_some(SignedIn { caller, session: session.id }))
    }

    /// Begins a session for whoever knows the password of an account.
    ///
    /// # Errors
    /// [`Refused::SignInFailed`] without a word on why; [`Refused::TooManyAttempts`] and [`Refused::Busy`] with when to
    /// come again; or the database does not answer.
    pub async fn sign_in(&self, tried: SignIn) -> Result<NewSession, Refused> {
        let parts = &self.0;
        // Everybody can tell that it is no address, so there is nothing to hide: work here would be work without bound,
        // for there is no account to count it by.
        let Ok(email) = tried.email.parse::<Email>() else { return Err(Refused::SignInFailed) };
        let found = parts.database.person_by_email(&email).await?;
        let person = found.as_ref().map(|found| found.person.id);
        let known_browser = parts.known_browser(tried.browser.as_deref(), person).await?;
        let matched = parts.check_password(&email, &tried.from, known_browser, found, tried.password).await?;
        let matched = matched.ok_or(Refused::SignInFailed)?;
        let from = tried.from;
        self.complete(async move |parts| {
            let actor = parts.actor_of(&matched);
            let mut change = parts.database.change(actor).await?;
            // Another password, or none, since it was checked: then it is not theirs any more.
            let now = change.person(matched.person.id).await?;
            if now.is_none_or(|(now, _)| now.password_hash != matched.password_hash) {
                return Err(Refused::SignInFailed);
            }
            let session = parts.begin_session(&mut change, matched.person.id, from, known_browser.is_none());
            let session = session.await?;
            change.commit().await?;
            Ok(session)
        })
        .await
    }

    /// Begins a session for whoever a provider vouches for, and lets them accept what invitations wait for their
    /// address: the provider has shown that it is theirs.
    ///
    /// A password that was set before the provider first spoke for the person ends then, with every session, unless they
    /// are an operator: whoever accepted an invitation first need not have been the owner of the address.
    ///
    /// # Errors
    /// [`Refused::SignInFailed`] where nobody invited them, or the address belongs to another account of the provider;
    /// or the database does not do it.
    pub async fn sign_in_openid(
        &self,
        identity: OpenIdIdentity,
        from: Whence,
    ) -> Result<NewSession, Refused> {
        self.complete(async move |parts| {
            let actor = Actor { name: identity.email.to_string(), id: None };
            let mut change = parts.database.change(actor).await?;
            let known = change.person_by_openid(&identity.issuer, &identity.subject).await?;
            let vouched = identity.email.clone();
            let mut person = match known {
                Some(known) => known,
                None => {
                    let found = change.person_by_email(&identity.email).await?;
                    let mut found = found.ok_or(Refused::SignInFailed)?;
                    if found.openid.is_some() {
                        return Err(Refused::SignInFailed);
                    }
                    found.openid = Some((identity.issuer, identity.subject));
                    if !found.person.is_operator && found.password_hash.take().is_some() {
                        change.delete_sessions(found.person.id).await?;
                        change.delete_browsers(found.person.id).await?;
                    }
                    found
                }
            };
            if person.person.name.is_none() {
                person.person.name = identity.name;
            }
            change.act_as(parts.actor_of(&person));
            change.update_person(&person).await?;
            // Where the provider has another address for them by now, theirs here may be somebody else's.
            if person.person.email == vouched {
                parts.accept_waiting(&mut change, &person).await?;
            }
            let session = parts.begin_session(&mut change, person.person.id, from, false).await?;
            change.commit().await?;
            Ok(session)
        })
        .await
    }

    /// Ends one session. It is over when this returns.
    ///
    /// # Errors
    /// Where the database does not do it.
    pub async fn sign_out(&self, signed_in: &SignedIn) -> Result<(), Refused> {
        self.end_session(&signed_in.caller, &signed_in.session.to_string()).await
    }

    /// Ends every session of the caller, this one too.
    ///
    /// # Errors
    /// Where the caller is not a person, or the database does not do it.
    pub async fn sign_out_everywhere(&self, caller: &Caller) -> Result<(), Refused> {
        let person = caller.person_id().ok_or(Refused::NotPermitted)?;
        let caller = caller.clone();
        self.complete(async move |parts| {
            let mut change = parts.database.change(caller.actor()).await?;
            change.delete_sessions(person).await?;
            change.commit().await?;
            Ok(())
        })
        .await
    }

    /// Ends a session of the caller.
    ///
    /// # Errors
    /// Where they have no such session, or the database does not do it.
    pub async fn end_session(&self, caller: &Caller, session: &str) -> Result<(), Refused> {
        let person = caller.person_id().ok_or(Refused::NotFound)?;
        let session: SessionId = session.parse().map_err(|_| Refused::NotFound)?;
        let caller = caller.clone();
        self.complete(async move |parts| {
            let mut change = parts.database.change(caller.actor()).await?;
            if !change.delete_session(person, session).await? {
                return Err(Refused::NotFound);
            }
            change.commit().await?;
            Ok(())
        })
        .await
    }

    /// The caller's sessions, newest first; `current` is marked. None for a program.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        current: Option<SessionId>,
    ) -> Result<Vec<SessionView>, Refused> {
        let Some(person) = caller.person_id() else { return Ok(Vec::new()) };
        let now = self.0.clock.now().unix;
        let idle_since = self.0.idle_since(now);
        let sessions = self.0.database.sessions(person, now, idle_since).await?;
        let view = |session: Session| SessionView {
            id: session.id,
            current: Some(session.id) == current,
            created_at: Instant(session.created_at),
            last_seen_at: Instant(session.seen_at),
            expires_at: Instant(session.expires_at),
            address: session.address,
            user_agent: session.user_agent,
        };
        Ok(sessions.into_iter().map(view).collect())
    }
}

impl Parts {
    /// Sessions that were not seen after this instant are over.
    fn idle_since(&self, now: UnixMillis) -> UnixMillis {
        let idle_ms = u64::try_from(self.rules.sessions.idle_timeout.as_millis()).unwrap_or(u64::MAX);
        UnixMillis(now.0.saturating_sub(idle_ms))
    }

    pub(super) fn actor_of(&self, person: &Credentials) -> Actor {
        Actor { name: person.person.email.to_string(), id: Some(person.person.id.to_string()) }
    }

    /// The hash of what a browser keeps, where the person has signed in with it before.
    pub(super) async fn known_browser(
        &self,
        presented: Option<&[u8]>,
        person: Option<PersonId>,
    ) -> Result<Option<[u8; 32]>, Refused> {
        let Some(presented) = presented else { return Ok(None) };
        if !SecretFormat::browsers().is_well_formed(presented) {
            return Ok(None);
        }
        let hash = SecretHash::of(presented);
        // Looked up for nobody too, so that it takes as long.
        let person = person.unwrap_or_else(PersonId::generate);
        let known = self.database.knows_browser(hash, person, self.clock.now().unix).await?;
        Ok(known.then(|| *hash.as_bytes()))
    }

    /// `found`, where `password` is theirs. Counts failures, and works as long where there is nobody to find.
    pub(super) async fn check_password(
        &self,
        email: &Email,
        from: &Whence,
        known_browser: Option<[u8; 32]>,
        found: Option<Credentials>,
        password: Zeroizing<String>,
    ) -> Result<Option<Credentials>, Refused> {
        let attempt = Attempt { email, address: from.address, known_browser };
        self.throttle.enter(&attempt, self.clock.now())?;
        let hash = found.as_ref().and_then(|found| found.password_hash.clone());
        let matches = self.passwords.verify(password, hash).await;
        if !matches!(matches, Ok(false)) {
            self.throttle.forgive(&attempt);
        }
        let matches = matches?;
        Ok(found.filter(|_| matches))
    }

    /// Begins a session for a person within `change`, if anything at all is open to them.
    pub(super) async fn begin_session(
        &self,
        change: &mut Change,
        person: PersonId,
        from: Whence,
        remember_browser: bool,
    ) -> Result<NewSession, Refused> {
        if !self.rules.people_may_sign_in {
            return Err(Refused::NeedsHttps);
        }
        let (credentials, places) = change.person(person).await?.ok_or(Refused::SignInFailed)?;
        let caller = Caller::person(&credentials, places);
        if !caller.may_enter() {
            return Err(Refused::SignInFailed);
        }
        let secret = SecretFormat::sessions().generate(&mut SystemRandomness)?;
        let lifetime = self.rules.sessions.lifetime;
        let session = Session {
            id: SessionId::generate(),
            person,
            created_at: change.at(),
            seen_at: change.at(),
            expires_at: change.at().plus(lifetime),
            address: from.address.map(|address| address.to_canonical().to_string()),
            user_agent: plain(&from.user_agent),
        };
        if let Some(before) = from.session.filter(|held| SecretFormat::sessions().is_well_formed(held)) {
            change.replace_session(SecretHash::of(&before)).await?;
        }
        change.insert_session(&session, secret.hash(), SESSIONS_MAX).await?;
        let browser = if remember_browser {
            let browser = SecretFormat::browsers().generate(&mut SystemRandomness)?;
            let until = change.at().plus(BROWSER_LIFETIME);
            change.insert_browser(person, browser.hash(), until, BROWSERS_MAX).await?;
            Some(browser)
        } else {
            None
        };
        let (id, email) = (person.to_string(), credentials.person.email.as_str());
        for place in caller.places() {
            change.log(Action::SignedIn, &id, email, Some(place.organization), &[]).await?;
        }
        if caller.is_operator() {
            change.log(Action::SignedIn, &id, email, None, &[]).await?;
        }
        Ok(NewSession { secret, caller, lifetime, browser })
    }
}

/// A browser's name as it is kept: bounded, without control characters.
fn plain(user_agent: &str) -> String {
    user_agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARS_MAX).collect()
}
