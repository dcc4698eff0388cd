//! What every signed-in page has around it: product mark, organization switcher, account menu, notice.
//!
//! Promises that the menu offers nothing that the person's role would be refused. Decides nothing: a page that is not
//! in the menu is refused by its operation.

use super::failure::Failure;
use super::notice::Notice;
use super::time::Reading;
use crate::console::operations::{Caller, Operations};
use crate::console::view::OrganizationView;
use crate::domain::member::MemberRole;
use crate::domain::role::Role;
use crate::domain::zone::Zone;

/// Most organizations in the switcher; the page of all of them has the others.
const SWITCHER_MAX: u32 = 100;

/// Which entry of the menu a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// API Keys, and a key's dialogs and usage.
    Keys,
    /// Members.
    Members,
    /// Agents.
    Agents,
    /// The audit log.
    Audit,
    /// Settings of the person.
    Settings,
    /// Operators' list of all organizations.
    Organizations,
    /// Operators' view of the gateways.
    Gateways,
}

/// The frame of a page.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    /// The organization that the page is about.
    pub(crate) organization: Option<OrganizationView>,
    /// Those that the person may switch to.
    pub(crate) organizations: Vec<OrganizationView>,
    /// Whether the person runs the deployment.
    pub(crate) is_operator: bool,
    /// What they are called: their name if they set one, else their e-mail address.
    pub(crate) person: String,
    /// Their e-mail address, where they are called otherwise.
    pub(crate) email: Option<String>,
    /// Two letters for the avatar.
    pub(crate) initials: String,
    /// Their role here.
    pub(crate) role: Role,
    /// Which entry of the menu the page belongs to.
    pub(crate) place: Place,
    /// What just happened.
    pub(crate) notice: Option<Notice>,
    /// How the person reads instants at the moment that the page is of.
    pub(crate) reading: Reading,
}

/// One entry of the account menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its words.
    pub(crate) label: &'static str,
    /// Where it leads.
    pub(crate) address: String,
    /// Whether it is the page that shows it.
    pub(crate) is_here: bool,
}

impl Shell {
    /// The frame of a page of `organization`, where it is of one.
    ///
    /// # Errors
    /// Where the caller may not know of the organization, or the database does not answer.
    pub(crate) async fn read(
        operations: &Operations,
        caller: &Caller,
        organization: Option<&str>,
        place: Place,
    ) -> Result<Shell, Failure> {
        let organization = match organization {
            Some(reference) => Some(operations.read_organization(caller, reference).await?),
            None => None,
        };
        let organizations = operations.list_organizations(caller, None, SWITCHER_MAX).await?.items;
        let person = caller.display_name().map_or(caller.name().to_owned(), ToString::to_string);
        let own = caller.zone().or(organization.as_ref().map(|organization| &organization.time_zone));
        let zone = own.cloned().unwrap_or_else(Zone::utc);
        let here = organization.as_ref().or(organizations.first());
        let role = here.and_then(|here| caller.role_in(here.id)).unwrap_or(Role::Operator);
        Ok(Shell {
            organization,
            organizations,
            is_operator: caller.is_operator(),
            initials: initials(&person),
            email: caller.display_name().is_some().then(|| caller.name().to_owned()),
            person,
            role,
            place,
            notice: None,
            reading: Reading::new(operations.now(), None, &zone),
        })
    }

    /// With what just happened.
    pub(crate) fn saying(self, notice: Option<Notice>) -> Shell {
        Shell { notice, ..self }
    }

    /// Whether there is somewhere to switch to.
    pub(crate) fn may_switch(&self) -> bool {
        self.is_operator || self.organizations.len() > 1
    }

    /// The slug of the page's organization, as addresses have it.
    pub(crate) fn slug(&self) -> &str {
        self.organization.as_ref().map_or("", |organization| organization.slug.as_str())
    }

    /// The person's role here, in words.
    pub(crate) fn role_in_words(&self) -> &'static str {
        role_in_words(self.role)
    }

    /// The account menu.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut add = |place: Place, label: &'static str, address: String| {
            entries.push(Entry { label, address, is_here: self.place == place });
        };
        // Without an organization at hand, the first one that the person has.
        let here = self.organization.as_ref().or(self.organizations.first());
        if let Some(here) = here {
            let at = |part: &str| format!("/orgs/{}/{part}", here.slug);
            add(Place::Keys, "API Keys", at("keys"));
            if self.role != Role::AgentAdmin {
                add(Place::Members, "Members", at("members"));
            }
            add(Place::Agents, "Agents", at("agents"));
            add(Place::Audit, "Audit log", at("audit"));
            add(Place::Settings, "Settings", at("settings"));
        }
        if self.is_operator {
            add(Place::Organizations, "Organizations", "/orgs".to_owned());
            add(Place::Gateways, "Gateways", "/gateways".to_owned());
        }
        entries
    }
}

/// What a role is called on pages.
pub(crate) fn role_in_words(role: Role) -> &'static str {
    match role {
        Role::Operator => "Operator",
        Role::OrganizationAdmin => "Organization admin",
        Role::AgentAdmin => "Agent admin",
    }
}

/// What a member's role is called within a sentence, after "an".
pub(crate) fn member_role_in_a_sentence(role: MemberRole) -> &'static str {
    match role {
        MemberRole::OrganizationAdmin => "organization admin",
        MemberRole::AgentAdmin => "agent admin",
    }
}

/// Two letters of an e-mail address or a name.
fn initials(name: &str) -> String {
    let local = name.split('@').next().unwrap_or(name);
    let mut words = local.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let letters: String = match (words.next(), words.next()) {
        (Some(first), Some(second)) => first.chars().take(1).chain(second.chars().take(1)).collect(),
        (Some(only), None) => only.chars().take(2).collect(),
        _ => String::from("?"),
    };
    letters.to_uppercase()
}

#[cfg(test)]
impl Shell {
    /// The frame of an operator's page that is about no organization, for tests of what stands in it.
    pub(crate) fn of_an_operator(reading: Reading) -> Shell {
        Shell {
            organization: None,
            organizations: Vec::new(),
            is_operator: true,
            person: "root@example.com".to_owned(),
            email: None,
            initials: "RO".to_owned(),
            role: Role::Operator,
            place: Place::Gateways,
            notice: None,
            reading,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_two_letters_of_whatever_the_name_is() {
        for (name, letters) in [
            ("owner@acme.example", "OW"),
            ("ada.lovelace@x.org", "AL"),
            ("Olivia Owner", "OO"),
            ("نور", "نو"),
            ("@", "?"),
        ] {
            assert_eq!(initials(name), letters);
        }
    }
}
