//! The list of members.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{everybody, frame, is_last_admin, role_in_words};
use crate::console::operations::Operations;
use crate::console::pages::failure::Failure;
use crate::console::pages::notice::Told;
use crate::console::pages::page;
use crate::console::pages::scope::AgentNames;
use crate::console::pages::shell::Shell;
use crate::console::pages::time::{Reading, Stamp};
use crate::console::session::Visitor;
use crate::console::view::{MemberStateView, MemberView, OrganizationView};

struct Row {
    address: String,
    /// Their name, or their address where they have none.
    title: String,
    /// Their address, where the title is their name.
    email: Option<String>,
    /// How the menu names them.
    spoken: String,
    is_self: bool,
    role: &'static str,
    agents: Option<String>,
    is_last_admin: bool,
    state: Standing,
    /// Whether their invitation is over.
    is_over: bool,
    until: Option<Stamp>,
    since: Stamp,
    may_renew: bool,
}

struct Standing {
    class: &'static str,
    words: &'static str,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "members.html")]
struct MembersPage {
    shell: Shell,
    organization: OrganizationView,
    base: String,
    rows: Vec<Row>,
}

pub(super) async fn show(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
    Told(notice): Told,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller, &org).await?.saying(notice);
    let Some(organization) = shell.organization.clone() else { return Err(Failure::NotFound) };
    let members = everybody(&operations, caller, &org).await?;
    let base = format!("/orgs/{}", organization.slug);
    let names = AgentNames::read(&operations, caller, &org).await?;
    let reader = Reader { base: &base, reading: &shell.reading, name: caller.name(), names: &names };
    let rows = members.iter().map(|member| reader.row(member, &members)).collect();
    Ok(page(StatusCode::OK, &MembersPage { shell, organization, base, rows }))
}

/// Whoever looks at the list.
struct Reader<'a> {
    base: &'a str,
    reading: &'a Reading,
    name: &'a str,
    names: &'a AgentNames,
}

impl Reader<'_> {
    fn row(&self, member: &MemberView, everybody: &[MemberView]) -> Row {
        let email = member.email.to_string();
        let agents: Vec<String> = member.agents.iter().map(|slug| self.names.name(slug.as_str())).collect();
        Row {
            address: format!("{}/members/{}", self.base, member.id),
            title: member.name.as_ref().map_or(email.clone(), ToString::to_string),
            is_self: email == self.name,
            spoken: email.clone(),
            email: member.name.is_some().then_some(email),
            role: role_in_words(member.role),
            agents: (!agents.is_empty()).then(|| agents.join(", ")),
            is_last_admin: is_last_admin(member, everybody),
            is_over: self.is_over(member),
            state: self.state(member),
            until: member.invited_until.map(|until| match self.is_over(member) {
                true => self.reading.relative(until.0),
                false => self.reading.day(until.0),
            }),
            since: self.reading.date(member.created_at.0),
            may_renew: member.state == MemberStateView::Invited,
        }
    }

    fn is_over(&self, member: &MemberView) -> bool {
        member.invited_until.is_some_and(|until| until.0 <= self.reading.now())
    }

    fn state(&self, member: &MemberView) -> Standing {
        let is_over = self.is_over(member);
        let (class, words) = match member.state {
            MemberStateView::Invited if is_over => ("over", "Invitation ended"),
            MemberStateView::Invited => ("wait", "Invited"),
            MemberStateView::Disabled => ("off", "Disabled"),
            MemberStateView::Active => ("", "Active"),
        };
        Standing { class, words }
    }
}
