//! Keys: made, shown, changed, and ended everywhere before the answer says so.
//!
//! Promises that a secret exists in one place, the answer to its creation; that an organization never has more keys
//! than its cap; and that a deleted key is refused when the deletion is answered.

use serde::Deserialize;
use utoipa::ToSchema;

use super::input::{instant, present, present_instant};
use super::refused::check_limits;
use super::{AGENTS_MAX, Caller, Expected, Operations, Parts, Refused, ids_and_hashes};
use crate::console::view::{EntityTag, Instant, KeyPage, KeyView, RevocationState, RevocationView};
use crate::domain::clock::{Moment, UnixMillis};
use crate::domain::id::{AgentId, KeyId};
use crate::domain::key::Key;
use crate::domain::limit::Limits;
use crate::domain::name::{Name, Slug};
use crate::domain::scope::{Access, Scope};
use crate::domain::secret::{Secret, SecretHash, SystemRandomness};
use crate::store::{Action, Change};

/// What a new key shall open.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum NewScope {
    /// Every agent of the organization.
    Organization {},
    /// One agent.
    Agent {
        /// Its slug or id.
        agent: String,
    },
}

/// A key to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKey {
    /// What people call it.
    pub name: Name,
    /// What it opens; fixed from now on.
    pub scope: NewScope,
    /// Which methods it may use; fixed from now on.
    #[serde(default)]
    pub access: Access,
    /// From when on it is refused; never, unless set.
    #[serde(default, deserialize_with = "instant")]
    pub expires_at: Option<UnixMillis>,
    /// Its own limits.
    #[serde(default)]
    pub limits: Option<Limits>,
}

/// What to change of a key; what is absent stays. Never its scope.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyPatch {
    /// What people call it.
    pub name: Option<Name>,
    /// Its own limits, as a whole; null or `{}` for none.
    #[serde(default, deserialize_with = "present")]
    pub limits: Option<Option<Limits>>,
    /// From when on it is refused; null for never.
    #[serde(default, deserialize_with = "present_instant")]
    pub expires_at: Option<Option<UnixMillis>>,
    /// Whether it is refused until enabled again.
    pub disabled: Option<bool>,
}

/// A key just made, with the only copy of its secret there will ever be.
#[derive(Debug)]
pub struct CreatedKey {
    /// The key.
    pub key: KeyView,
    /// Its secret.
    pub secret: Secret,
}

impl Operations {
    /// A page of an organization's keys.
    ///
    /// # Errors
    /// Where there is no such organization, or the database does not answer.
    pub async fn list_keys(
        &self,
        _caller: &Caller,
        organization: &str,
        after: Option<KeyId>,
        limit: u32,
    ) -> Result<KeyPage, Refused> {
        let database = &self.0.database;
        let organization = self.organization_of(organization).await?;
        let mut found = database.keys(organization.id, after, limit.saturating_add(1)).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = if more { found.last().map(|last| last.id.to_string()) } else { None };
        let agents = database.agents(organization.id, None, AGENTS_MAX).await?;
        let slug = |id: AgentId| agents.iter().find(|agent| agent.id == id).map(|agent| agent.slug.clone());
        let items = found
            .into_iter()
            .filter_map(|key| match key.scope {
                Scope::Organization => Some(KeyView::new(key, None)),
                // Between the two reads the agent may have been deleted, and its keys with it.
                Scope::Agent(agent) => slug(agent).map(|slug| KeyView::new(key, Some(slug))),
            })
            .collect();
        let count = database.key_count(organization.id).await?;
        Ok(KeyPage { items, next, count, cap: self.0.keys_per_organization })
    }

    /// One key.
    ///
    /// # Errors
    /// Where there is none, or the database does not answer.
    pub async fn read_key(
        &self,
        _caller: &Caller,
        organization: &str,
        key: &str,
    ) -> Result<KeyView, Refused> {
        let database = &self.0.database;
        let id: KeyId = key.parse().map_err(|_| Refused::NotFound)?;
        let organization = self.organization_of(organization).await?;
        let (key, _) = database.key(organization.id, id).await?.ok_or(Refused::NotFound)?;
        let agent = match key.scope {
            Scope::Organization => None,
            Scope::Agent(agent) => {
                let agent = database.agent(organization.id, &agent.to_string()).await?;
                Some(agent.ok_or(Refused::NotFound)?.slug)
            }
        };
        Ok(KeyView::new(key, agent))
    }

    /// Creates a key. It opens the way when this returns.
    ///
    /// # Errors
    /// Where there is no such organization or agent, the organization has as many keys as it may have, a field breaks
    /// a rule, or the database does not do it.
    pub async fn create_key(
        &self,
        caller: &Caller,
        organization: &str,
        new: NewKey,
    ) -> Result<CreatedKey, Refused> {
        let limits = new.limits.unwrap_or_default();
        check_limits(&limits)?;
        self.check_expiry(new.expires_at)?;
        let secret = self.0.key_format.generate(&mut SystemRandomness)?;
        let (caller, reference) = (caller.clone(), organization.to_owned());
        self.complete(async move |parts| {
            let _order = parts.order.lock().await;
            let mut change = parts.database.change(caller.name()).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            let (scope, agent) = match new.scope {
                NewScope::Organization {} => (Scope::Organization, None),
                NewScope::Agent { agent } => {
                    let found = change.agent(organization.id, &agent).await?;
                    let agent = found.ok_or_else(|| Refused::field("/scope/agent", "no such agent"))?;
                    (Scope::Agent(agent.id), Some(agent.slug))
                }
            };
            // No other change runs until this one ends, so the count still holds when it commits.
            let cap = parts.keys_per_organization;
            if change.key_count(organization.id).await? >= u64::from(cap) {
                return Err(Refused::KeysAtCap { cap });
            }
            let key = Key {
                id: KeyId::generate(),
                organization: organization.id,
                name: new.name,
                scope,
                access: new.access,
                hint: secret.hint(),
                created_at: change.at(),
                created_by: change.actor().to_owned(),
                last_used_at: None,
                expires_at: new.expires_at,
                disabled: false,
                limits,
                revision: 1,
            };
            change.insert_key(&key, secret.hash()).await?;
            let id = key.id.to_string();
            change.note(Action::KeyCreated, &id, key.name.as_str(), Some(organization.id)).await?;
            change.commit().await?;
            parts.put_keys(organization.id, &[(key.clone(), secret.hash())]);
            Ok(CreatedKey { key: KeyView::new(key, agent), secret })
        })
        .await
    }

