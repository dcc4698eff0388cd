//! `/session`, `/sessions` and `/invitations/{token}`: people sign in, see where they are signed in, and leave.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::answer;
use super::extract::{Body, By, ByFrom, InSession, Named};
use super::problem::Problem;
use crate::console::operations::{
    Acceptance, NewSession, Operations, PasswordChange, ProfilePatch, SignIn, Whence,
};
use crate::console::view::{InvitationView, SessionView, WhoView};
use crate::console::{Site, session};

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    /// Their address.
    email: String,
    /// Their password.
    #[schema(format = Password)]
    password: String,
}

/// Where somebody is signed in.
#[derive(Serialize, ToSchema)]
pub(super) struct SignIns {
    /// Each session, newest first.
    items: Vec<SessionView>,
}

/// Who is calling
///
/// With what they may do where.
#[utoipa::path(get, path = "/session", tag = "session", operation_id = "readSession",
    responses((status = 200, description = "The caller.", body = WhoView)))]
pub(super) async fn read(By(caller): By, State(operations): State<Operations>) -> Result<Response, Problem> {
    Ok(answer::json(StatusCode::OK, &operations.read_session(&caller).await?))
}

/// Sign in
///
/// With an e-mail address and a password. The answer sets the cookie that holds the session. Failures are counted by
/// account and by address.
#[utoipa::path(post, path = "/session", tag = "session", operation_id = "signIn", security(()),
    request_body = Credentials, responses(
        (status = 200, description = "Who signed in.", body = WhoView, headers(("Set-Cookie"))),
        (status = 401, description = "The address or the password is wrong; which of both is not told."),
        (status = 429)))]
pub(super) async fn sign_in(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    from: Whence,
    headers: HeaderMap,
    Body(credentials): Body<Credentials>,
) -> Result<Response, Problem> {
    keep_cookies_private(&site)?;
    let tried = SignIn {
        email: credentials.email,
        password: Zeroizing::new(credentials.password),
        from,
        browser: session::known_browser(&site, &headers),
    };
    begun(&operations, &site, operations.sign_in(tried).await?).await
}

/// Refuses to send a session's cookie where others could read it on its way.
fn keep_cookies_private(site: &Site) -> Result<(), Problem> {
    let refused =
        || Problem::with(StatusCode::FORBIDDEN, "signing in needs https: `console.public_url` is plain http");
    if site.may_sign_in() { Ok(()) } else { Err(refused()) }
}

/// The answer that begins a session.
async fn begun(operations: &Operations, site: &Site, begun: NewSession) -> Result<Response, Problem> {
    let who = operations.read_session(&begun.caller).await?;
    Ok(session::begin(answer::json(StatusCode::OK, &who), site, &begun))
}

/// Change one's name or time zone
///
/// People only.
#[utoipa::path(patch, path = "/session", tag = "session", operation_id = "changeSession",
    request_body = ProfilePatch, responses((status = 200, description = "The caller as they are now.", body = WhoView)))]
pub(super) async fn change(
    By(caller): By,
    State(operations): State<Operations>,
    Body(patch): Body<ProfilePatch>,
) -> Result<Response, Problem> {
    Ok(answer::json(StatusCode::OK, &operations.change_profile(&caller, patch).await?))
}

/// Sign out
///
/// People only. The session of this request ends.
#[utoipa::path(delete, path = "/session", tag = "session", operation_id = "signOut",
    responses((status = 204, description = "Signed out.", headers(("Set-Cookie")))))]
pub(super) async fn sign_out(
    InSession(signed_in): InSession,
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
) -> Result<Response, Problem> {
    operations.sign_out(&signed_in).await?;
    Ok(session::end(StatusCode::NO_CONTENT.into_response(), &site))
}

/// Change one's password
///
/// People only. Every session of theirs ends; the answer sets the cookie of the one that goes on.
#[utoipa::path(put, path = "/session/password", tag = "session", operation_id = "changePassword",
    request_body = PasswordChange, responses(
        (status = 200, description = "Who has the new password.", body = WhoView, headers(("Set-Cookie"))),
        (status = 429)))]
pub(super) async fn change_password(
    By(caller): By,
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    from: Whence,
    Body(passwords): Body<PasswordChange>,
) -> Result<Response, Problem> {
    begun(&operations, &site, operations.change_password(&caller, passwords, from).await?).await
}

/// List one's sessions
///
/// None for a program.
#[utoipa::path(get, path = "/sessions", tag = "session", operation_id = "listSessions",
    responses((status = 200, description = "Where the caller is signed in, newest first.", body = SignIns)))]
pub(super) async fn list(
    ByFrom(caller, current): ByFrom,
    State(operations): State<Operations>,
) -> Result<Response, Problem> {
    let items = operations.list_sessions(&caller, current).await?;
    Ok(answer::json(StatusCode::OK, &SignIns { items }))
}

/// Sign out everywhere
///
/// People only. Every session of theirs ends, this one too.
#[utoipa::path(delete, path = "/sessions", tag = "session", operation_id = "signOutEverywhere",
    responses((status = 204, description = "Signed out.", headers(("Set-Cookie")))))]
pub(super) async fn sign_out_everywhere(
    By(caller): By,
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
) -> Result<Response, Problem> {
    operations.sign_out_everywhere(&caller).await?;
    Ok(session::end(StatusCode::NO_CONTENT.into_response(), &site))
}

/// End one of one's sessions
#[utoipa::path(delete, path = "/sessions/{session}", tag = "session", operation_id = "endSession",
    responses((status = 204, description = "It is over.")))]
pub(super) async fn end(
    By(caller): By,
    State(operations): State<Operations>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    operations.end_session(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read an invitation
///
/// One that is over looks like one that never was.
#[utoipa::path(get, path = "/invitations/{token}", tag = "invitations", operation_id = "readInvitation", security(()),
    responses((status = 200, description = "What it is to.", body = InvitationView)))]
pub(super) async fn read_invitation(
    State(operations): State<Operations>,
    Named(token): Named<String>,
) -> Result<Response, Problem> {
    Ok(answer::json(StatusCode::OK, &operations.read_invitation(token.as_bytes()).await?))
}

/// Accept an invitation
///
/// Whoever has no account yet gets the password that they choose; anybody else must send theirs. The answer sets the
/// cookie that holds the session.
#[utoipa::path(post, path = "/invitations/{token}", tag = "invitations", operation_id = "acceptInvitation", security(()),
    request_body = Acceptance, responses(
        (status = 200, description = "Who has come.", body = WhoView, headers(("Set-Cookie"))),
        (status = 401, description = "They have an account, and this is not its password."),
        (status = 429)))]
pub(super) async fn accept_invitation(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Named(token): Named<String>,
    from: Whence,
    Body(acceptance): Body<Acceptance>,
) -> Result<Response, Problem> {
    keep_cookies_private(&site)?;
    begun(&operations, &site, operations.accept_invitation(token.as_bytes(), acceptance, from).await?).await
}
