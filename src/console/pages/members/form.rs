//! Inviting a member, changing one, and the invitation link, which is shown once.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

use super::removal::LAST_ADMIN;
use super::{back, everybody, frame, is_last_admin};
use crate::console::Site;
use crate::console::operations::{
    Caller, FieldProblem, Invited, MemberPatch, NewMember, Operations, Refused,
};
use crate::console::pages::breakable::Breakable;
use crate::console::pages::confirm::{Answer, Question};
use crate::console::pages::failure::Failure;
use crate::console::pages::form::{Filled, sentence};
use crate::console::pages::refusal::{STALE, expected, wrong};
use crate::console::pages::shell::{Shell, member_role_in_a_sentence};
use crate::console::pages::time::Stamp;
use crate::console::pages::{page, see_other};
use crate::console::session::Visitor;
use crate::console::view::{MemberStateView, MemberView, Tagged};
use crate::domain::id::AgentId;
use crate::domain::member::MemberRole;
use crate::domain::person::Email;

/// Agents read at once.
const AGENTS_A_PAGE: u32 = 200;

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    email: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    agents: Vec<String>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    tag: String,
}

/// What is wrong with it.
#[derive(Debug, Default)]
struct Wrong {
    email: Option<String>,
    agents: Option<String>,
    other: Option<String>,
}

struct AgentBox {
    slug: String,
    name: String,
    checked: bool,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "member_form.html")]
struct FormPage<'a> {
    shell: &'a Shell,
    back: &'a str,
    title: &'static str,
    /// Whom it is about, as text and for the heading.
    subject: &'a str,
    subject_shown: Breakable,
    verb: &'static str,
    action: &'a str,
    problem: Option<&'a str>,
    is_new: bool,
    email: &'a str,
    email_wrong: Option<&'a str>,
    is_agent_admin: bool,
    agents: Vec<AgentBox>,
    agents_wrong: Option<&'a str>,
    /// Why role and access stay as they are.
    kept: Option<&'static str>,
    disabled: Option<bool>,
    tag: &'a str,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "member_link.html")]
struct LinkPage<'a> {
    shell: &'a Shell,
    back: &'a str,
    email: String,
    role: &'static str,
    until: Option<Stamp>,
    link: &'a str,
}

pub(super) async fn ask_new(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    // Whoever may not see members is refused here already.
    everybody(&operations, caller, &org).await?;
    let shell = frame(&operations, caller, &org).await?;
    show(&operations, caller, &org, &shell, Subject::Nobody, &Fields::default(), None).await
}

pub(super) async fn invite(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
    Filled(fields): Filled<Fields>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller, &org).await?;
    // Before anything is said of the fields: whoever may not see members is refused, whatever they wrote.
    operations.list_members(caller, &org, None, 1).await?;
    let role = role(&fields)?;
    let wrong = match fields.email.parse::<Email>() {
        Ok(email) => {
            let new = NewMember { email, role, agents: agents(role, &fields) };
            match operations.create_member(caller, &org, new).await {
                Ok(invited) => return Ok(link(&shell, &site, &invited)),
                Err(refused) => Wrong::of(refused)?,
            }
        }
        Err(error) => Wrong { email: Some(sentence(&error.to_string())), ..Wrong::default() },
    };
    show(&operations, caller, &org, &shell, Subject::Nobody, &fields, Some(&wrong)).await
}

pub(super) async fn ask_edit(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, member)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller, &org).await?;
    let member = operations.read_member(caller, &org, &member).await?;
    let fields = Fields {
        role: member.role.as_str().to_owned(),
        agents: member.agents.iter().map(ToString::to_string).collect(),
        disabled: member.state == MemberStateView::Disabled,
        tag: member.tag().as_str().to_owned(),
        ..Fields::default()
    };
    show(&operations, caller, &org, &shell, Subject::Member(&member), &fields, None).await
}

pub(super) async fn change(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, member)): Path<(String, String)>,
    Filled(mut fields): Filled<Fields>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller, &org).await?;
    let role = role(&fields)?;
    let patch = MemberPatch {
        role: Some(role),
        agents: agents(role, &fields),
        // Somebody who has not come yet stays invited unless they are disabled.
        disabled: Some(fields.disabled),
    };
    match operations.change_member(caller, &org, &member, expected(&fields.tag), patch).await {
        // The list may not be theirs to see any more: it then says so.
        Ok(_) => Ok(see_other(&format!("{}?done=saved", back(&shell)))),
        Err(refused) => {
            let wrong = Wrong::of(refused)?;
            let member = operations.read_member(caller, &org, &member).await?;
            fields.tag = member.tag().as_str().to_owned();
            show(&operations, caller, &org, &shell, Subject::Member(&member), &fields, Some(&wrong)).await
        }
    }
}

pub(super) async fn ask_link(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, member)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller, &org).await?;
    let member = operations.read_member(caller, &org, &member).await?;
    let back = back(&shell);
    Ok(link_question(&member).page(&shell, &format!("{back}/{}/invitation", member.id), &back))
}

pub(super) async fn renew_link(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Visitor(visitor): Visitor,
    Path((org, member)): Path<(String, String)>,
    Filled(_): Filled<Answer>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller, &org).await?;
    match operations.renew_invitation(caller, &org, &member).await {
        Ok(invited) => Ok(link(&shell, &site, &invited)),
        Err(Refused::AlreadyCome) => {
            let member = operations.read_member(caller, &org, &member).await?;
            let back = back(&shell);
            let action = format!("{back}/{}/invitation", member.id);
            Ok(link_question(&member).again(&shell, &action, &back, None, ""))
        }
        Err(refused) => Err(refused.into()),
    }
}

