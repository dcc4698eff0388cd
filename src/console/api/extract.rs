//! Requests into what operations take: who calls, which record, which page, what body, what is expected.
//!
//! Promises that whatever does not read is answered with a problem document that names what is wrong. A handler that
//! asks for [`By`] first refuses strangers before it looks at anything else of theirs.

use std::str::FromStr;

use axum::extract::path::Path;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{IntoParams, openapi};

use super::problem::Problem;
use crate::console::body::{self, NotWhole};
use crate::console::operations::{Caller, Expected, FieldProblem, SignedIn};
use crate::console::{Shared, session};
use crate::domain::clock::UnixMillis;
use crate::domain::id::SessionId;

/// Largest body: a key with every limit is under a kibibyte.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1_024;
/// Records on a page unless asked otherwise, and at most.
const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 200;

/// Who calls, by a management token or else by the session of a browser; and which session.
async fn identify(parts: &Parts, shared: &Shared) -> Result<(Caller, Option<SessionId>), Problem> {
    if let Some(credential) = bearer(&parts.headers) {
        let caller = shared.operations.authenticate(credential).await?;
        return Ok((caller.ok_or_else(|| Problem::unauthorized(true))?, None));
    }
    let signed_in = session::resume(&shared.operations, &shared.site, &parts.headers).await?;
    let signed_in = signed_in.ok_or_else(|| Problem::unauthorized(false))?;
    Ok((signed_in.caller, Some(signed_in.session)))
}

/// Who calls.
pub(super) struct By(pub(super) Caller);

impl FromRequestParts<Shared> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<By, Problem> {
        identify(parts, shared).await.map(|(caller, _)| By(caller))
    }
}

/// Who calls, and the session that the request carries; none for a program.
pub(super) struct ByFrom(pub(super) Caller, pub(super) Option<SessionId>);

impl FromRequestParts<Shared> for ByFrom {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<ByFrom, Problem> {
        identify(parts, shared).await.map(|(caller, session)| ByFrom(caller, session))
    }
}

/// Who calls by the session of a browser, and which; a program has none.
pub(super) struct InSession(pub(super) SignedIn);

impl FromRequestParts<Shared> for InSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<InSession, Problem> {
        match identify(parts, shared).await? {
            (caller, Some(session)) => Ok(InSession(SignedIn { caller, session })),
            (_, None) => Err(Problem::with(StatusCode::FORBIDDEN, "a management token has no session")),
        }
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
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// How many records at most.
    #[param(minimum = 1, maximum = 200, default = 50, required = false, value_type = u32)]
    limit: Option<u32>,
    /// The `next` of the page before.
    #[param(format = "uuid", required = false, value_type = String)]
    cursor: Option<String>,
}

impl Paging {
    /// How many records, and behind which.
    pub(super) fn resolve<Id: FromStr>(self) -> Result<(Option<Id>, u32), Problem> {
        page_of(self.limit, self.cursor)
    }
}

/// The page that `limit` and `cursor` ask for.
pub(super) fn page_of<Id: FromStr>(
    limit: Option<u32>,
    cursor: Option<String>,
) -> Result<(Option<Id>, u32), Problem> {
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", &format!("expected 1 to {PAGE_MAX}")));
    }
    let after = cursor.map(|cursor| cursor.parse()).transpose();
    Ok((after.map_err(|_| Problem::parameter("cursor", "expected the `next` of the page before"))?, limit))
}

/// An instant in a query.
pub(super) fn instant(name: &str, written: Option<String>) -> Result<Option<UnixMillis>, Problem> {
    let Some(text) = written else { return Ok(None) };
    let instant = UnixMillis::parse_rfc3339(&text);
    let expected = "expected an instant such as 2027-01-31T18:00:00Z";
    instant.map(Some).ok_or_else(|| Problem::parameter(name, expected))
}

/// `*` or a list of entity tags (RFC 9110 section 8.8.3).
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#;

/// What `If-Match` expects (RFC 9110 section 13.1.1).
pub(super) struct IfMatch(pub(super) Expected);

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let tags = ObjectBuilder::new().schema_type(Type::String).pattern(Some(TAGS)).build();
        let described = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(openapi::Required::False)
            .description(Some("One or several entity tags: the request is done only where the record is in one of these states."))
            .schema(Some(tags));
        vec![described.build()]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<IfMatch, Problem> {
        let mut tags = Vec::new();
        let mut any = true;
        for field in parts.headers.get_all(header::IF_MATCH) {
            any = false;
            if field.as_bytes().trim_ascii() == b"*" {
                return Ok(IfMatch(Expected::Anything));
            }
            let listed = field.to_str().ok().and_then(entity_tags);
            tags.extend(listed.ok_or_else(|| {
                let detail =
                    "the field `If-Match` is not valid: expected `*` or entity tags in quotation marks";
                Problem::with(StatusCode::BAD_REQUEST, detail)
            })?);
        }
        Ok(IfMatch(if any { Expected::Anything } else { Expected::OneOf(tags) }))
    }
}

/// The tags of a list, with their quotation marks; empty elements count for nothing (RFC 9110 section 5.6.1.2). `None`
/// where it is not one.
fn entity_tags(list: &str) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    let mut rest = list.trim_start();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(',') {
            rest = behind.trim_start();
            continue;
        }
        let (weak, opened) = match rest.strip_prefix("W/") {
            Some(opened) => ("W/", opened),
            None => ("", rest),
        };
        let (opaque, behind) = opened.strip_prefix('"')?.split_once('"')?;
        if !opaque.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        tags.push(format!("{weak}\"{opaque}\""));
        rest = behind.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
    Some(tags)
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
        if !body::is_of_type(request.headers(), "application/json") {
            let detail = "expected a body with `Content-Type: application/json`";
            return Err(Problem::with(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = body::whole(request, state).await.map_err(|not_whole| match not_whole {
            NotWhole::Rejected(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::with(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("expected a body of at most {BODY_BYTES_MAX} bytes"),
                )
            }
            NotWhole::Rejected(_) | NotWhole::Slow => {
                Problem::with(StatusCode::BAD_REQUEST, "the body did not arrive whole")
            }
        })?;
        parse(&bytes).map(Body)
    }
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
        let detail = without_place(&error.inner().to_string());
        let pointer = with_field(pointer(error.path()), &detail);
        Problem::fields(vec![FieldProblem { pointer, detail }])
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

/// The pointer to the field that a message names but whose value was not come to: because there is none, or one too
/// many.
fn with_field(pointer: String, message: &str) -> String {
    let named = ["missing field `", "duplicate field `", "unknown field `"];
    let behind = named.iter().find_map(|before| message.strip_prefix(before));
    match behind.and_then(|behind| behind.split_once('`')) {
        Some((field, _)) if !pointer.ends_with(&format!("/{field}")) => format!("{pointer}/{field}"),
        _ => pointer,
    }
}

/// The message without serde_json's line and column: the pointer says where.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(said, _)| said).to_owned()
}
