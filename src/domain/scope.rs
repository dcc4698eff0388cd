//! What a key opens: every agent of its organization, or one of them.

use serde::{Deserialize, Serialize};

use super::id::AgentId;

/// The reach of a key. Fixed at creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every agent of the organization, and its routes without an agent.
    Organization,
    /// One agent.
    Agent(AgentId),
}

impl Scope {
    /// The agent, where there is one.
    pub fn agent(self) -> Option<AgentId> {
        match self {
            Scope::Organization => None,
            Scope::Agent(agent) => Some(agent),
        }
    }

    /// As the injected field `x-keystile-scope` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Organization => "organization",
            Scope::Agent(_) => "agent",
        }
    }
}

/// Which methods a key may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Every method.
    #[default]
    All,
    /// GET, HEAD and OPTIONS only.
    Read,
}

impl Access {
    /// As stored and as the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Access::All => "all",
            Access::Read => "read",
        }
    }
}
