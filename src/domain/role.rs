//! Who may manage what. Enforced in `console/operations`, never in pages or handlers.

/// What a caller of the management API is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs the deployment: all organizations, their limits, all keys.
    Operator,
    /// Everything inside one organization.
    OrganizationAdmin,
    /// The agent-scoped keys of some agents of one organization.
    AgentAdmin,
}

impl Role {
    /// As stored and as the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Operator => "operator",
            Role::OrganizationAdmin => "organization-admin",
            Role::AgentAdmin => "agent-admin",
        }
    }
}
