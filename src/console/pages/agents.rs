//! `/orgs/{org}/agents`: the agents of an organization, listed, made, changed, and deleted with their keys.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::chart::counted;
use super::confirm::{Answer, Question};
use super::failure::Failure;
use super::form::{Asked, Filled};
use super::named::{Fields, Purpose, Wrong, form};
use super::notice::{Told, revoked};
use super::refusal::{STALE, expected};
use super::shell::{Place, Shell};
use super::time::Stamp;
use super::{page, see_other};
use crate::console::Shared;
use crate::console::operations::{AgentPatch, Caller, NewAgent, Operations, Refused};
use crate::console::session::Visitor;
use crate::console::view::{AgentView, OrganizationView, ScopeView, Tagged};
use crate::domain::id::{AgentId, KeyId};
use crate::domain::role::Role;

/// Agents on one page.
const PAGE: u32 = 100;
/// Keys read at once to count those of each agent.
const KEYS_A_PAGE: u32 = 200;
const SLUG_HINT: &str = "Lower-case letters, digits and hyphens. Routes name the agent by it.";

/// The pages about agents.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/orgs/{org}/agents", get(list))
        .route("/orgs/{org}/agents/new", get(ask_new).post(create))
        .route("/orgs/{org}/agents/{agent}/edit", get(ask_edit).post(change))
        .route("/orgs/{org}/agents/{agent}/delete", get(ask_delete).post(delete))
}

#[derive(Debug, Default, Deserialize)]
struct After {
    after: Option<AgentId>,
}

struct Row {
    id: AgentId,
    name: String,
    slug: String,
    keys: String,
    created: Stamp,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "agents.html")]
struct AgentsPage {
    shell: Shell,
    organization: OrganizationView,
    base: String,
    may_change: bool,
    rows: Vec<Row>,
    next: Option<String>,
}

async fn list(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
    Asked(after): Asked<After>,
    Told(notice): Told,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller, &org).await?.saying(notice);
    let Some(organization) = shell.organization.clone() else { return Err(Failure::NotFound) };
    let base = format!("/orgs/{}", organization.slug);
    let agents = operations.list_agents(caller, &org, after.after, PAGE).await?;
    let slugs = slugs_of_keys(&operations, caller, &org).await?;
    let row = |agent: AgentView| {
        let keys = slugs.iter().filter(|slug| **slug == agent.slug.as_str()).count();
        Row {
            id: agent.id,
            name: agent.name.to_string(),
            slug: agent.slug.to_string(),
            keys: counted(u64::try_from(keys).unwrap_or(u64::MAX), "key", "keys"),
            created: shell.reading.date(agent.created_at.0),
        }
    };
    let rows = agents.items.into_iter().map(row).collect();
    let next = agents.next.map(|next| format!("{base}/agents?after={next}"));
    let may_change = shell.role != Role::AgentAdmin;
    Ok(page(StatusCode::OK, &AgentsPage { shell, organization, base, may_change, rows, next }))
}

async fn ask_new(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
) -> Result<Response, Failure> {
    let shell = changing_frame(&operations, &visitor.caller, &org).await?;
    Ok(form(&shell, &new_purpose(&shell, &back(&shell)), &Fields::default(), None))
}

async fn create(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
    Filled(fields): Filled<Fields>,
) -> Result<Response, Failure> {
    let shell = changing_frame(&operations, &visitor.caller, &org).await?;
    let back = back(&shell);
    let wrong = match fields.read() {
        Ok((name, slug)) => {
            match operations.create_agent(&visitor.caller, &org, NewAgent { slug, name }).await {
                Ok(_) => return Ok(see_other(&format!("{back}?done=created"))),
                Err(refused) => Wrong::of(refused)?,
            }
        }
        Err(wrong) => wrong,
    };
    Ok(form(&shell, &new_purpose(&shell, &back), &fields, Some(&wrong)))
}

async fn ask_edit(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, agent)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let shell = changing_frame(&operations, &visitor.caller, &org).await?;
    let agent = operations.read_agent(&visitor.caller, &org, &agent).await?;
    let fields = Fields {
        name: agent.name.to_string(),
        slug: agent.slug.to_string(),
        tag: agent.tag().as_str().to_owned(),
        ..Fields::default()
    };
    Ok(form(&shell, &edit_purpose(&back(&shell), &agent), &fields, None))
}

async fn change(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, agent)): Path<(String, String)>,
    Filled(mut fields): Filled<Fields>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = changing_frame(&operations, caller, &org).await?;
    let back = back(&shell);
    let wrong = match fields.read() {
        Ok((name, slug)) => {
            let patch = AgentPatch { slug: Some(slug), name: Some(name) };
            match operations.change_agent(caller, &org, &agent, expected(&fields.tag), patch).await {
                Ok(_) => return Ok(see_other(&format!("{back}?done=saved"))),
                Err(refused) => Wrong::of(refused)?,
            }
        }
        Err(wrong) => wrong,
    };
    let agent = operations.read_agent(caller, &org, &agent).await?;
    fields.tag = agent.tag().as_str().to_owned();
    Ok(form(&shell, &edit_purpose(&back, &agent), &fields, Some(&wrong)))
}

