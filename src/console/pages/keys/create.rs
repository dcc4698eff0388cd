//! `/orgs/{org}/keys/new`: the form, and the one answer that shows a secret.
//!
//! Promises that a form sent twice makes one key: its one-time token is spent with the key, and the second answer says
//! that the key is there.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use uuid::Uuid;

use super::all_keys;
use super::limits::{FIELDS, LimitFields};
use crate::console::Site;
use crate::console::operations::{Caller, CreatedKey, NewKey, NewScope, Once, Operations, Refused};
use crate::console::pages::curl;
use crate::console::pages::failure::Failure;
use crate::console::pages::form::{Filled, Problems};
use crate::console::pages::page;
use crate::console::pages::scope::{AgentNames, ScopeWords, labelled};
use crate::console::pages::shell::{Place, Shell};
use crate::console::pages::time::Stamp;
use crate::console::session::Visitor;
use crate::console::view::{AgentView, KeyView, ScopeView};
use crate::domain::limit::Limits;
use crate::domain::name::Name;
use crate::domain::role::Role;
use crate::domain::scope::Access;

/// Agents offered at most: as many as an organization may have.
const AGENTS_MAX: u32 = 1_000;

/// The form, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct NewKeyForm {
    once: String,
    name: String,
    scope: String,
    agent: String,
    access: String,
    #[serde(flatten)]
    limits: LimitFields,
}

/// An agent to choose.
struct AgentChoice {
    slug: String,
    label: String,
}

impl AgentChoice {
    fn of(agent: &AgentView) -> AgentChoice {
        AgentChoice { slug: agent.slug.to_string(), label: labelled(agent.name.as_str(), &agent.slug) }
    }
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "key_new.html")]
struct NewKeyPage {
    shell: Shell,
    back: String,
    organization: Name,
    defaults: Limits,
    agents: Vec<AgentChoice>,
    /// Whether the person may make keys of the whole organization.
    may_all: bool,
    is_full: bool,
    cap: u32,
    form: NewKeyForm,
    problems: Problems,
    is_more_open: bool,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "key_secret.html")]
struct SecretPage<'a> {
    shell: Shell,
    back: String,
    key: &'a KeyView,
    scope: ScopeWords,
    secret: &'a str,
    curl: String,
    expires: Option<Stamp>,
    is_read_only: bool,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "key_done.html")]
struct DonePage {
    shell: Shell,
    back: String,
}

pub(super) async fn ask(
    Visitor(visitor): Visitor,
    State(operations): State<Operations>,
    Path(organization): Path<String>,
) -> Result<Response, Failure> {
    let form = NewKeyForm { once: Uuid::now_v7().to_string(), ..NewKeyForm::default() };
    let shown = Asking::read(&operations, &visitor.caller, &organization).await?;
    Ok(shown.page(StatusCode::OK, form, Problems::none()))
}

