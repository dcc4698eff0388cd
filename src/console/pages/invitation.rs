//! `/invitations/{token}`: an invited person sees where to and as what, and chooses a password.
//!
//! Promises that a link which is over, was used or never was looks the same.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::form::{Filled, Problems};
use super::shell::member_role_in_a_sentence;
use super::sign_in::{refusal, retry_after};
use super::time::{Reading, Stamp};
use super::{page, see_other};
use crate::console::Site;
use crate::console::operations::{Acceptance, Operations, PASSWORD_CHARS_MIN, Refused, Whence};
use crate::console::session;
use crate::console::view::InvitationView;
use crate::domain::zone::Zone;

/// The form, as written.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AcceptanceForm {
    password: String,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "invitation.html")]
struct InvitationPage<'a> {
    invitation: InvitationView,
    role: &'static str,
    until: Stamp,
    token: &'a str,
    chars_min: usize,
    may_sign_in: bool,
    with_openid: bool,
    problems: Problems,
}

pub(super) async fn show(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Path(token): Path<String>,
) -> Result<Response, Failure> {
    let invitation = read(&operations, &token).await?;
    Ok(asked(&operations, &site, invitation, &token, StatusCode::OK, Problems::none()))
}

pub(super) async fn accept(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Path(token): Path<String>,
    from: Whence,
    Filled(form): Filled<AcceptanceForm>,
) -> Result<Response, Failure> {
    let invitation = read(&operations, &token).await?;
    if !site.may_sign_in() {
        return Ok(asked(&operations, &site, invitation, &token, StatusCode::FORBIDDEN, Problems::none()));
    }
    let acceptance = Acceptance { password: Zeroizing::new(form.password) };
    let refused = match operations.accept_invitation(token.as_bytes(), acceptance, from).await {
        Ok(begun) => return Ok(session::begin(see_other("/"), &site, &begun)),
        Err(refused) => refused,
    };
    let (status, retry_after_s, problems) = match (refusal(&refused), refused) {
        (_, Refused::Invalid(found)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, None, Problems::from_fields(found, |_| Some("password")))
        }
        (Some((status, _)), Refused::SignInFailed) => {
            let known = "You have an account here already, with another password. Enter that one.";
            (status, None, Problems::one("password", known))
        }
        (Some((status, seconds)), refused) => {
            (status, seconds, Problems::one("form", super::form::sentence(&refused.to_string())))
        }
        (None, refused) => return Err(lost(refused)),
    };
    Ok(retry_after(asked(&operations, &site, invitation, &token, status, problems), retry_after_s))
}

async fn read(operations: &Operations, token: &str) -> Result<InvitationView, Failure> {
    operations.read_invitation(token.as_bytes()).await.map_err(lost)
}

fn lost(refused: Refused) -> Failure {
    if matches!(refused, Refused::NotFound) { Failure::InvitationOver } else { refused.into() }
}

fn asked(
    operations: &Operations,
    site: &Site,
    invitation: InvitationView,
    token: &str,
    status: StatusCode,
    problems: Problems,
) -> Response {
    let shown = InvitationPage {
        until: Reading::new(operations.now(), None, &Zone::utc()).date_time(invitation.until.0),
        role: member_role_in_a_sentence(invitation.role),
        invitation,
        token,
        chars_min: PASSWORD_CHARS_MIN,
        may_sign_in: site.may_sign_in(),
        with_openid: site.openid.is_some(),
        problems,
    };
    page(status, &shown)
}
