//! Answers that say what was done.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::console::view::{EntityTag, RevocationState, RevocationView, Tagged};

/// `body` as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let mut response = (status, bytes).into_response();
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            Problem::of(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
    }
}

/// One record, with the tag that a change may expect.
pub(super) fn record<T: Serialize + Tagged>(record: &T) -> Response {
    tagged(json(StatusCode::OK, record), &record.tag())
}

/// A record just made, and where it is.
pub(super) fn created<T: Serialize>(body: &T, tag: &EntityTag, location: &str) -> Response {
    let mut response = tagged(json(StatusCode::CREATED, body), tag);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// What a deletion answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Ended {
    /// How far the end of the keys has got.
    revocation: RevocationView,
}

/// How far the end of some keys has got: 200 where it is over, 202 where a gateway is awaited.
pub(super) fn revocation(revocation: RevocationView) -> Response {
    let status = match revocation.state {
        RevocationState::Complete => StatusCode::OK,
        RevocationState::Pending => StatusCode::ACCEPTED,
    };
    json(status, &Ended { revocation })
}

/// `response` with the tag of the record that it shows.
pub(super) fn tagged(mut response: Response, tag: &EntityTag) -> Response {
    if let Ok(tag) = HeaderValue::from_str(tag.as_str()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
