//! `/gateways`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::extract::By;
use super::problem::Problem;
use crate::console::operations::Operations;
use crate::console::view::GatewaysView;

/// List the gateways
///
/// Operators only; to others there is nothing here. Which gateways there are, and how far each is, as of the instant that
/// the answer names.
#[utoipa::path(get, path = "/gateways", tag = "gateways", operation_id = "listGateways", responses(
    (status = 200, description = "All gateways.", body = GatewaysView),
    (status = 404, description = "The caller is no operator.")))]
pub(super) async fn list(By(caller): By, State(operations): State<Operations>) -> Result<Response, Problem> {
    Ok(answer::json(StatusCode::OK, &operations.gateways(&caller).await?))
}
