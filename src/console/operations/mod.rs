//! What may be done to organizations, agents, keys and people, and by whom; the only code that changes them.
//!
//! Each change is one transaction (record, audit row, outbox row), is applied to the key table before it is answered,
//! and is applied in the order of commits. A caller that hangs up changes nothing of that: an operation runs to its
//! end. Never parses HTTP and never renders.

mod access;
mod agents;
mod audit;
mod buckets;
mod fields;
pub mod gateways;
mod in_force;
mod input;
mod invitations;
mod keys;
mod members;
mod organizations;
mod passwords;
mod people;
mod refused;
mod revocation;
mod sessions;
mod throttle;
mod tokens;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::view::EntityTag;
use crate::domain::clock::Clock;
use crate::domain::id::KeyId;
use crate::domain::key::Key;
use crate::domain::limit::Limits;
use crate::domain::organization::{Agent, Organization};
use crate::domain::secret::{SecretFormat, SecretHash};
use crate::keytable::{KeyFacts, OrganizationFacts};
use crate::store::Database;

use passwords::Passwords;
use throttle::Throttle;

pub use access::Caller;
pub use agents::{AgentPatch, NewAgent};
pub use audit::AuditFilter;
pub use in_force::InForce;
pub use invitations::Acceptance;
pub use keys::{CreatedKey, KeyPatch, NewKey, NewScope, Once};
pub use members::{Invited, MemberPatch, NewMember};
pub use organizations::{NewOrganization, OrganizationPatch};
pub use passwords::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
pub use people::{Login, PasswordChange, ProfilePatch, create_operator, reset_password};
pub use refused::{FieldProblem, Refused};
pub(crate) use sessions::BROWSER_LIFETIME;
pub use sessions::{NewSession, OpenIdIdentity, SignIn, SignedIn, Whence};
pub use tokens::{create_token, list_tokens, revoke_token};
pub use usage::{
    AgentUse, DeniedBy, LimitView, RouteUse, Step, UsagePoint, UsageSpan, UsageTotals, UsageView,
};

/// Agents per organization at most: each is held in memory by every gateway, and none needs a bound of its own.
pub(crate) const AGENTS_MAX: u32 = 1_000;

/// Changes at once. One runs, the others wait for it; a caller beyond them waits too, and begins nothing if it hangs up.
const CHANGES_MAX: usize = 64;

/// Everything that operations work on. Cheap to clone.
#[derive(Clone)]
pub struct Operations(Arc<Parts>);

struct Parts {
    database: Database,
    in_force: InForce,
    clock: Clock,
    rules: Rules,
    passwords: Passwords,
    throttle: Throttle,
    /// Places for changes, which go on without their callers: without a bound whoever asks and hangs up, again and
    /// again, would fill the memory with what waits.
    changes: Arc<Semaphore>,
}

/// What holds for every organization.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What keys look like.
    pub key_format: SecretFormat,
    /// Keys per organization at most.
    pub keys_per_organization: u32,
    /// How long sign-ins last.
    pub sessions: SessionRules,
    /// Whether people may sign in: not where their cookie would travel in the clear.
    pub people_may_sign_in: bool,
}

/// How long sign-ins last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRules {
    /// Without use.
    pub idle_timeout: Duration,
    /// At most.
    pub lifetime: Duration,
}

/// What a change expects to find, from `If-Match`: nothing in particular, or one of some states.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Whatever is there.
    #[default]
    Anything,
    /// One of these tags.
    OneOf(Vec<String>),
}

impl Expected {
    fn check(&self, current: &EntityTag) -> Result<(), Refused> {
        match self {
            Expected::Anything => Ok(()),
            Expected::OneOf(tags) if tags.iter().any(|tag| tag == current.as_str()) => Ok(()),
            Expected::OneOf(_) => Err(Refused::Stale),
        }
    }
}

impl Operations {
    /// Operations on `database`, whose records are in force where `in_force` says.
    pub fn new(database: Database, in_force: InForce, clock: Clock, rules: Rules) -> Operations {
        Operations(Arc::new(Parts {
            database,
            in_force,
            clock,
            rules,
            passwords: Passwords::new(),
            throttle: Throttle::default(),
            changes: Arc::new(Semaphore::new(CHANGES_MAX)),
        }))
    }

    /// Runs a change to its end, whether or not somebody still waits for its answer: between commit and key table
    /// there must be no way out.
    async fn complete<T, F, W>(&self, work: F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Parts>) -> W,
        W: Future<Output = Result<T, Refused>> + Send + 'static,
    {
        let place = Arc::clone(&self.0.changes).acquire_owned().await.map_err(|_| Refused::Interrupted)?;
        let working = work(self.0.clone());
        let done = tokio::spawn(async move {
            let _held_to_its_end = place;
            working.await
        });
        done.await.unwrap_or(Err(Refused::Interrupted))
    }

    /// Puts other limits for keys in force where neither key nor organization says otherwise. Usage stays.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn apply_default_limits(&self, limits: Limits) -> Result<(), Refused> {
        self.complete(move |parts| async move {
            match &parts.in_force {
                InForce::Here(here) => {
                    let _order = parts.in_force.order().await;
                    here.keys.set_defaults(limits);
                    // Entries hold their limits ready to use, so all are made anew, accounts kept.
                    parts.database.load(&here.keys).await?;
                }
                InForce::Fleet(desk) => desk.set_defaults(limits),
            }
            Ok(())
        })
        .await
    }

    /// The instant that what is shown now is of.
    pub(crate) fn now(&self) -> crate::domain::clock::UnixMillis {
        self.0.clock.now().unix
    }

    async fn organization_of(&self, reference: &str) -> Result<Organization, Refused> {
        self.0.database.organization(reference).await?.ok_or(Refused::NotFound)
    }
}

/// What the key table is told of an organization.
fn organization_facts(organization: &Organization, agents: &[Agent]) -> OrganizationFacts {
    OrganizationFacts {
        id: organization.id,
        slug: organization.slug.clone(),
        zone: organization.zone.rules().clone(),
        limits: organization.limits.clone(),
        agents: agents.iter().map(|agent| (agent.slug.clone(), agent.id)).collect(),
    }
}

/// What the key table is told of a key.
fn key_facts(key: &Key, hash: SecretHash) -> KeyFacts {
    KeyFacts {
        id: key.id,
        organization: key.organization,
        hash,
        scope: key.scope,
        access: key.access,
        expires_at: key.expires_at,
        disabled: key.disabled,
        limits: key.limits.clone(),
    }
}

fn ids_and_hashes(keys: &[(Key, SecretHash)]) -> Vec<(KeyId, SecretHash)> {
    keys.iter().map(|(key, hash)| (key.id, *hash)).collect()
}
