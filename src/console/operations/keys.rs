//! Keys: made, shown, changed, and ended everywhere before the answer says so.
//!
//! Promises that a secret exists in one place, the answer to its creation; that an organization never has more keys
//! than its cap; and that a deleted key is refused when the deletion is answered.

use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Reach;
use super::fields::{changed, limits_text};
use super::input::{instant, present, present_instant};
use super::refused::check_limits;
use super::{AGENTS_MAX, Caller, Expected, Operations, Parts, Refused};
use crate::console::view::{EntityTag, KeyPage, KeyView, Page, RevocationView};
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, KeyId};
use crate::domain::key::Key;
use crate::domain::limit::Limits;
use crate::domain::name::{Name, Slug};
use crate::domain::object::Object;
use crate::domain::organization::Organization;
use crate::domain::scope::{Access, Scope};
use crate::domain::secret::{Secret, SecretHash, SystemRandomness};
use crate::store::{Action, Change};

/// What a new key shall open.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Object<WrittenScope>")]
pub enum NewScope {
    /// Every agent of the organization.
    Organization {},
    /// One agent.
    Agent {
        /// Its slug or id.
        agent: String,
    },
}

/// A scope as written. Not an enum with a tag: where that is wrong, it cannot be told in which field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenScope {
    r#type: WrittenKind,
    agent: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenKind {
    Organization,
    Agent,
}

impl TryFrom<Object<WrittenScope>> for NewScope {
    type Error = &'static str;

    fn try_from(Object(written): Object<WrittenScope>) -> Result<NewScope, &'static str> {
        match (written.r#type, written.agent) {
            (WrittenKind::Organization, None) => Ok(NewScope::Organization {}),
            (WrittenKind::Organization, Some(_)) => {
                Err("unknown field `agent`, which is for a key of one agent")
            }
            (WrittenKind::Agent, Some(agent)) => Ok(NewScope::Agent { agent }),
            (WrittenKind::Agent, None) => Err("missing field `agent`"),
        }
    }
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
    /// The form that asks for it, which is not answered twice.
    #[serde(skip)]
    pub once: Option<Once>,
}

/// What tells one form from another: made when the form is shown, used up when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once(SecretHash);

impl Once {
    /// Of the text that the form carries.
    pub fn of(text: &str) -> Once {
        Once(SecretHash::of(text.as_bytes()))
    }
}

