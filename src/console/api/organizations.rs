//! `/organizations` and `/organizations/{org}`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{self, Ended};
use super::extract::{Body, By, IfMatch, Named, Paging, Query};
use super::problem::Problem;
use crate::console::operations::{NewOrganization, Operations, OrganizationPatch};
use crate::console::view::{OrganizationView, Page, Tagged};

/// List organizations
///
/// Operators are shown all of them, others their own.
#[utoipa::path(get, path = "/organizations", tag = "organizations", operation_id = "listOrganizations",
    params(Paging), responses((status = 200, description = "A page of organizations, oldest first.", body = Page<OrganizationView>)))]
pub(super) async fn list(
    By(caller): By,
    State(operations): State<Operations>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (after, limit) = paging.resolve()?;
    let page = operations.list_organizations(&caller, after, limit).await?;
    Ok(answer::json(StatusCode::OK, &page))
}

/// Create an organization
///
/// Operators only.
#[utoipa::path(post, path = "/organizations", tag = "organizations", operation_id = "createOrganization",
    request_body = NewOrganization, responses(
        (status = 201, description = "The organization.", body = OrganizationView),
        (status = 409, description = "The slug is taken.")))]
pub(super) async fn create(
    By(caller): By,
    State(operations): State<Operations>,
    Body(new): Body<NewOrganization>,
) -> Result<Response, Problem> {
    let made = operations.create_organization(&caller, new).await?;
    let location = format!("/api/v1/organizations/{}", made.slug);
    Ok(answer::created(&made, &made.tag(), &location))
}

/// Read an organization
#[utoipa::path(get, path = "/organizations/{org}", tag = "organizations", operation_id = "readOrganization",
    responses((status = 200, description = "The organization.", body = OrganizationView, headers(("ETag")))))]
pub(super) async fn read(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.read_organization(&caller, &organization).await?))
}

/// Change an organization
///
/// Operators only. New limits and a new time zone hold for all its keys at once, and reset nothing that was used.
/// `limits` are replaced as a whole: null or `{}` leaves all to the configuration.
#[utoipa::path(patch, path = "/organizations/{org}", tag = "organizations", operation_id = "changeOrganization",
    params(IfMatch), request_body = OrganizationPatch, responses(
        (status = 200, description = "The organization as it is now.", body = OrganizationView, headers(("ETag"))),
        (status = 409, description = "The slug is taken.")))]
pub(super) async fn change(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<OrganizationPatch>,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.change_organization(&caller, &organization, expected, patch).await?))
}

/// Delete an organization
///
/// Operators only. Its agents, members and keys are deleted in the same transaction; no gateway admits any of the keys
/// once this is answered with 200.
#[utoipa::path(delete, path = "/organizations/{org}", tag = "organizations", operation_id = "deleteOrganization",
    params(IfMatch), responses(
        (status = 200, description = "Deleted; every gateway confirmed the end of its keys.", body = Ended),
        (status = 202, description = "Deleted; some gateways have not yet confirmed the end of its keys.", body = Ended)))]
pub(super) async fn delete(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    IfMatch(expected): IfMatch,
) -> Result<Response, Problem> {
    Ok(answer::revocation(operations.delete_organization(&caller, &organization, expected).await?))
}
