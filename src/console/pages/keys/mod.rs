//! The pages of keys: the list, and the dialogs that make, edit and delete one.
//!
//! Promises that a secret is on one page ever: the answer to the form that made its key.

mod create;
mod delete;
mod edit;
mod limits;
mod list;

use axum::Router;
use axum::routing::get;

pub(crate) use limits::LimitFields;

use super::failure::Failure;
use crate::console::Shared;
use crate::console::operations::{Caller, Operations};
use crate::console::view::KeyView;

/// Keys read at once while a list is gathered.
const KEYS_A_PAGE: u32 = 200;
/// Keys shown at most: a page is no place for more, and the API has all of them.
const KEYS_SHOWN_MAX: usize = 2_000;
/// A key used so recently is deleted only by typing its name.
const RECENT_MS: u64 = 24 * 60 * 60 * 1_000;

/// Addresses under `/orgs/{org}/keys`; usage is elsewhere.
pub(super) fn router() -> Router<Shared> {
    let keys = "/orgs/{org}/keys";
    Router::new()
        .route(keys, get(list::show))
        .route(&format!("{keys}/new"), get(create::ask).post(create::make))
        .route(&format!("{keys}/{{key}}/edit"), get(edit::ask).post(edit::change))
        .route(&format!("{keys}/{{key}}/delete"), get(delete::ask).post(delete::delete))
}

/// All keys that a person may see in an organization, how many there are, how many there may be, and whether there is
/// room for none.
struct Keys {
    items: Vec<KeyView>,
    count: u64,
    cap: u32,
    is_full: bool,
}

async fn all_keys(operations: &Operations, caller: &Caller, organization: &str) -> Result<Keys, Failure> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = operations.list_keys(caller, organization, after, KEYS_A_PAGE).await?;
        items.extend(page.items);
        after = page.next.and_then(|next| next.parse().ok());
        if after.is_none() || items.len() >= KEYS_SHOWN_MAX {
            return Ok(Keys { items, count: page.count, cap: page.cap, is_full: page.at_cap });
        }
    }
}
