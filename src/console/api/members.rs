//! `/organizations/{org}/members` and `…/members/{member}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use super::extract::{Body, By, IfMatch, Named, Paging, Query};
use super::problem::Problem;
use crate::console::Site;
use crate::console::operations::{Invited, MemberPatch, NewMember, Operations};
use crate::console::view::{MemberView, Page, Tagged};

type MemberName = Named<(String, String)>;

/// A member with the link that lets them in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct InvitedMember {
    member: MemberView,
    /// Where they accept. It holds for seven days, works once, and is shown here and nowhere else ever.
    #[schema(format = "uri")]
    invite_url: String,
}

fn invited(invited: Invited, site: &Site) -> InvitedMember {
    let invite_url = format!("{}/invitations/{}", site.public_url, invited.token.expose());
    InvitedMember { member: invited.member, invite_url }
}

/// List an organization's members
///
/// Operators and organization admins only.
#[utoipa::path(get, path = "/organizations/{org}/members", tag = "members", operation_id = "listMembers",
    params(Paging), responses(
        (status = 200, description = "A page of members, oldest first.", body = Page<MemberView>),
        (status = 403)))]
pub(super) async fn list(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (after, limit) = paging.resolve()?;
    let page = operations.list_members(&caller, &organization, after, limit).await?;
    Ok(answer::json(StatusCode::OK, &page))
}

/// Invite a member
///
/// The answer holds the link that lets them in, which is not shown again. Whether they have an account already is not
/// told. `agents` are the agents of an agent admin, at least one; an organization admin has none.
#[utoipa::path(post, path = "/organizations/{org}/members", tag = "members", operation_id = "createMember",
    request_body = NewMember, responses(
        (status = 201, description = "The member and their link.", body = InvitedMember),
        (status = 409, description = "They are a member already, or the organization has as many as it may have.")))]
pub(super) async fn create(
    By(caller): By,
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Named(organization): Named<String>,
    Body(new): Body<NewMember>,
) -> Result<Response, Problem> {
    let made = operations.create_member(&caller, &organization, new).await?;
    let location = format!("/api/v1/organizations/{organization}/members/{}", made.member.id);
    let tag = made.member.tag();
    Ok(answer::created(&invited(made, &site), &tag, &location))
}

/// Read a member
///
/// Operators and organization admins only.
#[utoipa::path(get, path = "/organizations/{org}/members/{member}", tag = "members", operation_id = "readMember",
    responses((status = 200, description = "The member.", body = MemberView, headers(("ETag"))), (status = 403)))]
pub(super) async fn read(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, member)): MemberName,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.read_member(&caller, &organization, &member).await?))
}

/// Change a member
///
/// It holds from their next request on. Disabling ends their sessions. An organization keeps at least one organization
/// admin.
#[utoipa::path(patch, path = "/organizations/{org}/members/{member}", tag = "members", operation_id = "changeMember",
    params(IfMatch), request_body = MemberPatch, responses(
        (status = 200, description = "The member as they are now.", body = MemberView, headers(("ETag"))),
        (status = 409, description = "No organization admin would be left.")))]
pub(super) async fn change(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, member)): MemberName,
    IfMatch(expected): IfMatch,
    Body(patch): Body<MemberPatch>,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.change_member(&caller, &organization, &member, expected, patch).await?))
}

/// Remove a member
///
/// Their sessions end. The keys that they made stay. An organization keeps at least one organization admin.
#[utoipa::path(delete, path = "/organizations/{org}/members/{member}", tag = "members", operation_id = "deleteMember",
    params(IfMatch), responses(
        (status = 204, description = "Removed."),
        (status = 409, description = "No organization admin would be left.")))]
pub(super) async fn delete(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, member)): MemberName,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, Problem> {
    operations.delete_member(&caller, &organization, &member, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a new link for a member
///
/// For one who has not come yet. The link before is over.
#[utoipa::path(post, path = "/organizations/{org}/members/{member}/invitation", tag = "members",
    operation_id = "renewInvitation", responses(
        (status = 200, description = "The member and their new link.", body = InvitedMember, headers(("ETag"))),
        (status = 409, description = "They have come already.")))]
pub(super) async fn renew(
    By(caller): By,
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Named((organization, member)): MemberName,
) -> Result<Response, Problem> {
    let renewed = operations.renew_invitation(&caller, &organization, &member).await?;
    let tag = renewed.member.tag();
    Ok(answer::tagged(answer::json(StatusCode::OK, &invited(renewed, &site)), &tag))
}