async fn ask_delete(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, agent)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let shell = changing_frame(&operations, &visitor.caller, &org).await?;
    let agent = operations.read_agent(&visitor.caller, &org, &agent).await?;
    let question = question(&agent, count_of_keys(&operations, &visitor.caller, &org, &agent).await?);
    let back = back(&shell);
    Ok(question.page(&shell, &format!("{back}/{}/delete", agent.id), &back))
}

async fn delete(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, agent)): Path<(String, String)>,
    Filled(answer): Filled<Answer>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = changing_frame(&operations, caller, &org).await?;
    let agent = operations.read_agent(caller, &org, &agent).await?;
    let keys = count_of_keys(&operations, caller, &org, &agent).await?;
    let question = question(&agent, keys);
    let back = back(&shell);
    let action = format!("{back}/{}/delete", agent.id);
    if !question.is_answered_by(&answer) {
        return Ok(question.again(&shell, &action, &back, None, &answer.typed));
    }
    match operations.delete_agent(caller, &org, &agent.id.to_string(), expected(&answer.tag)).await {
        Ok(_) if keys == 0 => Ok(see_other(&format!("{back}?done=deleted"))),
        Ok(revocation) => Ok(see_other(&format!("{back}?{}", revoked(&revocation, keys > 1)))),
        Err(Refused::Stale) => Ok(question.again(&shell, &action, &back, Some(STALE), &answer.typed)),
        Err(refused) => Err(refused.into()),
    }
}

async fn count_of_keys(
    operations: &Operations,
    caller: &Caller,
    org: &str,
    agent: &AgentView,
) -> Result<usize, Failure> {
    let slugs = slugs_of_keys(operations, caller, org).await?;
    Ok(slugs.iter().filter(|slug| **slug == agent.slug.as_str()).count())
}

fn question(agent: &AgentView, keys: usize) -> Question {
    let lost = match keys {
        0 => "No key is limited to it, so none is lost.".to_owned(),
        1 => "The key that is limited to it is deleted with it: no gateway accepts it any more, and what it has \
              running is cut."
            .to_owned(),
        several => format!(
            "The {several} keys that are limited to it are deleted with it: no gateway accepts them any more, and \
             what they have running is cut."
        ),
    };
    Question {
        title: "Delete",
        name: agent.name.to_string(),
        sentences: vec![
            lost,
            "Keys of the whole organization stay, and no longer open this agent.".to_owned(),
        ],
        refusal: None,
        typed: Some(agent.slug.to_string()),
        tag: agent.tag().as_str().to_owned(),
        verb: "Delete agent",
        tone: "danger",
    }
}

/// The slug of the agent of every agent-scoped key that the caller may know of. There are at most as many as the cap.
async fn slugs_of_keys(operations: &Operations, caller: &Caller, org: &str) -> Result<Vec<String>, Failure> {
    let mut slugs = Vec::new();
    let mut after: Option<KeyId> = None;
    loop {
        let keys = operations.list_keys(caller, org, after, KEYS_A_PAGE).await?;
        slugs.extend(keys.items.into_iter().filter_map(|key| match key.scope {
            ScopeView::Agent { agent } => Some(agent.to_string()),
            ScopeView::Organization => None,
        }));
        after = keys.next.and_then(|next| next.parse().ok());
        if after.is_none() {
            return Ok(slugs);
        }
    }
}

async fn frame(operations: &Operations, caller: &Caller, org: &str) -> Result<Shell, Failure> {
    Shell::read(operations, caller, Some(org), Place::Agents).await
}

/// The frame of a dialog that changes agents. Who may not is told at once, not at the end of the form; the operation
/// refuses them either way.
async fn changing_frame(operations: &Operations, caller: &Caller, org: &str) -> Result<Shell, Failure> {
    let shell = frame(operations, caller, org).await?;
    if shell.role != Role::AgentAdmin { Ok(shell) } else { Err(Failure::NotPermitted) }
}

fn back(shell: &Shell) -> String {
    format!("/orgs/{}/agents", shell.slug())
}

fn new_purpose<'a>(shell: &Shell, back: &'a str) -> Purpose<'a> {
    Purpose {
        title: "New agent",
        subject: "",
        verb: "Create",
        action: format!("/orgs/{}/agents/new", shell.slug()),
        back,
        slug_hint: SLUG_HINT,
        with_zone: false,
    }
}

fn edit_purpose<'a>(back: &'a str, agent: &'a AgentView) -> Purpose<'a> {
    Purpose {
        title: "Edit",
        subject: agent.name.as_str(),
        verb: "Save",
        action: format!("{back}/{}/edit", agent.id),
        back,
        slug_hint: "Routes name the agent by it: requests to the old slug are refused. Its keys stay its keys.",
        with_zone: false,
    }
}