    /// Changes a key. What it says holds when this returns; disabling cuts what the key had running.
    ///
    /// # Errors
    /// Where there is none, it is not as `expected`, a field breaks a rule, or the database does not do it.
    pub async fn change_key(
        &self,
        caller: &Caller,
        organization: &str,
        key: &str,
        expected: Expected,
        patch: KeyPatch,
    ) -> Result<KeyView, Refused> {
        let id: KeyId = key.parse().map_err(|_| Refused::NotFound)?;
        if let Some(Some(limits)) = &patch.limits {
            check_limits(limits)?;
        }
        self.check_expiry(patch.expires_at.flatten())?;
        let (caller, reference) = (caller.clone(), organization.to_owned());
        self.complete(async move |parts| {
            let _order = parts.order.lock().await;
            let mut change = parts.database.change(caller.name()).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            let (before, hash) = change.key(organization.id, id).await?.ok_or(Refused::NotFound)?;
            expected.check(&EntityTag::of(&before.id, before.revision))?;
            let agent = agent_slug(&mut change, &before).await?;
            let mut after = patched(&before, patch);
            if after == before {
                return Ok(KeyView::new(before, agent));
            }
            after.revision += 1;
            change.update_key(&after).await?;
            let name = after.name.as_str();
            change.note(Action::KeyChanged, &id.to_string(), name, Some(organization.id)).await?;
            change.commit().await?;
            parts.put_keys(organization.id, &[(after.clone(), hash)]);
            if after.disabled && !before.disabled {
                parts.keys.cut(&[after.id]).await;
            }
            Ok(KeyView::new(after, agent))
        })
        .await
    }

    /// Deletes a key. When this returns no gateway admits it, and what it had running is cut.
    ///
    /// # Errors
    /// Where there is none, it is not as `expected`, or the database does not do it.
    pub async fn delete_key(
        &self,
        caller: &Caller,
        organization: &str,
        key: &str,
        expected: Expected,
    ) -> Result<RevocationView, Refused> {
        let id: KeyId = key.parse().map_err(|_| Refused::NotFound)?;
        let (caller, reference) = (caller.clone(), organization.to_owned());
        self.complete(async move |parts| {
            let started = parts.clock.now();
            let _order = parts.order.lock().await;
            let mut change = parts.database.change(caller.name()).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            let found = change.key(organization.id, id).await?.ok_or(Refused::NotFound)?;
            expected.check(&EntityTag::of(&id, found.0.revision))?;
            let keys = [found];
            parts.delete_keys(&mut change, &keys).await?;
            change.commit().await?;
            Ok(parts.revoke(&keys, started).await)
        })
        .await
    }

    fn check_expiry(&self, expires_at: Option<UnixMillis>) -> Result<(), Refused> {
        match expires_at {
            Some(instant) if instant <= self.0.clock.now().unix => {
                Err(Refused::field("/expiresAt", "expected an instant in the future"))
            }
            _ => Ok(()),
        }
    }
}

impl Parts {
    /// Deletes `keys` within `change`.
    pub(super) async fn delete_keys(
        &self,
        change: &mut Change,
        keys: &[(Key, SecretHash)],
    ) -> Result<(), Refused> {
        for (key, _) in keys {
            change.delete_key(key.id).await?;
            let id = key.id.to_string();
            change.note(Action::KeyDeleted, &id, key.name.as_str(), Some(key.organization)).await?;
        }
        Ok(())
    }

    /// Ends keys whose deletion is committed, and says how far that got since `started`.
    pub(super) async fn revoke(&self, keys: &[(Key, SecretHash)], started: Moment) -> RevocationView {
        let report = self.keys.revoke(&ids_and_hashes(keys)).await;
        let now = self.clock.now();
        // The keys are out of the table either way; what may be left is a worker that has not yet said it cut.
        let complete = report.workers_awaited == 0;
        RevocationView {
            state: if complete { RevocationState::Complete } else { RevocationState::Pending },
            gateways: report.gateways,
            confirmed: if complete { report.gateways } else { 0 },
            awaiting: if complete { Vec::new() } else { vec!["this gateway".to_owned()] },
            took_ms: now.nanos_since(started) / 1_000_000,
            effective_by: Instant(now.unix),
        }
    }
}

async fn agent_slug(change: &mut Change, key: &Key) -> Result<Option<Slug>, Refused> {
    let Scope::Agent(agent) = key.scope else { return Ok(None) };
    let agent = change.agent(key.organization, &agent.to_string()).await?;
    Ok(agent.map(|agent| agent.slug))
}

fn patched(before: &Key, patch: KeyPatch) -> Key {
    let kept = before.clone();
    Key {
        name: patch.name.unwrap_or(kept.name),
        limits: patch.limits.map_or(kept.limits, Option::unwrap_or_default),
        expires_at: patch.expires_at.unwrap_or(kept.expires_at),
        disabled: patch.disabled.unwrap_or(kept.disabled),
        ..kept
    }
}