fn link_question(member: &MemberView) -> Question {
    let is_invited = member.state == MemberStateView::Invited;
    let sentences = if is_invited {
        vec![
            "The link that they were given before stops working at once.".to_owned(),
            "The new one holds for 7 days, works once, and is shown once.".to_owned(),
        ]
    } else {
        Vec::new()
    };
    Question {
        title: "New invitation link for",
        name: member.email.to_string(),
        sentences,
        refusal: (!is_invited).then(|| ALREADY_COME.to_owned()),
        typed: None,
        tag: String::new(),
        verb: "Make link",
        tone: "primary",
    }
}

const ALREADY_COME: &str =
    "They have come already and sign in by themselves, so there is no invitation to make anew.";

fn link(shell: &Shell, site: &Site, invited: &Invited) -> Response {
    let link = format!("{}/invitations/{}", site.public_url, invited.token.expose());
    let template = LinkPage {
        shell,
        back: &back(shell),
        email: invited.member.email.to_string(),
        role: member_role_in_a_sentence(invited.member.role),
        until: invited.member.invited_until.map(|until| shell.reading.date_time(until.0)),
        link: &link,
    };
    page(StatusCode::OK, &template)
}

/// Whom the form is about.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Nobody,
    Member(&'a MemberView),
}

async fn show(
    operations: &Operations,
    caller: &Caller,
    org: &str,
    shell: &Shell,
    subject: Subject<'_>,
    fields: &Fields,
    wrong: Option<&Wrong>,
) -> Result<Response, Failure> {
    let back = back(shell);
    let member = match subject {
        Subject::Nobody => None,
        Subject::Member(member) => Some(member),
    };
    let kept = match member {
        Some(member) if is_last_admin(member, &everybody(operations, caller, org).await?) => Some(LAST_ADMIN),
        _ => None,
    };
    let email = member.map_or(fields.email.clone(), |member| member.email.to_string());
    let subject = if member.is_some() { email.as_str() } else { "" };
    let action = member.map_or(format!("{back}/new"), |member| format!("{back}/{}/edit", member.id));
    let template = FormPage {
        shell,
        back: &back,
        title: if member.is_some() { "Edit" } else { "Invite member" },
        subject,
        subject_shown: Breakable::new(subject),
        verb: if member.is_some() { "Save" } else { "Create invitation" },
        action: &action,
        problem: wrong.and_then(|wrong| wrong.other.as_deref()),
        is_new: member.is_none(),
        email: &email,
        email_wrong: wrong.and_then(|wrong| wrong.email.as_deref()),
        is_agent_admin: fields.role == MemberRole::AgentAdmin.as_str(),
        agents: boxes(operations, caller, org, &fields.agents).await?,
        agents_wrong: wrong.and_then(|wrong| wrong.agents.as_deref()),
        kept,
        disabled: member.map(|_| fields.disabled),
        tag: &fields.tag,
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(page(status, &template))
}

async fn boxes(
    operations: &Operations,
    caller: &Caller,
    org: &str,
    checked: &[String],
) -> Result<Vec<AgentBox>, Failure> {
    let mut boxes = Vec::new();
    let mut after: Option<AgentId> = None;
    loop {
        let found = operations.list_agents(caller, org, after, AGENTS_A_PAGE).await?;
        boxes.extend(found.items.into_iter().map(|agent| AgentBox {
            checked: checked.iter().any(|slug| slug == agent.slug.as_str()),
            slug: agent.slug.to_string(),
            name: agent.name.to_string(),
        }));
        after = found.next.and_then(|next| next.parse().ok());
        if after.is_none() {
            return Ok(boxes);
        }
    }
}

fn role(fields: &Fields) -> Result<MemberRole, Failure> {
    [MemberRole::OrganizationAdmin, MemberRole::AgentAdmin]
        .into_iter()
        .find(|role| role.as_str() == fields.role)
        .ok_or(Failure::Malformed)
}

/// The boxes may stay ticked while "Organization admin" is chosen: they then mean nothing.
fn agents(role: MemberRole, fields: &Fields) -> Option<Vec<String>> {
    Some(match role {
        MemberRole::OrganizationAdmin => Vec::new(),
        MemberRole::AgentAdmin => fields.agents.clone(),
    })
}

impl Wrong {
    fn of(refused: Refused) -> Result<Wrong, Failure> {
        let other = |text: &str| Ok(Wrong { other: Some(sentence(text)), ..Wrong::default() });
        if matches!(refused, Refused::Taken { .. }) {
            let email = Some("They are a member already, or invited.".to_owned());
            return Ok(Wrong { email, ..Wrong::default() });
        }
        if let Refused::Invalid(problems) = &refused {
            return Ok(Wrong {
                email: wrong(problems, "/email"),
                agents: wrong(problems, "/agents").map(|_| AGENTS_WANTED.to_owned()),
                other: problems.iter().find(is_elsewhere).map(|problem| sentence(&problem.detail)),
            });
        }
        if matches!(refused, Refused::Stale) {
            return other(STALE);
        }
        if matches!(refused, Refused::LastAdmin) {
            return other(LAST_ADMIN);
        }
        if matches!(refused, Refused::MembersAtCap { .. }) {
            return other(&refused.to_string());
        }
        Err(refused.into())
    }
}

const AGENTS_WANTED: &str = "An agent admin needs at least one agent. Choose among these.";

fn is_elsewhere(problem: &&FieldProblem) -> bool {
    !problem.pointer.starts_with("/email") && !problem.pointer.starts_with("/agents")
}
