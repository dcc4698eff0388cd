//! A line that calls the gateway with a key, made from the routes in force: ready to paste into a shell.
//!
//! Promises that every word is quoted, so that nothing of a route or a name is a command. Shows one way that the key
//! opens; there may be others.

use crate::domain::name::Slug;
use crate::domain::route::{AgentSource, HostPattern, Route, RouteAccess, Segment};

/// What the key opens, for choosing a route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opens<'a> {
    /// The one agent, where it opens one only.
    pub(super) agent: Option<&'a Slug>,
    /// An agent to show where it opens all.
    pub(super) example: Option<&'a Slug>,
    /// Whether only reading methods pass.
    pub(super) is_read_only: bool,
}

/// The line for `secret` at the gateway.
pub(super) fn line(secret: &str, gateway_url: &str, routes: &[Route], opens: Opens<'_>) -> String {
    let mut words = vec!["curl".to_owned()];
    let mut url = format!("{gateway_url}/");
    if let Some((route, agent)) = choose(routes, opens) {
        let method = method(route);
        if method != "GET" {
            words.push(format!("-X {method}"));
        }
        if let Some(host) = host(route, agent) {
            words.push(format!("-H {}", quoted(&format!("host: {host}"))));
        }
        if let (Some(AgentSource::Header(name)), Some(agent)) = (&route.agent, agent) {
            words.push(format!("-H {}", quoted(&format!("{name}: {agent}"))));
        }
        url = format!("{gateway_url}{}", path(route, agent));
    }
    words.push(format!("-H {} \\\n ", quoted(&format!("x-api-key: {secret}"))));
    words.push(quoted(&url));
    words.join(" ")
}

/// The route that shows best what the key opens, and the agent to name in it.
fn choose<'a>(routes: &'a [Route], opens: Opens<'a>) -> Option<(&'a Route, Option<&'a Slug>)> {
    let fits = |route: &'a Route| -> Option<(&'a Route, Option<&'a Slug>)> {
        if route.access == RouteAccess::Public || (opens.is_read_only && method(route) != "GET") {
            return None;
        }
        match (&route.agent, opens.agent) {
            (None, None) => Some((route, None)),
            (None, Some(_)) => None,
            (Some(AgentSource::Literal(own)), Some(agent)) => (own == agent).then_some((route, Some(agent))),
            (Some(AgentSource::Literal(own)), None) => Some((route, Some(own))),
            (Some(_), Some(agent)) => Some((route, Some(agent))),
            (Some(_), None) => opens.example.map(|agent| (route, Some(agent))),
        }
    };
    // A plain read shows more than an example that would change something.
    let found: Vec<_> = routes.iter().filter_map(fits).collect();
    found.iter().find(|(route, _)| method(route) == "GET").or(found.first()).copied()
}

fn method(route: &Route) -> &str {
    let takes = |method: &str| route.methods.is_empty() || route.methods.iter().any(|own| own == method);
    if takes("GET") { "GET" } else { route.methods.first().map_or("GET", String::as_str) }
}

fn host(route: &Route, agent: Option<&Slug>) -> Option<String> {
    match &route.host {
        HostPattern::Any if route.agent == Some(AgentSource::Host) => {
            agent.map(|agent| format!("{agent}.example"))
        }
        HostPattern::Any => None,
        HostPattern::Exact(host) => Some(host.clone()),
        HostPattern::Suffix(suffix) => Some(format!("{}{suffix}", agent.map_or("www", Slug::as_str))),
    }
}

fn path(route: &Route, agent: Option<&Slug>) -> String {
    let slug = agent.map_or("", Slug::as_str);
    let mut path = String::new();
    for segment in route.path.segments() {
        path.push('/');
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Parameter(name) => {
                let is_agent = route.agent == Some(AgentSource::PathParameter(name.clone()));
                path.push_str(if is_agent { slug } else { name });
            }
            Segment::Rest(_) => {}
        }
    }
    if let Some(AgentSource::Query(name)) = &route.agent {
        path.push_str(&format!("?{name}={slug}"));
    }
    path
}

/// A word of a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::route::{PathPattern, Template};

    fn route(path: &str, agent: Option<&str>, methods: &[&str]) -> Route {
        let path = PathPattern::parse(path).unwrap();
        Route {
            label: path.as_str().to_owned(),
            host: HostPattern::Any,
            agent: agent.map(|agent| AgentSource::parse(agent, &path).unwrap()),
            path,
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            access: RouteAccess::Key,
            upstream: Template(Vec::new()),
            rewrite: None,
            encoded_slash: false,
            query_credentials: Vec::new(),
            body_bytes_max: 0,
        }
    }

    fn shown(routes: &[Route], agent: Option<&str>) -> String {
        let (agent, example): (Option<Slug>, Slug) =
            (agent.map(|a| a.parse().unwrap()), "echo".parse().unwrap());
        let opens = Opens { agent: agent.as_ref(), example: Some(&example), is_read_only: false };
        line("ks_x", "http://gw", routes, opens).replace(" \\\n ", "")
    }

    #[test]
    fn the_line_names_the_agent_where_its_route_looks_for_it() {
        let key = "-H 'x-api-key: ks_x'";
        let by_path = route("/agents/{agent}/{*rest}", Some("{agent}"), &[]);
        assert_eq!(shown(&[by_path], Some("billing")), format!("curl {key} 'http://gw/agents/billing/'"));
        let by_query = route("/v2/runs", Some("{query.agent_id}"), &["POST"]);
        let line = format!("curl -X POST {key} 'http://gw/v2/runs?agent_id=echo'");
        assert_eq!(shown(std::slice::from_ref(&by_query), None), line);
        let by_header = route("/v3", Some("{header.x-agent}"), &[]);
        let line = format!("curl -H 'x-agent: billing' {key} 'http://gw/v3'");
        assert_eq!(shown(&[by_query, by_header], Some("billing")), line, "a read is preferred");
    }

    #[test]
    fn a_route_of_another_agent_or_of_the_organization_is_not_shown_to_an_agents_key() {
        let routes = [route("/status", None, &[]), route("/echo", Some("echo"), &[])];
        assert_eq!(shown(&routes, Some("billing")), "curl -H 'x-api-key: ks_x' 'http://gw/'");
        assert!(shown(&routes, None).ends_with("'http://gw/status'"));
    }

    #[test]
    fn nothing_of_a_route_is_a_command() {
        let hostile = route("/a'$(id)'/b", None, &[]);
        assert!(shown(&[hostile], None).ends_with(r"'http://gw/a'\''$(id)'\''/b'"));
    }
}
