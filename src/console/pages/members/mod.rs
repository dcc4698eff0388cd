//! `/orgs/{org}/members`: who may manage keys in an organization.
//!
//! Promises that the last organization admin is told to be that before anybody tries to remove or demote them. Who may
//! see and change members is decided by the operations.

mod form;
mod list;
mod removal;

use axum::Router;
use axum::routing::get;

use super::failure::Failure;
use super::shell::{Place, Shell};
use crate::console::Shared;
use crate::console::operations::{Caller, Operations};
use crate::console::view::{MemberStateView, MemberView};
use crate::domain::id::MemberId;
use crate::domain::member::MemberRole;

/// Members read at once.
const MEMBERS_A_PAGE: u32 = 200;

/// The pages about members.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/orgs/{org}/members", get(list::show))
        .route("/orgs/{org}/members/new", get(form::ask_new).post(form::invite))
        .route("/orgs/{org}/members/{member}/edit", get(form::ask_edit).post(form::change))
        .route("/orgs/{org}/members/{member}/delete", get(removal::ask).post(removal::remove))
        .route("/orgs/{org}/members/{member}/invitation", get(form::ask_link).post(form::renew_link))
}

/// Every member, oldest first: there are at most as many as an organization may have.
async fn everybody(operations: &Operations, caller: &Caller, org: &str) -> Result<Vec<MemberView>, Failure> {
    let mut members = Vec::new();
    let mut after: Option<MemberId> = None;
    loop {
        let found = operations.list_members(caller, org, after, MEMBERS_A_PAGE).await?;
        members.extend(found.items);
        after = found.next.and_then(|next| next.parse().ok());
        if after.is_none() {
            return Ok(members);
        }
    }
}

/// Whether `member` is the only one who can act as an organization admin now.
fn is_last_admin(member: &MemberView, everybody: &[MemberView]) -> bool {
    let acts = |member: &MemberView| {
        member.role == MemberRole::OrganizationAdmin && member.state == MemberStateView::Active
    };
    acts(member) && everybody.iter().filter(|other| acts(other)).count() == 1
}

/// What a member's role is called.
fn role_in_words(role: MemberRole) -> &'static str {
    match role {
        MemberRole::OrganizationAdmin => "Organization admin",
        MemberRole::AgentAdmin => "Agent admin",
    }
}

async fn frame(operations: &Operations, caller: &Caller, org: &str) -> Result<Shell, Failure> {
    Shell::read(operations, caller, Some(org), Place::Members).await
}

/// The address of the list.
fn back(shell: &Shell) -> String {
    format!("/orgs/{}/members", shell.slug())
}
