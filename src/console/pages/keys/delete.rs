//! `/orgs/{org}/keys/{key}/delete`: what is lost, asked once, and by its name where the key is in use.
//!
//! Promises that the name is asked for here and not only in the browser, and that what is said afterwards is what the
//! gateways confirmed.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::RECENT_MS;
use crate::console::operations::{Caller, Expected, Operations, Refused};
use crate::console::pages::chart::counted;
use crate::console::pages::failure::Failure;
use crate::console::pages::form::{Filled, Problems};
use crate::console::pages::notice;
use crate::console::pages::scope::{AgentNames, ScopeWords};
use crate::console::pages::shell::{Place, Shell};
use crate::console::pages::time::Stamp;
use crate::console::pages::{page, see_other};
use crate::console::session::Visitor;
use crate::console::view::{KeyView, Tagged};

/// The form, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeleteForm {
    tag: String,
    typed: String,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "key_delete.html")]
struct DeletePage {
    shell: Shell,
    back: String,
    address: String,
    key: KeyView,
    tag: String,
    scope: ScopeWords,
    used: Option<Stamp>,
    today: String,
    /// Whether the name is to be typed.
    is_typed: bool,
    typed: String,
    problems: Problems,
}

pub(super) async fn ask(
    Visitor(visitor): Visitor,
    State(operations): State<Operations>,
    Path((organization, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let asking = Asking::read(&operations, &visitor.caller, &organization, &id).await?;
    Ok(asking.page(StatusCode::OK, String::new(), Problems::none()))
}

pub(super) async fn delete(
    Visitor(visitor): Visitor,
    State(operations): State<Operations>,
    Path((organization, id)): Path<(String, String)>,
    Filled(form): Filled<DeleteForm>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let asking = Asking::read(&operations, caller, &organization, &id).await?;
    if asking.is_recent() && form.typed.trim() != asking.key.name.as_str() {
        let wrong = Problems::one("typed", "Expected the key’s name, exactly as it stands above.");
        return Ok(asking.page(StatusCode::UNPROCESSABLE_ENTITY, form.typed, wrong));
    }
    let expected = Expected::OneOf(vec![form.tag.clone()]);
    match operations.delete_key(caller, &organization, &id, expected).await {
        Ok(revocation) => {
            let said = notice::revoked(&revocation, false);
            Ok(see_other(&format!("/orgs/{}/keys?{said}", asking.shell.slug())))
        }
        Err(Refused::Stale) => {
            let changed =
                "Somebody changed this key after you opened it, so it was not deleted. Look at it again.";
            Ok(asking.page(StatusCode::PRECONDITION_FAILED, String::new(), Problems::one("form", changed)))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// What the question says.
struct Asking {
    shell: Shell,
    key: KeyView,
    scope: ScopeWords,
    today: u64,
}

impl Asking {
    async fn read(
        operations: &Operations,
        caller: &Caller,
        organization: &str,
        id: &str,
    ) -> Result<Asking, Failure> {
        let shell = Shell::read(operations, caller, Some(organization), Place::Keys).await?;
        let key = operations.read_key(caller, organization, id).await?;
        let today = operations.requests_today(caller, organization, id).await?;
        let scope = AgentNames::read(operations, caller, organization).await?.scope(&key.scope);
        Ok(Asking { shell, key, scope, today })
    }

    /// Whether the key was used in the last 24 hours.
    fn is_recent(&self) -> bool {
        let now = self.shell.reading.now();
        self.key.last_used_at.is_some_and(|used| now.0.saturating_sub(used.0.0) < RECENT_MS)
    }

    fn page(self, status: StatusCode, typed: String, problems: Problems) -> Response {
        let back = format!("/orgs/{}/keys", self.shell.slug());
        let is_typed = self.is_recent();
        let asked = DeletePage {
            address: format!("{back}/{}", self.key.id),
            back,
            tag: self.key.tag().as_str().to_owned(),
            scope: self.scope,
            used: self.key.last_used_at.map(|used| self.shell.reading.relative(used.0)),
            today: counted(self.today, "request", "requests"),
            is_typed,
            typed,
            problems,
            shell: self.shell,
            key: self.key,
        };
        page(status, &asked)
    }
}