pub(super) async fn make(
    Visitor(visitor): Visitor,
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Path(organization): Path<String>,
    Filled(form): Filled<NewKeyForm>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let asking = Asking::read(&operations, caller, &organization).await?;
    let new = match form.read(&asking.shell) {
        Ok(new) => new,
        Err(problems) => return Ok(asking.page(StatusCode::UNPROCESSABLE_ENTITY, form, problems)),
    };
    match operations.create_key(caller, &organization, new).await {
        Ok(created) => Ok(asking.secret(&created, &site)),
        Err(Refused::Invalid(found)) => {
            let problems = Problems::from_fields(found, |pointer| match pointer {
                "/name" => Some("name"),
                "/scope" => Some("scope"),
                "/scope/agent" => Some("agent"),
                other => form.limits.field(other),
            });
            Ok(asking.page(StatusCode::UNPROCESSABLE_ENTITY, form, problems))
        }
        Err(Refused::KeysAtCap { cap }) => {
            let full = Asking { is_full: true, cap, ..asking };
            Ok(full.page(StatusCode::CONFLICT, form, Problems::none()))
        }
        Err(Refused::AlreadyDone) => {
            let done = DonePage { back: asking.back(), shell: asking.shell };
            Ok(page(StatusCode::CONFLICT, &done))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// What the form needs to know.
struct Asking {
    shell: Shell,
    agents: Vec<AgentView>,
    is_full: bool,
    cap: u32,
}

impl Asking {
    async fn read(operations: &Operations, caller: &Caller, organization: &str) -> Result<Asking, Failure> {
        let shell = Shell::read(operations, caller, Some(organization), Place::Keys).await?;
        let keys = all_keys(operations, caller, organization).await?;
        let agents = operations.list_agents(caller, organization, None, AGENTS_MAX).await?.items;
        Ok(Asking { shell, agents, is_full: keys.is_full, cap: keys.cap })
    }

    fn back(&self) -> String {
        format!("/orgs/{}/keys", self.shell.slug())
    }

    fn page(self, status: StatusCode, mut form: NewKeyForm, problems: Problems) -> Response {
        let Some(organization) = &self.shell.organization else { return super::super::not_found() };
        if form.scope.is_empty() && self.agents.is_empty() {
            form.scope = "organization".to_owned();
        }
        form.limits.suggest(&organization.effective_limits);
        let is_more_open = form.limits.is_written() || form.access == "read" || problems.any_of(&FIELDS);
        let asked = NewKeyPage {
            back: self.back(),
            organization: organization.name.clone(),
            defaults: organization.effective_limits.clone(),
            may_all: self.shell.role != Role::AgentAdmin,
            shell: self.shell,
            agents: self.agents.iter().map(AgentChoice::of).collect(),
            is_full: self.is_full,
            cap: self.cap,
            form,
            problems,
            is_more_open,
        };
        page(status, &asked)
    }

    fn secret(self, created: &CreatedKey, site: &Site) -> Response {
        let key = &created.key;
        let agent = match &key.scope {
            ScopeView::Organization => None,
            ScopeView::Agent { agent } => Some(agent),
        };
        let is_read_only = key.access == Access::Read;
        let example = self.agents.first().map(|agent| &agent.slug);
        let opens = curl::Opens { agent, example, is_read_only };
        let secret = created.secret.expose();
        let shown = SecretPage {
            back: self.back(),
            scope: AgentNames::of(&self.agents).scope(&key.scope),
            key,
            secret,
            curl: curl::line(secret, &site.gateway_url, &site.routes.load(), opens),
            expires: key.expires_at.map(|at| self.shell.reading.date_time(at.0)),
            is_read_only,
            shell: self.shell,
        };
        page(StatusCode::OK, &shown)
    }
}

impl NewKeyForm {
    /// The key that the form asks for, or what is wrong with it.
    fn read(&self, shell: &Shell) -> Result<NewKey, Problems> {
        let mut problems = Problems::none();
        let name = self.name.parse::<Name>();
        if let Err(error) = &name {
            problems.add("name", crate::console::pages::form::sentence(&error.to_string()));
        }
        let scope = match self.scope.as_str() {
            "organization" => Some(NewScope::Organization {}),
            "agent" if !self.agent.is_empty() => Some(NewScope::Agent { agent: self.agent.clone() }),
            "agent" => {
                problems.add("agent", "Choose the agent that the key opens.");
                None
            }
            _ => {
                problems.add("scope", "Choose what the key opens.");
                None
            }
        };
        let access = if self.access == "read" { Access::Read } else { Access::All };
        let expires_at = self.limits.expiry(&shell.reading, &mut problems);
        let limits = self.limits.limits(&Limits::default(), &mut problems);
        match (name, scope) {
            (Ok(name), Some(scope)) if problems.is_empty() => {
                let limits = Some(limits).filter(|limits| !limits.is_empty());
                let once = (!self.once.is_empty()).then(|| Once::of(&self.once));
                Ok(NewKey { name, scope, access, expires_at, limits, once })
            }
            _ => Err(problems),
        }
    }
}
