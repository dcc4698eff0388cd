//! `/orgs/{org}/keys/{key}/edit`: name, expiry, limits, and whether the key works at all. Never its scope.
//!
//! Promises that a change made for an older state of the key is not made, and that what was written is kept.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::limits::{FIELDS, LimitFields};
use crate::console::operations::{Expected, KeyPatch, Operations, Refused};
use crate::console::pages::failure::Failure;
use crate::console::pages::form::{Filled, Problems, sentence};
use crate::console::pages::scope::{AgentNames, ScopeWords};
use crate::console::pages::shell::{Place, Shell};
use crate::console::pages::{page, see_other};
use crate::console::session::Visitor;
use crate::console::view::{KeyView, Tagged};
use crate::domain::limit::Limits;
use crate::domain::name::Name;
use crate::domain::scope::Access;

/// The form, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct EditForm {
    tag: String,
    name: String,
    /// `yes` or `no` where one of the two buttons was pressed; else the form saves its fields.
    disabled: Option<String>,
    #[serde(flatten)]
    limits: LimitFields,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "key_edit.html")]
struct EditPage {
    shell: Shell,
    back: String,
    address: String,
    key: KeyView,
    scope: ScopeWords,
    is_read_only: bool,
    defaults: Limits,
    form: EditForm,
    problems: Problems,
    is_more_open: bool,
}

pub(super) async fn ask(
    Visitor(visitor): Visitor,
    State(operations): State<Operations>,
    Path((organization, key)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = Shell::read(&operations, caller, Some(&organization), Place::Keys).await?;
    let key = operations.read_key(caller, &organization, &key).await?;
    let scope = AgentNames::read(&operations, caller, &organization).await?.scope(&key.scope);
    let form = EditForm::of(&key, &shell);
    Ok(show(StatusCode::OK, shell, (key, scope), form, Problems::none()))
}

pub(super) async fn change(
    Visitor(visitor): Visitor,
    State(operations): State<Operations>,
    Path((organization, id)): Path<(String, String)>,
    Filled(mut form): Filled<EditForm>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = Shell::read(&operations, caller, Some(&organization), Place::Keys).await?;
    let key = operations.read_key(caller, &organization, &id).await?;
    let scope = AgentNames::read(&operations, caller, &organization).await?.scope(&key.scope);
    let patch = match form.patch(&key, &shell) {
        Ok(patch) => patch,
        Err(problems) => {
            return Ok(show(StatusCode::UNPROCESSABLE_ENTITY, shell, (key, scope), form, problems));
        }
    };
    let expected = Expected::OneOf(vec![form.tag.clone()]);
    match operations.change_key(caller, &organization, &id, expected, patch).await {
        Ok(_) => Ok(see_other(&format!("/orgs/{}/keys?done=saved", shell.slug()))),
        Err(Refused::Invalid(found)) => {
            let problems = Problems::from_fields(found, |pointer| match pointer {
                "/name" => Some("name"),
                other => form.limits.field(other),
            });
            Ok(show(StatusCode::UNPROCESSABLE_ENTITY, shell, (key, scope), form, problems))
        }
        Err(Refused::Stale) => {
            if form.disabled.is_some() {
                form = EditForm::of(&key, &shell);
            }
            form.tag = key.tag().as_str().to_owned();
            let problems = Problems::one(
                "form",
                "Somebody changed this key after you opened it, so nothing was saved. Saving again writes what \
                 stands here over their change; Cancel keeps theirs.",
            );
            Ok(show(StatusCode::PRECONDITION_FAILED, shell, (key, scope), form, problems))
        }
        Err(refused) => Err(refused.into()),
    }
}

fn show(
    status: StatusCode,
    shell: Shell,
    (key, scope): (KeyView, ScopeWords),
    mut form: EditForm,
    problems: Problems,
) -> Response {
    let defaults = shell.organization.as_ref().map(|here| here.effective_limits.clone()).unwrap_or_default();
    form.limits.suggest(&defaults);
    let back = format!("/orgs/{}/keys", shell.slug());
    let asked = EditPage {
        address: format!("{back}/{}", key.id),
        back,
        scope,
        is_read_only: key.access == Access::Read,
        defaults,
        is_more_open: problems.any_of(&FIELDS) || form.limits.is_written(),
        shell,
        key,
        form,
        problems,
    };
    page(status, &asked)
}

impl EditForm {
    fn of(key: &KeyView, shell: &Shell) -> EditForm {
        EditForm {
            tag: key.tag().as_str().to_owned(),
            name: key.name.to_string(),
            disabled: None,
            limits: LimitFields::of(&key.limits, key.expires_at.map(|at| at.0), &shell.reading),
        }
    }

    /// What to change of `key`, or what is wrong with the form.
    fn patch(&self, key: &KeyView, shell: &Shell) -> Result<KeyPatch, Problems> {
        if let Some(disabled) = &self.disabled {
            return Ok(KeyPatch { disabled: Some(disabled == "yes"), ..KeyPatch::default() });
        }
        let mut problems = Problems::none();
        let name = self.name.parse::<Name>();
        if let Err(error) = &name {
            problems.add("name", sentence(&error.to_string()));
        }
        let expires_at = self.limits.expiry(&shell.reading, &mut problems);
        let limits = self.limits.limits(&key.limits, &mut problems);
        // The field shows minutes: an expiry that was not touched keeps its seconds, and may have passed.
        let is_expiry_untouched = self.limits.expires == EditForm::of(key, shell).limits.expires;
        match name {
            Ok(name) if problems.is_empty() => Ok(KeyPatch {
                name: Some(name),
                limits: (limits != key.limits).then_some(Some(limits)),
                expires_at: (!is_expiry_untouched).then_some(expires_at),
                disabled: None,
            }),
            Ok(_) | Err(_) => Err(problems),
        }
    }
}
