//! `/orgs`: organizations to choose from, and, for operators, made and deleted.
//!
//! Promises that what deleting one takes along is said before.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::chart::counted;
use super::confirm::{Answer, Question};
use super::failure::Failure;
use super::form::{Asked, Filled};
use super::named::{Fields, Purpose, Wrong, form};
use super::notice::{Told, revoked};
use super::refusal::{STALE, expected};
use super::shell::{Place, Shell, role_in_words};
use super::time::Stamp;
use super::{page, see_other};
use crate::console::Shared;
use crate::console::operations::{Caller, NewOrganization, Operations, Refused};
use crate::console::session::Visitor;
use crate::console::view::{OrganizationView, Tagged};
use crate::domain::id::OrganizationId;

/// Organizations on one page.
const PAGE: u32 = 100;
const BACK: &str = "/orgs";

/// The pages about organizations.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/orgs", get(list))
        .route("/orgs/new", get(ask_new).post(create))
        .route("/orgs/{org}/delete", get(ask_delete).post(delete))
}

#[derive(Debug, Default, Deserialize)]
struct After {
    after: Option<OrganizationId>,
}

struct Row {
    name: String,
    slug: String,
    /// For operators.
    created: Option<Stamp>,
    /// For everybody else.
    role: &'static str,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "orgs.html")]
struct OrganizationsPage {
    shell: Shell,
    is_operator: bool,
    rows: Vec<Row>,
    next: Option<String>,
}

async fn list(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Asked(after): Asked<After>,
    Told(notice): Told,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller).await?.saying(notice);
    let found = operations.list_organizations(caller, after.after, PAGE).await?;
    let is_operator = shell.is_operator;
    let mut rows = Vec::new();
    for organization in found.items {
        rows.push(Row {
            name: organization.name.to_string(),
            slug: organization.slug.to_string(),
            created: is_operator.then(|| shell.reading.date(organization.created_at.0)),
            role: caller.role_in(organization.id).map_or("", role_in_words),
        });
    }
    let next = found.next.map(|next| format!("{BACK}?after={next}"));
    Ok(page(StatusCode::OK, &OrganizationsPage { shell, is_operator, rows, next }))
}

async fn ask_new(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
) -> Result<Response, Failure> {
    let shell = operators_frame(&operations, &visitor.caller).await?;
    Ok(form(&shell, &purpose(), &Fields::default(), None))
}

async fn create(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Filled(fields): Filled<Fields>,
) -> Result<Response, Failure> {
    let shell = operators_frame(&operations, &visitor.caller).await?;
    let wrong = match fields.read() {
        Ok((name, slug)) => {
            let time_zone = Some(fields.time_zone.parse().map_err(|_| Failure::Malformed)?);
            let new = NewOrganization { slug, name, time_zone, limits: None };
            match operations.create_organization(&visitor.caller, new).await {
                Ok(made) => return Ok(see_other(&format!("/orgs/{}/members?done=created", made.slug))),
                Err(refused) => Wrong::of(refused)?,
            }
        }
        Err(wrong) => wrong,
    };
    Ok(form(&shell, &purpose(), &fields, Some(&wrong)))
}

async fn ask_delete(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
) -> Result<Response, Failure> {
    let shell = operators_frame(&operations, &visitor.caller).await?;
    let organization = operations.read_organization(&visitor.caller, &org).await?;
    let keys = count_of_keys(&operations, &visitor.caller, &organization).await?;
    let question = question(&organization, keys);
    Ok(question.page(&shell, &format!("{BACK}/{}/delete", organization.slug), BACK))
}

async fn delete(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
    Filled(answer): Filled<Answer>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = operators_frame(&operations, caller).await?;
    let organization = operations.read_organization(caller, &org).await?;
    let keys = count_of_keys(&operations, caller, &organization).await?;
    let question = question(&organization, keys);
    let action = format!("{BACK}/{}/delete", organization.slug);
    if !question.is_answered_by(&answer) {
        return Ok(question.again(&shell, &action, BACK, None, &answer.typed));
    }
    let id = organization.id.to_string();
    match operations.delete_organization(caller, &id, expected(&answer.tag)).await {
        Ok(_) if keys == 0 => Ok(see_other(&format!("{BACK}?done=deleted"))),
        Ok(revocation) => Ok(see_other(&format!("{BACK}?{}", revoked(&revocation, keys > 1)))),
        Err(Refused::Stale) => Ok(question.again(&shell, &action, BACK, Some(STALE), &answer.typed)),
        Err(refused) => Err(refused.into()),
    }
}

async fn count_of_keys(
    operations: &Operations,
    caller: &Caller,
    organization: &OrganizationView,
) -> Result<u64, Failure> {
    Ok(operations.list_keys(caller, &organization.id.to_string(), None, 1).await?.count)
}

fn question(organization: &OrganizationView, keys: u64) -> Question {
    let lost = match keys {
        0 => "It has no keys.".to_owned(),
        1 => "Its key is deleted: no gateway accepts it any more, and what it has running is cut.".to_owned(),
        _ => format!(
            "Its {} are deleted: no gateway accepts them any more, and what they have running is cut.",
            counted(keys, "key", "keys")
        ),
    };
    Question {
        title: "Delete",
        name: organization.name.to_string(),
        sentences: vec![
            lost,
            "Its agents and its members' places go with it. None of this can be brought back.".to_owned(),
        ],
        refusal: None,
        typed: Some(organization.slug.to_string()),
        tag: organization.tag().as_str().to_owned(),
        verb: "Delete organization",
        tone: "danger",
    }
}

async fn frame(operations: &Operations, caller: &Caller) -> Result<Shell, Failure> {
    Shell::read(operations, caller, None, Place::Organizations).await
}

/// The frame of a dialog that only operators see; the operation refuses others either way.
async fn operators_frame(operations: &Operations, caller: &Caller) -> Result<Shell, Failure> {
    let shell = frame(operations, caller).await?;
    if shell.is_operator { Ok(shell) } else { Err(Failure::NotPermitted) }
}

fn purpose() -> Purpose<'static> {
    Purpose {
        title: "New organization",
        subject: "",
        verb: "Create",
        action: format!("{BACK}/new"),
        back: BACK,
        slug_hint: "Lower-case letters, digits and hyphens. Part of this console's addresses, and what upstreams are told.",
        with_zone: true,
    }
}