/// How long a form that was sent is remembered: longer than a page that shows it is kept open.
const FORM_LIFETIME_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// What to change of a key; what is absent stays. Never its scope.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Name, required = false)]
    pub name: Option<Name>,
    /// Its own limits, as a whole; null or `{}` for none.
    #[serde(default, deserialize_with = "present")]
    pub limits: Option<Option<Limits>>,
    /// From when on it is refused; null for never.
    #[serde(default, deserialize_with = "present_instant")]
    pub expires_at: Option<Option<UnixMillis>>,
    /// Whether it is refused until enabled again.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = bool, required = false)]
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
    /// A page of an organization's keys; an agent admin sees those of their agents.
    ///
    /// # Errors
    /// Where there is no such organization, or the database does not answer.
    pub async fn list_keys(
        &self,
        caller: &Caller,
        organization: &str,
        after: Option<KeyId>,
        limit: u32,
    ) -> Result<KeyPage, Refused> {
        let database = &self.0.database;
        let organization = self.organization_of(organization).await?;
        let reach = caller.reach(organization.id)?;
        let all = database.key_count(organization.id).await?;
        let (found, count) = match &reach {
            Reach::Operator | Reach::OrganizationAdmin => {
                (database.keys(organization.id, after, limit.saturating_add(1)).await?, all)
            }
            Reach::AgentAdmin(_) => {
                let mut own = database.keys(organization.id, None, u32::MAX).await?;
                own.retain(|key| reach.covers(key.scope));
                let count = own.len() as u64;
                own.retain(|key| after.is_none_or(|after| key.id > after));
                (own, count)
            }
        };
        let agents = database.agents(organization.id, None, AGENTS_MAX).await?;
        let slug = |id: AgentId| agents.iter().find(|agent| agent.id == id).map(|agent| agent.slug.clone());
        let view = |key: Key| match key.scope {
            Scope::Organization => Some(KeyView::new(key, None)),
            // Between the two reads the agent may have been deleted, and its keys with it.
            Scope::Agent(agent) => slug(agent).map(|slug| KeyView::new(key, Some(slug))),
        };
        let page = Page::of(found, limit, |key| key.id.to_string(), view);
        let cap = self.0.rules.keys_per_organization;
        Ok(KeyPage {
            items: page.items.into_iter().flatten().collect(),
            next: page.next,
            count,
            cap,
            at_cap: all >= u64::from(cap),
        })
    }

    /// One key.
    ///
    /// # Errors
    /// Where there is none, or the database does not answer.
    pub async fn read_key(&self, caller: &Caller, organization: &str, key: &str) -> Result<KeyView, Refused> {
        let database = &self.0.database;
        let id: KeyId = key.parse().map_err(|_| Refused::NotFound)?;
        let organization = self.organization_of(organization).await?;
        let reach = caller.reach(organization.id)?;
        let (key, _) = database.key(organization.id, id).await?.ok_or(Refused::NotFound)?;
        reach.must_cover(&key)?;
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
        let secret = self.0.rules.key_format.generate(&mut SystemRandomness)?;
        let (caller, reference) = (caller.clone(), organization.to_owned());
        self.complete(async move |parts| {
            let _order = parts.in_force.order().await;
            let (mut change, caller) = parts.begin(&caller).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            let reach = caller.reach(organization.id)?;
            let (scope, agent) = match new.scope {
                NewScope::Organization {} => {
                    reach.must_administer()?;
                    (Scope::Organization, None)
                }
                NewScope::Agent { agent } => {
                    let found = change.agent(organization.id, &agent).await?;
                    let agent = found.filter(|agent| reach.sees_agent(agent.id));
                    let agent = agent.ok_or_else(|| Refused::field("/scope/agent", "no such agent"))?;
                    (Scope::Agent(agent.id), Some(agent.slug))
                }
            };
            reach.must_narrow(&limits, &parts.given(&organization))?;
            if let Some(Once(hash)) = new.once {
                let forget_before = UnixMillis(change.at().0.saturating_sub(FORM_LIFETIME_MS));
                change.insert_form(hash, forget_before).await.map_err(Refused::already_done)?;
            }
            // No other change runs until this one ends, so the count still holds when it commits.
            let cap = parts.rules.keys_per_organization;
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
            let seq = change.commit().await?;
            parts.in_force.add_key(seq, &key, secret.hash()).await;
            Ok(CreatedKey { key: KeyView::new(key, agent), secret })
        })
        .await
    }

    /// Changes a key. What it says holds when this returns; disabling cuts what the key had running.
    ///
    /// # Errors
    /// Where there is none, it is not as `expected`, a field breaks a rule or widens what the organization gives, or the database does not do it.
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
            let _order = parts.in_force.order().await;
            let (mut change, caller) = parts.begin(&caller).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            let reach = caller.reach(organization.id)?;
            let (before, hash) = change.key(organization.id, id).await?.ok_or(Refused::NotFound)?;
            reach.must_cover(&before)?;
            expected.check(&EntityTag::of(&before.id, before.revision))?;
            let agent = agent_slug(&mut change, &before).await?;
            let mut after = patched(&before, patch);
            if after == before {
                return Ok(KeyView::new(before, agent));
            }
            if after.limits != before.limits {
                reach.must_narrow(&after.limits, &parts.given(&organization))?;
            }
            after.revision += 1;
            change.update_key(&after).await?;
            let fields = changed(["name", "limits", "expiresAt", "disabled"], texts(&before), texts(&after));
            let (action, name) = (Action::KeyChanged, after.name.as_str());
            change.note_fields(action, &id.to_string(), name, Some(organization.id), &fields).await?;
            let seq = change.commit().await?;
            parts.in_force.change_key(seq, &before, &after, hash).await;
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
            let _order = parts.in_force.order().await;
            let (mut change, caller) = parts.begin(&caller).await?;
            let organization = change.organization(&reference).await?.ok_or(Refused::NotFound)?;
            let reach = caller.reach(organization.id)?;
            let found = change.key(organization.id, id).await?.ok_or(Refused::NotFound)?;
            reach.must_cover(&found.0)?;
            expected.check(&EntityTag::of(&id, found.0.revision))?;
            let keys = [found];
            parts.delete_keys(&mut change, &keys).await?;
            let seq = change.commit().await?;
            Ok(parts.in_force.revoke(seq, &keys, started, &parts.clock).await)
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
    /// What an organization gives its keys: its own defaults, else the configuration's.
    fn given(&self, organization: &Organization) -> Limits {
        organization.limits.or(&self.in_force.defaults())
    }
}

async fn agent_slug(change: &mut Change, key: &Key) -> Result<Option<Slug>, Refused> {
    let Scope::Agent(agent) = key.scope else { return Ok(None) };
    let agent = change.agent(key.organization, &agent.to_string()).await?;
    Ok(agent.map(|agent| agent.slug))
}

fn texts(key: &Key) -> [Option<String>; 4] {
    let limits = (!key.limits.is_empty()).then(|| limits_text(&key.limits));
    let expires_at = key.expires_at.map(UnixMillis::to_rfc3339);
    [Some(key.name.to_string()), limits, expires_at, Some(key.disabled.to_string())]
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
