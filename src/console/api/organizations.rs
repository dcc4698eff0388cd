//! `/organizations` and `/organizations/{org}`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::extract::{Body, By, IfMatch, Named, Paging, Query};
use super::problem::Problem;
use crate::console::operations::{NewOrganization, Operations, OrganizationPatch};
use crate::console::view::Tagged;

pub(super) async fn list(
    By(caller): By,
    State(operations): State<Operations>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (after, limit) = paging.resolve()?;
    let page = operations.list_organizations(&caller, after, limit).await?;
    Ok(answer::json(StatusCode::OK, &page))
}

pub(super) async fn create(
    By(caller): By,
    State(operations): State<Operations>,
    Body(new): Body<NewOrganization>,
) -> Result<Response, Problem> {
    let made = operations.create_organization(&caller, new).await?;
    let location = format!("/api/v1/organizations/{}", made.slug);
    Ok(answer::created(&made, &made.tag(), &location))
}

pub(super) async fn read(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.read_organization(&caller, &organization).await?))
}

pub(super) async fn change(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<OrganizationPatch>,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.change_organization(&caller, &organization, expected, patch).await?))
}

pub(super) async fn delete(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    IfMatch(expected): IfMatch,
) -> Result<Response, Problem> {
    Ok(answer::revocation(operations.delete_organization(&caller, &organization, expected).await?))
}
