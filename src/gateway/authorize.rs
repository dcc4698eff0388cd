//! Phase 7: whether the key opens the route's agent with this method.
//!
//! Promises that another agent, another organization's agent and no such agent are refused alike. Never looks
//! outside the principal's own organization.

use super::credential::{decoded, parameters};
use super::http1::field::{Field, like};
use super::http1::target::host_name;
use super::routes::CompiledRoute;
use crate::domain::denial::Denial;
use crate::domain::id::AgentId;
use crate::domain::route::AgentSource;
use crate::domain::scope::{Access, Scope};
use crate::keytable::KeyEntry;

/// What of a request may name the agent.
pub(crate) struct Naming<'b, 'f> {
    pub(crate) parameters: &'f [&'b str],
    pub(crate) query: Option<&'b str>,
    pub(crate) fields: &'f [Field<'b>],
    pub(crate) host: &'b str,
}

/// Checks agent and method; gives the agent and its slug, where the route has one.
pub(crate) fn authorize<'b>(
    entry: &KeyEntry,
    route: &'b CompiledRoute,
    naming: &Naming<'b, '_>,
    method: &str,
) -> Result<Option<(AgentId, &'b str)>, Denial> {
    let agent = match &route.route.agent {
        None => match entry.scope {
            Scope::Organization => None,
            Scope::Agent(_) => return Err(Denial::AgentNotPermitted),
        },
        Some(source) => {
            let slug = agent_slug(source, route, naming).ok_or(Denial::AgentNotPermitted)?;
            let agent = entry.organization.agent(slug).ok_or(Denial::AgentNotPermitted)?;
            match entry.scope {
                Scope::Agent(own) if own != agent => return Err(Denial::AgentNotPermitted),
                Scope::Agent(_) | Scope::Organization => Some((agent, slug)),
            }
        }
    };
    let reads = matches!(method, "GET" | "HEAD" | "OPTIONS");
    if entry.access == Access::Read && !reads {
        return Err(Denial::MethodNotPermitted);
    }
    Ok(agent)
}

/// The slug as the request names it; `None` where it names none, or more than one.
fn agent_slug<'b>(
    source: &'b AgentSource,
    route: &'b CompiledRoute,
    naming: &Naming<'b, '_>,
) -> Option<&'b str> {
    match source {
        AgentSource::Literal(slug) => Some(slug.as_str()),
        AgentSource::PathParameter(_) => route.agent_parameter(naming.parameters),
        AgentSource::Query(name) => {
            // Decoded, because a backend decodes: `agent%5Fid` beside `agent_id` names a second agent.
            let named = parameters(naming.query?).filter(|(known, _)| decoded(known) == *name);
            only(named.map(|(_, value)| value))
        }
        AgentSource::Header(name) => {
            // An underscore for a hyphen names the same variable to many backends: it counts as a second one.
            let values = naming.fields.iter().filter(|field| like(field.name, name));
            only(values.map(|field| field.value)).and_then(|value| std::str::from_utf8(value).ok())
        }
        AgentSource::Host => host_name(naming.host).split('.').next(),
    }
}

fn only<T>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.next().is_none().then_some(first)
}
