//! Answers that say what is wrong: problem documents (RFC 9457).
//!
//! Promises that one exhaustive match turns a refusal into its status, and that a document shows nothing of an internal
//! cause: that is logged, once.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::console::operations::{FieldProblem, Refused};
use crate::store::StoreError;

/// Seconds after which a refused change is worth another try: a lock is held for milliseconds.
const RETRY_AFTER_S: &str = "1";

/// How to present a token (RFC 6750 section 3).
const CHALLENGE: &str = "Bearer realm=\"keystile\"";

/// A problem document.
#[derive(Debug, Clone)]
#[expect(unreachable_pub, reason = "an extractor's rejection must be as public as the type it extracts")]
pub struct Problem {
    status: StatusCode,
    detail: Option<String>,
    errors: Vec<FieldProblem>,
    challenge: Option<&'static str>,
    retry_after_s: Option<u64>,
}

/// What is wrong, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// `about:blank`: the status says what kind of problem it is.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status as a number.
    status: u16,
    /// What is wrong with this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// Each field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<DocumentError<'a>>,
}

/// A field that is wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldProblem)]
pub(super) struct DocumentError<'a> {
    /// Which, as a JSON pointer (RFC 6901) into the request's body; empty for the body itself.
    pointer: &'a str,
    /// What was expected.
    detail: &'a str,
}

impl Problem {
    /// A problem of which the status says all.
    pub(super) fn of(status: StatusCode) -> Problem {
        Problem { status, detail: None, errors: Vec::new(), challenge: None, retry_after_s: None }
    }

    /// A problem with its own sentence.
    pub(super) fn with(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { detail: Some(detail.into()), ..Problem::of(status) }
    }

    /// A parameter of the query is wrong.
    pub(super) fn parameter(name: &str, expected: &str) -> Problem {
        let detail = format!("the parameter `{name}` is not valid: {expected}");
        Problem::with(StatusCode::BAD_REQUEST, detail)
    }

    /// Some fields of the body are wrong.
    pub(super) fn fields(errors: Vec<FieldProblem>) -> Problem {
        let detail = "some fields are not valid".to_owned();
        Problem { detail: Some(detail), errors, ..Problem::of(StatusCode::UNPROCESSABLE_ENTITY) }
    }

    /// The same, worth another try after so many seconds.
    fn retry_after(self, seconds: u64) -> Problem {
        Problem { retry_after_s: Some(seconds), ..self }
    }

    /// No such thing, or none that the caller may know of.
    pub(super) fn not_found() -> Problem {
        Problem::of(StatusCode::NOT_FOUND)
    }

    /// Nobody presented themselves, or not with a token that is known (RFC 6750 section 3).
    pub(super) fn unauthorized(presented: bool) -> Problem {
        let challenge =
            if presented { "Bearer realm=\"keystile\", error=\"invalid_token\"" } else { CHALLENGE };
        let detail = "a management token (`Authorization: Bearer ksm_…`) or a session is needed";
        Problem { challenge: Some(challenge), ..Problem::with(StatusCode::UNAUTHORIZED, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail.as_deref(),
            errors: self
                .errors
                .iter()
                .map(|e| DocumentError { pointer: &e.pointer, detail: &e.detail })
                .collect(),
        };
        // Strings and numbers only: this cannot fail.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        } else if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        response
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let said = refused.to_string();
        match refused {
            Refused::NotFound => Problem::not_found(),
            Refused::NotPermitted => Problem::of(StatusCode::FORBIDDEN),
            Refused::Invalid(errors) => Problem::fields(errors),
            Refused::Parameter { .. } => Problem::with(StatusCode::BAD_REQUEST, said),
            Refused::Taken { .. } => Problem::with(StatusCode::CONFLICT, said),
            Refused::KeysAtCap { .. } | Refused::AgentsAtCap { .. } => {
                Problem::with(StatusCode::CONFLICT, format!("{said}; delete one first"))
            }
            Refused::MembersAtCap { .. } => {
                Problem::with(StatusCode::CONFLICT, format!("{said}; remove one first"))
            }
            Refused::LastAdmin | Refused::AlreadyCome | Refused::AlreadyDone => {
                Problem::with(StatusCode::CONFLICT, said)
            }
            Refused::NeedsHttps => Problem::with(StatusCode::FORBIDDEN, said),
            Refused::SignInFailed => {
                // Whoever answers 401 has to say how to do better (RFC 9110 section 15.5.2), here too.
                Problem { challenge: Some(CHALLENGE), ..Problem::with(StatusCode::UNAUTHORIZED, said) }
            }
            Refused::TooManyAttempts { retry_after_s } => {
                Problem::with(StatusCode::TOO_MANY_REQUESTS, said).retry_after(retry_after_s)
            }
            Refused::LedgerAway => {
                Problem::with(StatusCode::SERVICE_UNAVAILABLE, format!("{said}; try again soon"))
            }
            Refused::Busy => Problem::with(StatusCode::SERVICE_UNAVAILABLE, said),
            Refused::Stale => {
                Problem::with(StatusCode::PRECONDITION_FAILED, format!("{said}; read it again and repeat"))
            }
            Refused::NoRandomness(error) => {
                tracing::error!(%error, "a secret could not be made");
                Problem::with(StatusCode::SERVICE_UNAVAILABLE, "no secret could be made; nothing was changed")
            }
            Refused::Store(error) => store(&error),
            Refused::Interrupted => {
                tracing::error!("an operation ended before its answer");
                Problem::with(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the operation was interrupted; read before repeating",
                )
            }
        }
    }
}

fn store(error: &StoreError) -> Problem {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "an operation failed in the database");
    match error {
        StoreError::NoRoom(_) => Problem::with(
            StatusCode::INSUFFICIENT_STORAGE,
            "the disk of the database is full or failing; nothing was changed",
        ),
        StoreError::Unavailable(_) | StoreError::Taken(_) => {
            Problem::with(StatusCode::SERVICE_UNAVAILABLE, "the database did not answer; nothing was changed")
        }
        StoreError::Damaged { .. } => {
            Problem::with(StatusCode::INTERNAL_SERVER_ERROR, "a record is damaged; the server's log names it")
        }
    }
}
