//! What a key opens, in words: "Organization", or an agent by its name.
//!
//! Promises that a name never stands without the slug at hand: two agents may be called the same. An agent that is not
//! the reader's to know of is called by its slug, as the key has it.

use std::collections::BTreeMap;

use super::failure::Failure;
use crate::console::operations::{Caller, Operations};
use crate::console::view::{AgentView, ScopeView};
use crate::domain::id::AgentId;
use crate::domain::name::Slug;

/// Agents read at once.
const AGENTS_A_PAGE: u32 = 200;

/// A scope as pages show it. Ordered by its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ScopeWords {
    /// "Organization", or the agent's name.
    pub(crate) words: String,
    /// The agent's name with its slug; nothing where the key opens all.
    pub(crate) agent: Option<String>,
    /// Its class: `org` or `agent`.
    pub(crate) class: &'static str,
}

impl ScopeWords {
    /// Whether a text, in lower case, stands in it.
    pub(crate) fn contains(&self, wanted: &str) -> bool {
        let texts = [Some(&self.words), self.agent.as_ref()];
        texts.into_iter().flatten().any(|text| text.to_lowercase().contains(wanted))
    }
}

/// What the agents of an organization are called, by slug.
#[derive(Debug, Clone, Default)]
pub(crate) struct AgentNames(BTreeMap<String, String>);

impl AgentNames {
    /// Of every agent that the caller may know of.
    pub(crate) async fn read(
        operations: &Operations,
        caller: &Caller,
        organization: &str,
    ) -> Result<AgentNames, Failure> {
        let mut all = Vec::new();
        let mut after: Option<AgentId> = None;
        loop {
            let found = operations.list_agents(caller, organization, after, AGENTS_A_PAGE).await?;
            all.extend(found.items);
            after = found.next.and_then(|next| next.parse().ok());
            if after.is_none() {
                return Ok(AgentNames::of(&all));
            }
        }
    }

    /// Of these.
    pub(crate) fn of(agents: &[AgentView]) -> AgentNames {
        AgentNames(agents.iter().map(|agent| (agent.slug.to_string(), agent.name.to_string())).collect())
    }

    /// What the agent is called.
    pub(crate) fn name(&self, slug: &str) -> String {
        self.0.get(slug).cloned().unwrap_or_else(|| slug.to_owned())
    }

    /// A key's scope in words.
    pub(crate) fn scope(&self, scope: &ScopeView) -> ScopeWords {
        match scope {
            ScopeView::Organization => {
                ScopeWords { words: "Organization".to_owned(), agent: None, class: "org" }
            }
            ScopeView::Agent { agent } => {
                let words = self.name(agent.as_str());
                ScopeWords { agent: Some(labelled(&words, agent)), words, class: "agent" }
            }
        }
    }
}

/// An agent among others: "Billing desk (billing)".
pub(crate) fn labelled(name: &str, slug: &Slug) -> String {
    if name == slug.as_str() { name.to_owned() } else { format!("{name} ({slug})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_called_by_its_name_and_found_by_its_slug() {
        let names = AgentNames(BTreeMap::from([("billing".to_owned(), "Invoices".to_owned())]));
        let scope = names.scope(&ScopeView::Agent { agent: "billing".parse().unwrap() });
        assert_eq!((scope.words.as_str(), scope.agent.as_deref()), ("Invoices", Some("Invoices (billing)")));
        assert!(scope.contains("invoice") && scope.contains("billing") && !scope.contains("organization"));
        let unknown = names.scope(&ScopeView::Agent { agent: "echo".parse().unwrap() });
        assert_eq!(unknown.agent.as_deref(), Some("echo"));
        assert!(names.scope(&ScopeView::Organization).contains("organization"));
    }
}
