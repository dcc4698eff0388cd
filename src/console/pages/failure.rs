//! Pages for what cannot be shown or done: 403, 404, 500 and their like, with the request's id.
//!
//! Promises that a page shows nothing of an internal cause: that is logged, once.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::page;
use crate::console::operations::Refused;
use crate::store::StoreError;

/// Why there is no page to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No such page, or none that the person may know of.
    NotFound,
    /// An invitation that was used, ran out, was replaced, or never was.
    InvitationOver,
    /// The person's role does not include it.
    NotPermitted,
    /// Another site asked for a change.
    FromElsewhere,
    /// The address knows no such method.
    Method,
    /// A form or an address that does not read.
    Malformed,
    /// The person has to come back later.
    Unavailable,
    /// Something here is broken.
    Broken,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "failure.html")]
struct FailurePage<'a> {
    title: &'static str,
    text: &'static str,
    request_id: &'a str,
}

impl Failure {
    fn status(self) -> StatusCode {
        match self {
            Failure::NotFound | Failure::InvitationOver => StatusCode::NOT_FOUND,
            Failure::NotPermitted | Failure::FromElsewhere => StatusCode::FORBIDDEN,
            Failure::Method => StatusCode::METHOD_NOT_ALLOWED,
            Failure::Malformed => StatusCode::BAD_REQUEST,
            Failure::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Failure::NotFound => (
                "Page not found",
                "There is nothing at this address, or nothing that you may see. If somebody sent you the link, \
                 ask them whether it still exists.",
            ),
            Failure::InvitationOver => (
                "This invitation is over",
                "It was used, replaced, or is older than seven days. Sign in if you have joined already; if not, \
                 ask an admin of the organization for a new link.",
            ),
            Failure::NotPermitted => (
                "Not permitted",
                "Your role does not include this. An admin of your organization can change your role.",
            ),
            Failure::FromElsewhere => (
                "Request refused",
                "The request came from another site, so nothing was changed. Do it again from the console.",
            ),
            Failure::Method | Failure::Malformed => (
                "Request not understood",
                "The console could not read this request. Nothing was changed. Go back and try again.",
            ),
            Failure::Unavailable => (
                "Not available now",
                "The console cannot do this at the moment. Nothing was changed. Try again in a minute.",
            ),
            Failure::Broken => (
                "Something is broken",
                "The console failed at this request. Try again; if it happens again, give the request id to \
                 whoever runs this deployment.",
            ),
        }
    }

    /// The page.
    pub(super) fn page(self, request_id: &str) -> Response {
        let (title, text) = self.words();
        let mut response = page(self.status(), &FailurePage { title, text, request_id });
        // Even where the page cannot be rendered it is no failure again.
        response.extensions_mut().remove::<Failure>();
        if self == Failure::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        match refused {
            Refused::NotFound => Failure::NotFound,
            Refused::NotPermitted | Refused::NeedsHttps => Failure::NotPermitted,
            Refused::Invalid(_)
            | Refused::Parameter { .. }
            | Refused::Taken { .. }
            | Refused::KeysAtCap { .. }
            | Refused::AgentsAtCap { .. }
            | Refused::MembersAtCap { .. }
            | Refused::LastAdmin
            | Refused::AlreadyCome
            | Refused::AlreadyDone
            | Refused::SignInFailed
            | Refused::Stale => Failure::Malformed,
            Refused::TooManyAttempts { .. } | Refused::Busy => Failure::Unavailable,
            Refused::NoRandomness(error) => {
                tracing::error!(%error, "a secret could not be made");
                Failure::Unavailable
            }
            Refused::Store(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, cause, "an operation failed in the database");
                match error {
                    // Coming again does not mend a record.
                    StoreError::Damaged { .. } => Failure::Broken,
                    StoreError::NoRoom(_) | StoreError::Unavailable(_) | StoreError::Taken(_) => {
                        Failure::Unavailable
                    }
                }
            }
            Refused::LedgerAway => Failure::Unavailable,
            Refused::Interrupted => {
                tracing::error!("an operation ended before its answer");
                Failure::Unavailable
            }
        }
    }
}
