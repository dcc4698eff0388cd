//! `/settings` and `/orgs/{org}/settings`: what a person may change of themselves, where they are signed in, and what
//! their organization is.
//!
//! Promises that passwords are in no page, and that who changed theirs goes on in a new session while all others end.

mod browser;
mod organization;
mod show;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::form::{Filled, sentence};
use super::refusal::wrong;
use super::see_other;
use crate::console::operations::{Operations, PasswordChange, ProfilePatch, Refused, Whence};
use crate::console::session::{self, Visitor};
use crate::console::{Shared, Site};
use crate::domain::name::Name;
use crate::domain::zone::Zone;
use show::{PasswordWrong, Profile, Shown};

/// The pages of settings.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/settings", get(show::without_organization))
        .route("/orgs/{org}/settings", get(show::of_organization).post(organization::change))
        .route("/settings/profile", post(change_profile))
        .route("/settings/password", post(change_password))
        .route("/settings/sessions/end", post(end_sessions))
}

/// The page that a form was on: that of an organization, or the one without.
fn address(organization: &str) -> Result<String, Failure> {
    let is_reference = organization.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match organization {
        "" => Ok("/settings".to_owned()),
        reference if is_reference => Ok(format!("/orgs/{reference}/settings")),
        _ => Err(Failure::Malformed),
    }
}

#[derive(Debug, Deserialize)]
struct ProfileFields {
    #[serde(default)]
    organization: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    time_zone: String,
}

async fn change_profile(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Filled(fields): Filled<ProfileFields>,
) -> Result<Response, Failure> {
    let address = address(&fields.organization)?;
    let time_zone = match fields.time_zone.as_str() {
        "" => None,
        written => Some(written.parse::<Zone>().map_err(|_| Failure::Malformed)?),
    };
    let name = match fields.name.trim() {
        "" => Ok(None),
        written => written.parse::<Name>().map(Some),
    };
    match name {
        Ok(name) => {
            let patch = ProfilePatch { name: Some(name), time_zone: Some(time_zone) };
            operations.change_profile(&visitor.caller, patch).await?;
            Ok(see_other(&format!("{address}?done=saved")))
        }
        Err(error) => {
            let profile = Profile {
                name: fields.name,
                name_wrong: Some(sentence(&error.to_string())),
                zone: fields.time_zone,
            };
            let shown = Shown { profile: Some(profile), ..Shown::default() };
            show::again(&operations, &visitor, &fields.organization, shown).await
        }
    }
}

#[derive(Deserialize)]
struct PasswordFields {
    #[serde(default)]
    organization: String,
    #[serde(default)]
    current: String,
    #[serde(default)]
    new: String,
}

async fn change_password(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Visitor(visitor): Visitor,
    from: Whence,
    Filled(fields): Filled<PasswordFields>,
) -> Result<Response, Failure> {
    let address = address(&fields.organization)?;
    let passwords =
        PasswordChange { current: Zeroizing::new(fields.current), new: Zeroizing::new(fields.new) };
    let told = match operations.change_password(&visitor.caller, passwords, from).await {
        Ok(begun) => {
            let response = see_other(&format!("{address}?done=password-changed"));
            return Ok(session::begin(response, &site, &begun));
        }
        Err(Refused::Invalid(problems)) => {
            PasswordWrong { current: wrong(&problems, "/current"), new: wrong(&problems, "/new") }
        }
        Err(refused @ (Refused::TooManyAttempts { .. } | Refused::Busy)) => {
            PasswordWrong { current: Some(sentence(&refused.to_string())), new: None }
        }
        Err(refused) => return Err(refused.into()),
    };
    let shown = Shown { password: told, ..Shown::default() };
    show::again(&operations, &visitor, &fields.organization, shown).await
}

#[derive(Debug, Deserialize)]
struct SessionFields {
    #[serde(default)]
    organization: String,
    /// One session.
    id: Option<String>,
    /// Every one, this one too.
    #[serde(default)]
    all: bool,
}

async fn end_sessions(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Visitor(visitor): Visitor,
    Filled(fields): Filled<SessionFields>,
) -> Result<Response, Failure> {
    let address = address(&fields.organization)?;
    if fields.all {
        operations.sign_out_everywhere(&visitor.caller).await?;
        return Ok(session::end(see_other("/sign-in"), &site));
    }
    let id = fields.id.ok_or(Failure::Malformed)?;
    match operations.end_session(&visitor.caller, &id).await {
        // What is over already is over.
        Ok(()) | Err(Refused::NotFound) => Ok(see_other(&format!("{address}?done=sessions-ended"))),
        Err(refused) => Err(refused.into()),
    }
}
