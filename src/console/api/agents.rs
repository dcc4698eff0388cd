//! `/organizations/{org}/agents` and `…/agents/{agent}`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::extract::{Body, By, IfMatch, Named, Paging, Query};
use super::problem::Problem;
use crate::console::operations::{AgentPatch, NewAgent, Operations};
use crate::console::view::Tagged;

type AgentName = Named<(String, String)>;

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

pub(super) async fn read(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, agent)): AgentName,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.read_agent(&caller, &organization, &agent).await?))
}

pub(super) async fn change(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, agent)): AgentName,
    IfMatch(expected): IfMatch,
    Body(patch): Body<AgentPatch>,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.change_agent(&caller, &organization, &agent, expected, patch).await?))
}

pub(super) async fn delete(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, agent)): AgentName,
    IfMatch(expected): IfMatch,
) -> Result<Response, Problem> {
    Ok(answer::revocation(operations.delete_agent(&caller, &organization, &agent, expected).await?))
}
