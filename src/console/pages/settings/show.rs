//! The settings page itself, with whatever a form on it got wrong.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::browser;
use super::organization::{OrganizationForm, facts};
use crate::console::operations::{Operations, PASSWORD_CHARS_MIN, SignedIn};
use crate::console::pages::failure::Failure;
use crate::console::pages::notice::{Notice, Told};
use crate::console::pages::page;
use crate::console::pages::shell::{Place, Shell};
use crate::console::pages::time::{Reading, Stamp, zones};
use crate::console::session::Visitor;
use crate::console::view::{OrganizationView, SessionView};
use crate::domain::limit::Limits;
use crate::domain::role::Role;

/// What a form on the page said, where it has to be shown again.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) profile: Option<Profile>,
    pub(super) password: PasswordWrong,
    pub(super) organization: Option<OrganizationForm>,
}

/// The person's own fields.
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) name_wrong: Option<String>,
    /// Empty for the organization's.
    pub(super) zone: String,
}

/// What is wrong with the passwords; they themselves are never shown again.
#[derive(Debug, Default)]
pub(super) struct PasswordWrong {
    pub(super) current: Option<String>,
    pub(super) new: Option<String>,
}

impl PasswordWrong {
    fn is_none(&self) -> bool {
        self.current.is_none() && self.new.is_none()
    }
}

struct SessionRow {
    id: String,
    browser: String,
    is_current: bool,
    address: String,
    since: Stamp,
    seen: Stamp,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "settings.html")]
struct SettingsPage {
    email: String,
    profile: Profile,
    default_zone: String,
    zones: Vec<(String, Vec<String>)>,
    has_password: bool,
    password: PasswordWrong,
    password_chars_min: usize,
    sessions: Vec<SessionRow>,
    organization: Option<OrganizationView>,
    organization_form: Option<OrganizationForm>,
    facts: Vec<(&'static str, String)>,
    /// What an organization's defaults are laid over is the configuration's, which a page does not know.
    no_limits: Limits,
    shell: Shell,
}

pub(super) async fn without_organization(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Told(notice): Told,
) -> Result<Response, Failure> {
    render(&operations, &visitor, None, notice, Shown::default()).await
}

pub(super) async fn of_organization(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
    Told(notice): Told,
) -> Result<Response, Failure> {
    render(&operations, &visitor, Some(&org), notice, Shown::default()).await
}

/// The page that a form was on, with what it got wrong.
pub(super) async fn again(
    operations: &Operations,
    visitor: &SignedIn,
    organization: &str,
    shown: Shown,
) -> Result<Response, Failure> {
    let organization = Some(organization).filter(|organization| !organization.is_empty());
    render(operations, visitor, organization, None, shown).await
}

async fn render(
    operations: &Operations,
    visitor: &SignedIn,
    organization: Option<&str>,
    notice: Option<Notice>,
    shown: Shown,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = Shell::read(operations, caller, organization, Place::Settings).await?.saying(notice);
    let who = operations.read_session(caller).await?;
    let is_wrong = shown.profile.is_some() || !shown.password.is_none() || shown.organization.is_some();
    let sessions = operations.list_sessions(caller, Some(visitor.session)).await?;
    let organization = shell.organization.clone();
    let may_change = shell.role == Role::Operator;
    let own_form = organization.as_ref().filter(|_| may_change).map(OrganizationForm::of);
    let template = SettingsPage {
        email: who.email.map_or(who.name, |email| email.to_string()),
        profile: shown.profile.unwrap_or_else(|| Profile {
            name: who.display_name.map(|name| name.to_string()).unwrap_or_default(),
            name_wrong: None,
            zone: who.time_zone.map(|zone| zone.to_string()).unwrap_or_default(),
        }),
        default_zone: match &organization {
            Some(organization) => format!("The organization's ({})", organization.time_zone),
            None => "Each organization's own".to_owned(),
        },
        zones: zones(),
        has_password: who.has_password,
        password: shown.password,
        password_chars_min: PASSWORD_CHARS_MIN,
        sessions: sessions.into_iter().map(|session| row(session, &shell.reading)).collect(),
        facts: organization.as_ref().map(facts).unwrap_or_default(),
        organization_form: shown.organization.or(own_form),
        organization,
        no_limits: Limits::default(),
        shell,
    };
    let status = if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(page(status, &template))
}

fn row(session: SessionView, reading: &Reading) -> SessionRow {
    SessionRow {
        id: session.id.to_string(),
        browser: browser::words(&session.user_agent),
        is_current: session.current,
        address: session.address.unwrap_or_else(|| "unknown".to_owned()),
        since: reading.relative(session.created_at.0),
        seen: reading.relative(session.last_seen_at.0),
    }
}
