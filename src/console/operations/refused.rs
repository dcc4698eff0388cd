//! Why an operation was not done. One closed enum, from which each surface makes its own answer.

use crate::domain::limit::Limits;
use crate::domain::secret::NoRandomness;
use crate::store::StoreError;

/// What is wrong with one field of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// JSON pointer (RFC 6901) to the field, such as `/limits/rate/requests`.
    pub pointer: String,
    /// What was expected.
    pub detail: String,
}

impl FieldProblem {
    /// A problem with the field at `pointer`.
    pub fn new(pointer: &str, detail: impl Into<String>) -> FieldProblem {
        FieldProblem { pointer: pointer.to_owned(), detail: detail.into() }
    }
}

/// An operation was refused or failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No such record, or none that the caller may know of.
    #[error("no such record")]
    NotFound,
    /// The caller's role does not include this.
    #[error("not permitted")]
    NotPermitted,
    /// Some fields break their rules.
    #[error("some fields are not valid")]
    Invalid(Vec<FieldProblem>),
    /// A parameter of a query is wrong.
    #[error("the parameter `{name}` is not valid: {detail}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What was expected.
        detail: String,
    },
    /// Another record has the name already.
    #[error("the {what} is already taken")]
    Taken {
        /// Which field, such as `slug`.
        what: &'static str,
    },
    /// The organization has as many keys as it may have.
    #[error("the organization has {cap} keys, which is the most it may have")]
    KeysAtCap {
        /// The cap.
        cap: u32,
    },
    /// The organization has as many agents as it may have.
    #[error("the organization has {cap} agents, which is the most it may have")]
    AgentsAtCap {
        /// The cap.
        cap: u32,
    },
    /// The organization has as many members as it may have.
    #[error("the organization has {cap} members, which is the most it may have")]
    MembersAtCap {
        /// The cap.
        cap: u32,
    },
    /// The organization would be left without an admin.
    #[error("an organization keeps at least one organization admin: make another member one first")]
    LastAdmin,
    /// The person has come already, or may not: an invitation would open nothing.
    #[error("only somebody who was invited and has not come yet gets another link")]
    AlreadyCome,
    /// The form was sent before; what it asks for is done.
    #[error("this form was sent already")]
    AlreadyDone,
    /// Nobody has this address and this password; which of both is wrong is not told.
    #[error("the e-mail address or the password is wrong")]
    SignInFailed,
    /// People reach the console by plain http, where everybody on the way could take their session.
    #[error(
        "people sign in by https only: reach the console by https, and set `console.public_url` to that address"
    )]
    NeedsHttps,
    /// Too many tries failed.
    #[error("too many failed attempts: try again in {retry_after_s} s")]
    TooManyAttempts {
        /// After which another one is let through.
        retry_after_s: u64,
    },
    /// As many passwords are being checked as may be.
    #[error("too many people are signing in: try again in a moment")]
    Busy,
    /// The record is not in the state that the caller expects.
    #[error("the record has changed since it was read")]
    Stale,
    /// The operating system had no randomness for a secret.
    #[error("no secret could be made")]
    NoRandomness(#[from] NoRandomness),
    /// The database did not do it.
    #[error("the database did not do it")]
    Store(#[from] StoreError),
    /// The fleet's ledger of limits does not answer.
    #[error("the ledger of limits does not answer")]
    LedgerAway,
    /// The process is leaving.
    #[error("interrupted")]
    Interrupted,
}

impl Refused {
    /// One field is wrong.
    pub fn field(pointer: &str, detail: impl Into<String>) -> Refused {
        Refused::Invalid(vec![FieldProblem::new(pointer, detail)])
    }

    /// A form that was sent before.
    pub(super) fn already_done(error: StoreError) -> Refused {
        if matches!(error, StoreError::Taken(_)) { Refused::AlreadyDone } else { Refused::Store(error) }
    }

    /// A slug or e-mail address that exists already is the caller's to change; everything else stays as it is.
    pub(super) fn taken(error: StoreError, what: &'static str) -> Refused {
        if matches!(error, StoreError::Taken(_)) { Refused::Taken { what } } else { Refused::Store(error) }
    }
}

/// The rules of limits, told below `/limits`.
pub(super) fn check_limits(limits: &Limits) -> Result<(), Refused> {
    let problems: Vec<FieldProblem> = limits
        .problems()
        .into_iter()
        .map(|problem| FieldProblem::new(&format!("/limits{}", problem.pointer), problem.message))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Refused::Invalid(problems)) }
}
