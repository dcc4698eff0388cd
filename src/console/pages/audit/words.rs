//! What the audit log's actions and fields are called on pages.
//!
//! Promises words for every action there is; one that this version does not know is shown as it is stored.

use std::borrow::Cow;

use crate::store::Action;

/// What was done, as people say it.
pub(crate) fn action(stored: &str) -> Cow<'_, str> {
    let known = Action::ALL.into_iter().find(|action| action.as_str() == stored);
    known.map_or(Cow::Borrowed(stored), |action| Cow::Borrowed(in_words(action)))
}

/// Every action with its words, in the order of a list to choose from.
pub(crate) fn actions() -> impl Iterator<Item = (&'static str, &'static str)> {
    Action::ALL.into_iter().map(|action| (action.as_str(), in_words(action)))
}

fn in_words(action: Action) -> &'static str {
    match action {
        Action::OrganizationCreated => "Organization created",
        Action::OrganizationChanged => "Organization changed",
        Action::OrganizationDeleted => "Organization deleted",
        Action::AgentCreated => "Agent created",
        Action::AgentChanged => "Agent changed",
        Action::AgentDeleted => "Agent deleted",
        Action::KeyCreated => "Key created",
        Action::KeyChanged => "Key changed",
        Action::KeyDeleted => "Key deleted",
        Action::OperatorCreated => "Operator created",
        Action::TokenCreated => "Management token created",
        Action::MemberInvited => "Member invited",
        Action::InvitationRenewed => "Invitation link made anew",
        Action::MemberJoined => "Member joined",
        Action::MemberChanged => "Member changed",
        Action::MemberRemoved => "Member removed",
        Action::SignedIn => "Signed in",
        Action::PasswordChanged => "Password changed",
    }
}

/// A field as people say it: `expiresAt` is "expiry".
pub(crate) fn field(stored: &str) -> Cow<'_, str> {
    Cow::Borrowed(match stored {
        "timeZone" => "time zone",
        "expiresAt" => "expiry",
        other => return Cow::Owned(other.replace('/', " ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_words_and_an_unknown_one_is_shown_as_stored() {
        for (stored, words) in actions() {
            assert_eq!(action(stored), words);
            assert!(!words.contains('.'), "{words}");
        }
        assert_eq!(action("key.praised"), "key.praised");
    }
}
