//! `/organizations/{org}/keys`, `…/keys/{key}` and `…/keys/{key}/usage`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{self, Ended};
use super::extract::{Body, By, IfMatch, Named, Paging, Query, instant};
use super::problem::Problem;
use crate::console::operations::{KeyPatch, NewKey, Operations, Step, UsageSpan, UsageView};
use crate::console::view::{KeyPage, KeyView, Tagged};
use crate::domain::clock::UnixMillis;

type KeyName = Named<(String, String)>;

/// List an organization's keys
///
/// With how many keys it has and may have. Agent admins are shown the keys of the agents that they administer.
#[utoipa::path(get, path = "/organizations/{org}/keys", tag = "keys", operation_id = "listKeys",
    params(Paging), responses((status = 200, description = "A page of keys, oldest first.", body = KeyPage)))]
pub(super) async fn list(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (after, limit) = paging.resolve()?;
    let page = operations.list_keys(&caller, &organization, after, limit).await?;
    Ok(answer::json(StatusCode::OK, &page))
}

/// A key just made, with the only copy of its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedKey)]
struct Created<'a> {
    key: &'a KeyView,
    /// What programs send as `x-api-key`. It is shown here and nowhere else ever.
    secret: &'a str,
}

/// Create a key
///
/// The answer holds the secret, which is not shown again. `scope` and `access` are fixed from then on. The key's limits
/// may only narrow those of its organization, unless an operator sets them.
#[utoipa::path(post, path = "/organizations/{org}/keys", tag = "keys", operation_id = "createKey",
    request_body = NewKey, responses(
        (status = 201, description = "The key and its secret.", body = Created),
        (status = 409, description = "The organization has as many keys as it may have; delete one first.")))]
pub(super) async fn create(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    Body(new): Body<NewKey>,
) -> Result<Response, Problem> {
    let made = operations.create_key(&caller, &organization, new).await?;
    let location = format!("/api/v1/organizations/{organization}/keys/{}", made.key.id);
    let body = Created { key: &made.key, secret: made.secret.expose() };
    Ok(answer::created(&body, &made.key.tag(), &location))
}

/// Read a key
#[utoipa::path(get, path = "/organizations/{org}/keys/{key}", tag = "keys", operation_id = "readKey",
    responses((status = 200, description = "The key, without its secret.", body = KeyView, headers(("ETag")))))]
pub(super) async fn read(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, key)): KeyName,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.read_key(&caller, &organization, &key).await?))
}

/// Change a key
///
/// What it says holds on every request from then on. Disabling also cuts what the key has running. Its scope and access
/// cannot be changed. `limits` are replaced as a whole: null or `{}` for none of its own.
#[utoipa::path(patch, path = "/organizations/{org}/keys/{key}", tag = "keys", operation_id = "changeKey",
    params(IfMatch), request_body = KeyPatch, responses(
        (status = 200, description = "The key as it is now.", body = KeyView, headers(("ETag")))))]
pub(super) async fn change(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, key)): KeyName,
    IfMatch(expected): IfMatch,
    Body(patch): Body<KeyPatch>,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.change_key(&caller, &organization, &key, expected, patch).await?))
}

/// Delete a key
///
/// No gateway admits it once this is answered with 200, and what it had running is cut.
#[utoipa::path(delete, path = "/organizations/{org}/keys/{key}", tag = "keys", operation_id = "deleteKey",
    params(IfMatch), responses(
        (status = 200, description = "Deleted; every gateway confirmed the key's end.", body = Ended),
        (status = 202, description = "Deleted; some gateways have not yet confirmed the key's end.", body = Ended)))]
pub(super) async fn delete(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, key)): KeyName,
    IfMatch(expected): IfMatch,
) -> Result<Response, Problem> {
    Ok(answer::revocation(operations.delete_key(&caller, &organization, &key, expected).await?))
}

/// `?from&to&step` as written.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WrittenSpan {
    /// From the bucket that holds this instant; a day before `to` unless given.
    #[param(value_type = UnixMillis, required = false)]
    from: Option<String>,
    /// To before this instant; now unless given.
    #[param(value_type = UnixMillis, required = false)]
    to: Option<String>,
    /// The length of a bucket. Hours and days follow the organization's time zone.
    #[serde(default)]
    #[param(inline)]
    step: Step,
}

/// Read a key's usage
///
/// Its limits with what is used and left of them, and what became of its requests over time: `allowed` were admitted and
/// answered, `denied` refused, `failed` admitted and then not answered whole. At most 1,500 buckets. Counts are kept
/// for 32 days.
#[utoipa::path(get, path = "/organizations/{org}/keys/{key}/usage", tag = "keys", operation_id = "readKeyUsage",
    params(WrittenSpan), responses((status = 200, description = "The key's usage as of the instant it names.", body = UsageView)))]
pub(super) async fn usage(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, key)): KeyName,
    Query(written): Query<WrittenSpan>,
) -> Result<Response, Problem> {
    let span = UsageSpan {
        from: instant("from", written.from)?,
        to: instant("to", written.to)?,
        step: written.step,
    };
    let usage = operations.read_usage(&caller, &organization, &key, span).await?;
    Ok(answer::json(StatusCode::OK, &usage))
}
