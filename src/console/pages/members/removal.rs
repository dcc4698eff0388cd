//! Removing a member: what they lose, and why the last organization admin stays.

use axum::extract::{Path, State};
use axum::response::Response;

use super::{back, everybody, frame, is_last_admin};
use crate::console::operations::{Caller, Operations, Refused};
use crate::console::pages::confirm::{Answer, Question};
use crate::console::pages::failure::Failure;
use crate::console::pages::form::Filled;
use crate::console::pages::refusal::{STALE, expected};
use crate::console::pages::see_other;
use crate::console::session::Visitor;
use crate::console::view::{MemberStateView, MemberView, Tagged};

/// What the last organization admin is told, here and in the form.
pub(super) const LAST_ADMIN: &str = "This is the last organization admin. Make somebody else organization admin first: \
                                     without one nobody here could manage agents, members and keys.";

pub(super) async fn ask(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, member)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller, &org).await?;
    let member = operations.read_member(caller, &org, &member).await?;
    let question = question(&operations, caller, &org, &member).await?;
    let back = back(&shell);
    Ok(question.page(&shell, &format!("{back}/{}/delete", member.id), &back))
}

pub(super) async fn remove(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, member)): Path<(String, String)>,
    Filled(answer): Filled<Answer>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = frame(&operations, caller, &org).await?;
    let member = operations.read_member(caller, &org, &member).await?;
    let back = back(&shell);
    let action = format!("{back}/{}/delete", member.id);
    let problem =
        match operations.delete_member(caller, &org, &member.id.to_string(), expected(&answer.tag)).await {
            // Who removed themselves may not see the list any more.
            Ok(()) if is_self(caller, &member) && !caller.is_operator() => return Ok(see_other("/")),
            Ok(()) => return Ok(see_other(&format!("{back}?done=removed"))),
            Err(Refused::Stale) => Some(STALE),
            // The question says why.
            Err(Refused::LastAdmin) => None,
            Err(refused) => return Err(refused.into()),
        };
    let question = question(&operations, caller, &org, &member).await?;
    Ok(question.again(&shell, &action, &back, problem, ""))
}

async fn question(
    operations: &Operations,
    caller: &Caller,
    org: &str,
    member: &MemberView,
) -> Result<Question, Failure> {
    let everybody = everybody(operations, caller, org).await?;
    let refusal = is_last_admin(member, &everybody).then(|| LAST_ADMIN.to_owned());
    let lost = match (is_self(caller, member), member.state) {
        (true, _) => "You lose access to this organization at once.",
        (false, MemberStateView::Invited) => "The invitation link stops working at once.",
        (false, MemberStateView::Active | MemberStateView::Disabled) => {
            "They are signed out within a second and lose access to this organization."
        }
    };
    let kept = "Keys that they created stay and go on working; what they did stays in the audit log.";
    let sentences = match (refusal.is_some(), member.state) {
        (true, _) => Vec::new(),
        (false, MemberStateView::Invited) => vec![lost.to_owned()],
        (false, MemberStateView::Active | MemberStateView::Disabled) => {
            vec![lost.to_owned(), kept.to_owned()]
        }
    };
    Ok(Question {
        title: "Remove",
        name: member.email.to_string(),
        sentences,
        refusal,
        typed: None,
        tag: member.tag().as_str().to_owned(),
        verb: "Remove member",
        tone: "danger",
    })
}

fn is_self(caller: &Caller, member: &MemberView) -> bool {
    member.email.as_str() == caller.name()
}
