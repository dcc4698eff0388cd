//! `/organizations/{org}/agents` and `…/agents/{agent}`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{self, Ended};
use super::extract::{Body, By, IfMatch, Named, Paging, Query};
use super::problem::Problem;
use crate::console::operations::{AgentPatch, NewAgent, Operations};
use crate::console::view::{AgentView, Page, Tagged};

type AgentName = Named<(String, String)>;

/// List an organization's agents
///
/// Agent admins are shown the agents that they administer.
#[utoipa::path(get, path = "/organizations/{org}/agents", tag = "agents", operation_id = "listAgents",
    params(Paging), responses((status = 200, description = "A page of agents, oldest first.", body = Page<AgentView>)))]
pub(super) async fn list(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (after, limit) = paging.resolve()?;
    let page = operations.list_agents(&caller, &organization, after, limit).await?;
    Ok(answer::json(StatusCode::OK, &page))
}

/// Create an agent
///
/// Routes lead to it once this is answered. An organization has at most 1,000.
#[utoipa::path(post, path = "/organizations/{org}/agents", tag = "agents", operation_id = "createAgent",
    request_body = NewAgent, responses(
        (status = 201, description = "The agent.", body = AgentView),
        (status = 409, description = "The slug is taken, or the organization has as many agents as it may have.")))]
pub(super) async fn create(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    Body(new): Body<NewAgent>,
) -> Result<Response, Problem> {
    let made = operations.create_agent(&caller, &organization, new).await?;
    let location = format!("/api/v1/organizations/{organization}/agents/{}", made.slug);
    Ok(answer::created(&made, &made.tag(), &location))
}

/// Read an agent
#[utoipa::path(get, path = "/organizations/{org}/agents/{agent}", tag = "agents", operation_id = "readAgent",
    responses((status = 200, description = "The agent.", body = AgentView, headers(("ETag")))))]
pub(super) async fn read(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, agent)): AgentName,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.read_agent(&caller, &organization, &agent).await?))
}

/// Change an agent
///
/// A new slug changes the paths that lead to it. Its keys stay its keys.
#[utoipa::path(patch, path = "/organizations/{org}/agents/{agent}", tag = "agents", operation_id = "changeAgent",
    params(IfMatch), request_body = AgentPatch, responses(
        (status = 200, description = "The agent as it is now.", body = AgentView, headers(("ETag"))),
        (status = 409, description = "The slug is taken.")))]
pub(super) async fn change(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, agent)): AgentName,
    IfMatch(expected): IfMatch,
    Body(patch): Body<AgentPatch>,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.change_agent(&caller, &organization, &agent, expected, patch).await?))
}

/// Delete an agent
///
/// Its keys are deleted in the same transaction; no gateway admits any of them once this is answered with 200.
#[utoipa::path(delete, path = "/organizations/{org}/agents/{agent}", tag = "agents", operation_id = "deleteAgent",
    params(IfMatch), responses(
        (status = 200, description = "Deleted; every gateway confirmed the end of its keys.", body = Ended),
        (status = 202, description = "Deleted; some gateways have not yet confirmed the end of its keys.", body = Ended)))]
pub(super) async fn delete(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, agent)): AgentName,
    IfMatch(expected): IfMatch,
) -> Result<Response, Problem> {
    Ok(answer::revocation(operations.delete_agent(&caller, &organization, &agent, expected).await?))
}
