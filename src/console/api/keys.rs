//! `/organizations/{org}/keys`, `…/keys/{key}` and `…/keys/{key}/usage`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer;
use super::extract::{Body, By, IfMatch, Named, Paging, Query};
use super::problem::Problem;
use crate::console::operations::{KeyPatch, NewKey, Operations, Step, UsageSpan};
use crate::console::view::{KeyView, Tagged};
use crate::domain::clock::UnixMillis;

type KeyName = Named<(String, String)>;

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

pub(super) async fn create(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    Body(new): Body<NewKey>,
) -> Result<Response, Problem> {
    /// The one place where a secret is ever shown.
    #[derive(Serialize)]
    struct Created<'a> {
        key: &'a KeyView,
        secret: &'a str,
    }
    let made = operations.create_key(&caller, &organization, new).await?;
    let location = format!("/api/v1/organizations/{organization}/keys/{}", made.key.id);
    let body = Created { key: &made.key, secret: made.secret.expose() };
    Ok(answer::created(&body, &made.key.tag(), &location))
}

pub(super) async fn read(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, key)): KeyName,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.read_key(&caller, &organization, &key).await?))
}

pub(super) async fn change(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, key)): KeyName,
    IfMatch(expected): IfMatch,
    Body(patch): Body<KeyPatch>,
) -> Result<Response, Problem> {
    Ok(answer::record(&operations.change_key(&caller, &organization, &key, expected, patch).await?))
}

pub(super) async fn delete(
    By(caller): By,
    State(operations): State<Operations>,
    Named((organization, key)): KeyName,
    IfMatch(expected): IfMatch,
) -> Result<Response, Problem> {
    Ok(answer::revocation(operations.delete_key(&caller, &organization, &key, expected).await?))
}

/// `?from&to&step` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSpan {
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    step: Step,
}

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

fn instant(name: &str, written: Option<String>) -> Result<Option<UnixMillis>, Problem> {
    let Some(text) = written else { return Ok(None) };
    let instant = UnixMillis::parse_rfc3339(&text).ok_or_else(|| {
        let detail =
            format!("the parameter `{name}` is not valid: expected an instant such as 2027-01-31T18:00:00Z");
        Problem::with(StatusCode::BAD_REQUEST, detail)
    })?;
    Ok(Some(instant))
}
