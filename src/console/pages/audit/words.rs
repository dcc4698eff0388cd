//! What the audit log's actions and fields are called on pages.
//!
//! Promises words for every action there is; one that this version does not know is shown as it is stored.

use std::borrow::Cow;

use crate::console::pages::limit_words;
use crate::console::pages::time::Reading;
use crate::domain::clock::UnixMillis;
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
        Action::TokenRevoked => "Management token revoked",
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

/// A field's value as people say it; one that does not read is shown as it is stored.
pub(crate) fn value(field: &str, stored: String, reading: &Reading) -> String {
    let words = match field {
        "limits" => serde_json::from_str(&stored).ok().map(|limits| limit_words::limits(&limits)),
        "expiresAt" => UnixMillis::parse_rfc3339(&stored).map(|at| reading.date_time(at).words().to_owned()),
        "disabled" if stored == "true" => Some("yes".to_owned()),
        "disabled" => Some("no".to_owned()),
        "role" => match stored.as_str() {
            "organization-admin" => Some("organization admin".to_owned()),
            "agent-admin" => Some("agent admin".to_owned()),
            _ => None,
        },
        "agents" if stored.is_empty() => Some("none".to_owned()),
        _ => None,
    };
    words.unwrap_or(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::zone::Zone;

    #[test]
    fn values_are_said_in_words_and_what_does_not_read_is_shown_as_stored() {
        let reading = Reading::new(UnixMillis(1_795_442_551_123), None, &Zone::utc());
        let said = |field, stored: &str| value(field, stored.to_owned(), &reading);
        assert_eq!(said("limits", r#"{"concurrency":5}"#), "5 in flight");
        assert_eq!(said("limits", "broken"), "broken");
        assert_eq!(said("disabled", "true"), "yes");
        assert_eq!(said("name", "true"), "true");
        assert!(said("expiresAt", "2999-01-01T00:00:00.000Z").contains("2999"));
    }

    #[test]
    fn every_action_has_words_and_an_unknown_one_is_shown_as_stored() {
        for (stored, words) in actions() {
            assert_eq!(action(stored), words);
            assert!(!words.contains('.'), "{words}");
        }
        assert_eq!(action("key.praised"), "key.praised");
    }
}
