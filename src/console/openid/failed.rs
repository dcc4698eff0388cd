//! Why a sign-in with a company account came to nothing.
//!
//! Promises one sentence for people that says what to do, without an internal cause, and the cause for the log. Never
//! shows anything that the provider or the browser wrote.

use std::error::Error;
use std::fmt::Write;

use axum::http::StatusCode;

/// What went wrong beneath.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Why there is nobody to let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// It did not answer, or not what providers answer.
    #[error("the OpenID Connect provider cannot be asked")]
    Unreachable(#[source] Cause),
    /// Too many wait for the provider already.
    #[error("too many sign-ins wait for the OpenID Connect provider")]
    Busy,
    /// The task ended before its answer.
    #[error("a sign-in ended before its answer")]
    Interrupted,
    /// The answer belongs to no sign-in that this browser began in the last minutes, or to one that is over.
    #[error("an answer to no sign-in that this browser began")]
    NotBegun,
    /// The answer is another provider's (RFC 9207).
    #[error("an answer of another provider, or of none that says who it is")]
    OtherProvider,
    /// The provider refused, or the person did.
    #[error("the OpenID Connect provider refused: {0}")]
    Declined(String),
    /// What it vouches with does not verify.
    #[error("what the OpenID Connect provider vouches with does not verify")]
    Unverified(#[source] Cause),
    /// It names no address, or none that anybody may have here.
    #[error("the OpenID Connect provider names no e-mail address that can be one")]
    NoEmail,
    /// It does not say that the address is the person's.
    #[error("the OpenID Connect provider does not say that the e-mail address is verified")]
    EmailUnverified,
    /// The address is of a domain that is not allowed.
    #[error("an e-mail address of a domain that is not among console.openid.allowed_domains")]
    DomainNotAllowed,
}

impl Failed {
    pub(super) fn unreachable(cause: impl Error + Send + Sync + 'static) -> Failed {
        Failed::Unreachable(Box::new(cause))
    }

    pub(super) fn unverified(cause: impl Error + Send + Sync + 'static) -> Failed {
        Failed::Unverified(Box::new(cause))
    }

    /// The status of the page that says so.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Failed::Unreachable(_) | Failed::Unverified(_) => StatusCode::BAD_GATEWAY,
            Failed::Busy | Failed::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
            Failed::NotBegun | Failed::OtherProvider => StatusCode::BAD_REQUEST,
            Failed::Declined(_) | Failed::NoEmail | Failed::EmailUnverified | Failed::DomainNotAllowed => {
                StatusCode::FORBIDDEN
            }
        }
    }

    /// What people read.
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Failed::Unreachable(_) => {
                "Your company's sign-in cannot be reached. Try again in a minute, or sign in with your password."
            }
            Failed::Busy | Failed::Interrupted => {
                "Too many people are signing in at this moment. Try again in a minute."
            }
            Failed::NotBegun => {
                "This sign-in was not begun in this browser, took too long or is over. Begin again."
            }
            Failed::OtherProvider => "The answer did not come from your company's sign-in. Begin again.",
            Failed::Declined(_) => {
                "Your company's sign-in did not let you in. Begin again, or ask whoever runs it."
            }
            Failed::Unverified(_) => {
                "The answer of your company's sign-in could not be verified, so nobody was signed in. \
                 Tell whoever runs this deployment."
            }
            Failed::NoEmail => {
                "Your company's sign-in did not say which e-mail address is yours. Tell whoever runs it."
            }
            Failed::EmailUnverified => {
                "Your company's sign-in does not say that your e-mail address is verified. Verify it there, then \
                 begin again."
            }
            Failed::DomainNotAllowed => {
                "E-mail addresses of your domain cannot sign in here. Use the account that you were invited with."
            }
        }
    }

    /// The whole chain of causes, for the log.
    pub(crate) fn chain(&self) -> String {
        let mut chain = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            // Writing to a text cannot fail.
            let _ = write!(chain, ": {error}");
            cause = error.source();
        }
        chain
    }
}
