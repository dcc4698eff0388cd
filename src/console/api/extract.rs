//! Requests into what operations take: who calls, which record, which page, what body, what is expected.
//!
//! Promises that whatever does not read is answered with a problem document that names what is wrong. A handler that
//! asks for [`By`] first refuses strangers before it looks at anything else of theirs.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::path::Path;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::console::operations::{Caller, Expected, FieldProblem};
use crate::console::{Shared, session};

/// Largest body: a key with every limit is under a kibibyte.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1_024;
/// Records on a page unless asked otherwise, and at most.
const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 200;

/// Who calls: by a management token, else by the session of a browser.
pub(super) struct By(pub(super) Caller);

impl FromRequestParts<Shared> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<By, Problem> {
        let operations = &shared.operations;
        if let Some(credential) = bearer(&parts.headers) {
            let caller = operations.authenticate(credential).await?;
            return caller.map(By).ok_or_else(|| Problem::unauthorized(true));
        }
        let signed_in = session::resume(operations, &shared.site, &parts.headers).await?;
        signed_in.map(|signed_in| By(signed_in.caller)).ok_or_else(|| Problem::unauthorized(false))
    }
}

/// The token of exactly one `Authorization: Bearer` field.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (field, None) = (fields.next()?.as_bytes(), fields.next()) else { return None };
    let (scheme, token) = field.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// The parameters of the path. What does not decode names no record.
pub(super) struct Named<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Named<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named<T>, Problem> {
        let named = Path::<T>::from_request_parts(parts, state).await;
        named.map(|Path(names)| Named(names)).map_err(|_| Problem::not_found())
    }
}

/// The query of the target.
pub(super) struct Query<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Query<T>, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Query(query))
            .map_err(|error| {
                let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
                Problem::with(StatusCode::BAD_REQUEST, format!("the query is not valid: {cause}"))
            })
    }
}

/// Which part of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    limit: Option<u32>,
    cursor: Option<String>,
}

impl Paging {
    /// How many records, and behind which.
    pub(super) fn resolve<Id: FromStr>(self) -> Result<(Option<Id>, u32), Problem> {
        let limit = self.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            let detail = format!("the parameter `limit` is not valid: expected 1 to {PAGE_MAX}");
            return Err(Problem::with(StatusCode::BAD_REQUEST, detail));
        }
        let after = self.cursor.map(|cursor| cursor.parse()).transpose().map_err(|_| {
            let detail = "the parameter `cursor` is not valid: expected the `next` of the page before";
            Problem::with(StatusCode::BAD_REQUEST, detail)
        })?;
        Ok((after, limit))
    }
}

/// What `If-Match` expects (RFC 9110 section 13.1.1).
pub(super) struct IfMatch(pub(super) Expected);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<IfMatch, Problem> {
        let mut tags = Vec::new();
        let mut any = true;
        for field in parts.headers.get_all(header::IF_MATCH) {
            any = false;
            let text = field.to_str().map_err(|_| {
                Problem::with(StatusCode::BAD_REQUEST, "the field `If-Match` is not valid: expected an ETag")
            })?;
            if text.trim() == "*" {
                return Ok(IfMatch(Expected::Anything));
            }
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()));
        }
        Ok(IfMatch(if any { Expected::Anything } else { Expected::OneOf(tags) }))
    }
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T, S> FromRequest<S> for Body<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        if !is_json(request.headers()) {
            let detail = "expected a body with `Content-Type: application/json`";
            return Err(Problem::with(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::with(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("expected a body of at most {BODY_BYTES_MAX} bytes"),
                ),
                _ => Problem::with(StatusCode::BAD_REQUEST, "the body did not arrive whole"),
            })?;
        parse(&bytes).map(Body)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let written = headers.get(header::CONTENT_TYPE).and_then(|field| field.to_str().ok()).unwrap_or_default();
    let essence = written.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = |error: &serde_json::Error| {
        Problem::with(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"))
    };
    // Structs read from lists too, position by position; that is nobody's interface.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map_err(|error| malformed(&error))?;
        return Err(Problem::fields(vec![FieldProblem::new("", "expected an object")]));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        if !error.inner().is_data() {
            return malformed(error.inner());
        }
        let pointer = pointer(error.path());
        Problem::fields(vec![FieldProblem { pointer, detail: without_place(&error.inner().to_string()) }])
    })?;
    reader.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// The path as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// The message without serde_json's line and column: the pointer says where.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(said, _)| said).to_owned()
}
