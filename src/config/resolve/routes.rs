//! Routes: their references to upstreams, agents and parameters, and that no two are equal.

use std::collections::HashMap;

use super::upstreams::Names;
use crate::config::file;
use crate::config::leaf::EncodedSlash;
use crate::config::problem::{At, Findings, Place};
use crate::domain::route::{
    AgentSource, HostPattern, PathPattern, Route, RouteAccess, Segment, Template, TemplatePart,
    is_segment_byte,
};

pub(crate) fn resolve(
    written: Vec<At<file::Route>>,
    upstreams: &Names,
    body_bytes_max: u64,
    findings: &mut Findings,
) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let mut earlier = Earlier::default();
    for At { value, .. } in written {
        let name_place = value.name.as_ref().map(|name| name.place);
        // Of a route that is broken itself it is not known whether it equals another.
        let path_place = value.path.as_ref().filter(|_| !value.incomplete).map(|path| path.place);
        let Some(route) = route(value, upstreams, body_bytes_max, findings) else { continue };
        if let Some(place) = path_place {
            earlier.refuse_equal(&route, place, findings);
        }
        if let Some(place) = name_place {
            earlier.refuse_name(&route, place, findings);
        }
        routes.push(route);
    }
    tell_apart(&mut routes);
    routes
}

/// A route's methods, and the line of its path.
type MethodsInLine = (Vec<String>, usize);

/// What the routes before have taken.
#[derive(Default)]
struct Earlier {
    /// By host and shape of path.
    shapes: HashMap<(HostPattern, Vec<Segment>), Vec<MethodsInLine>>,
    names: HashMap<String, usize>,
}

impl Earlier {
    fn refuse_equal(&mut self, route: &Route, place: Place, findings: &mut Findings) {
        let shape = route.path.segments().iter().map(|segment| match segment {
            // Parameters match the same whatever their names.
            Segment::Parameter(_) => Segment::Parameter(String::new()),
            Segment::Rest(_) => Segment::Rest(String::new()),
            Segment::Literal(_) => segment.clone(),
        });
        let before = self.shapes.entry((route.host.clone(), shape.collect())).or_default();
        let equal = before.iter().find(|(methods, _)| overlap(methods, &route.methods));
        if let Some((methods, line)) = equal {
            let shared: Vec<&str> =
                methods.iter().filter(|m| route.methods.contains(m)).map(String::as_str).collect();
            let of = if shared.is_empty() { String::new() } else { format!(" for {}", shared.join(", ")) };
            findings.refuse(
                place,
                format!("the route in line {line} has the same host and path{of}"),
                "expected one route for each host, path and method: whichever won would be chance",
            );
        }
        before.push((route.methods.clone(), place.line));
    }

    fn refuse_name(&mut self, route: &Route, place: Place, findings: &mut Findings) {
        if let Some(line) = self.names.insert(route.label.clone(), place.line) {
            let message = format!("the route in line {line} has the same name");
            findings.refuse(
                place,
                message,
                "expected a name of its own: metrics and logs tell routes apart by it",
            );
        }
    }
}

/// No methods means all of them.
fn overlap(a: &[String], b: &[String]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|method| b.contains(method))
}

/// Routes that differ in methods alone get these into their labels, so that metrics can tell them apart.
fn tell_apart(routes: &mut [Route]) {
    let mut count: HashMap<String, usize> = HashMap::new();
    for route in &*routes {
        *count.entry(route.label.clone()).or_default() += 1;
    }
    for route in routes.iter_mut().filter(|route| count.get(&route.label).is_some_and(|count| *count > 1)) {
        route.label = format!("{} {}", route.methods.join(","), route.label);
    }
}

fn route(
    written: file::Route,
    upstreams: &Names,
    body_bytes_max: u64,
    findings: &mut Findings,
) -> Option<Route> {
    let access = written.access.as_ref().map_or(RouteAccess::Key, |access| access.value.0);
    if access == RouteAccess::Public {
        refuse_on_public(&written, findings);
    }
    let credentials = credentials(&written, findings);
    let methods = methods(&written, findings);
    let path = written.path.map(|path| path.value);
    let agent_written = written.agent.is_some();
    let agent =
        path.as_ref().zip(written.agent).and_then(|(path, agent)| agent_source(&agent, path, findings));
    refuse_key_as_agent(agent.as_ref(), &credentials, findings);
    let upstream = written.upstream.and_then(|upstream| {
        upstream_template(&upstream, agent_written, agent.as_ref(), upstreams, findings)
    });
    let rewrite = path.as_ref().zip(written.rewrite).and_then(|(path, text)| rewrite(&text, path, findings));
    let path = path?;
    let host_text = written.host.as_ref().map_or(String::new(), |host| host_text(&host.value));
    Some(Route {
        label: written.name.map_or_else(|| format!("{host_text}{}", path.as_str()), |name| name.value.0),
        host: written.host.map_or(HostPattern::Any, |host| host.value),
        path,
        methods,
        access,
        agent: agent.map(|agent| agent.value),
        upstream: upstream.unwrap_or(Template(Vec::new())),
        rewrite,
        encoded_slash: written.encoded_slash.is_some_and(|choice| choice.value.0 == EncodedSlash::Allow),
        query_credentials: credentials.into_iter().map(|credential| credential.value).collect(),
        body_bytes_max: written.body_bytes_max.map_or(body_bytes_max, |max| max.value.0),
    })
}

fn refuse_on_public(written: &file::Route, findings: &mut Findings) {
    if let Some(agent) = &written.agent {
        let expected =
            "expected no `agent`, or `access: key`: on a public route no key is read that could open one";
        findings.refuse(agent.place, "an agent on a public route", expected);
    }
    if let Some(credentials) = &written.credentials {
        let expected = "expected no `credentials`, or `access: key`: on a public route no key is read";
        findings.refuse(credentials.place, "credentials on a public route", expected);
    }
}

fn credentials(written: &file::Route, findings: &mut Findings) -> Vec<At<String>> {
    let mut names: Vec<At<String>> = Vec::new();
    for place in written.credentials.iter().flat_map(|list| &list.value.0) {
        if names.iter().any(|name| name.value == place.value.0) {
            findings.refuse(place.place, "the same place twice", "expected each query parameter once");
        }
        names.push(At { value: place.value.0.clone(), place: place.place });
    }
    names
}

fn methods(written: &file::Route, findings: &mut Findings) -> Vec<String> {
    let mut methods: Vec<String> = Vec::new();
    for method in written.methods.iter().flat_map(|list| &list.value.0) {
        if methods.contains(&method.value.0) {
            findings.refuse(method.place, "the same method twice", "expected each method once");
        }
        methods.push(method.value.0.clone());
    }
    methods
}

fn agent_source(
    written: &At<String>,
    path: &PathPattern,
    findings: &mut Findings,
) -> Option<At<AgentSource>> {
    match AgentSource::parse(&written.value, path) {
        Ok(source) => Some(At { value: source, place: written.place }),
        Err(invalid) => {
            let is_rest =
                |s: &&Segment| matches!(s, Segment::Rest(name) if format!("{{{name}}}") == written.value);
            let expected = match path.segments().iter().find(is_rest) {
                Some(_) => {
                    "expected a parameter of one segment (`{name}`): `{*name}` matches many".to_owned()
                }
                None => invalid.0,
            };
            findings.refuse(written.place, "not a place where an agent is named", expected);
            None
        }
    }
}

/// A key must not be read as an agent's name: names of agents are written to logs.
fn refuse_key_as_agent(agent: Option<&At<AgentSource>>, credentials: &[At<String>], findings: &mut Findings) {
    let Some(agent) = agent else { return };
    let carries_key = match &agent.value {
        AgentSource::Query(name) => credentials.iter().any(|credential| credential.value == *name),
        AgentSource::Header(name) => matches!(name.as_str(), "authorization" | "x-api-key"),
        AgentSource::Literal(_) | AgentSource::PathParameter(_) | AgentSource::Host => false,
    };
    if carries_key {
        let expected = "expected an agent named elsewhere than where the key stands";
        findings.refuse(agent.place, "the key itself would name the agent", expected);
    }
}

fn upstream_template(
    written: &At<String>,
    agent_written: bool,
    agent: Option<&At<AgentSource>>,
    upstreams: &Names,
    findings: &mut Findings,
) -> Option<Template> {
    let known: &[&str] = if agent_written { &["agent"] } else { &[] };
    let template = match Template::parse(&written.value, known) {
        Ok(template) => template,
        Err(_) if !agent_written && written.value.contains("{agent}") => {
            let expected = "expected the name of an upstream: `{agent}` needs a route with an `agent`";
            findings.refuse(written.place, "an upstream that depends on an agent", expected);
            return None;
        }
        Err(_) => {
            let expected =
                "expected the name of an upstream, in which only `{agent}` may stand for something";
            findings.refuse(written.place, "not the name of an upstream", expected);
            return None;
        }
    };
    let meant = match agent.map(|agent| &agent.value) {
        Some(AgentSource::Literal(slug)) => fill_in(&template, slug.as_str()),
        _ => template.clone(),
    };
    if !upstreams.may_hold(&meant) {
        refuse_unknown(written, &meant, upstreams, findings);
        return None;
    }
    Some(template)
}

fn fill_in(template: &Template, agent: &str) -> Template {
    let text: String = template
        .0
        .iter()
        .map(|part| match part {
            TemplatePart::Literal(text) => text.as_str(),
            TemplatePart::Parameter(_) => agent,
        })
        .collect();
    Template(vec![TemplatePart::Literal(text)])
}

fn refuse_unknown(written: &At<String>, meant: &Template, upstreams: &Names, findings: &mut Findings) {
    let shown: Vec<&str> = upstreams.iter().take(20).collect();
    let known = if shown.is_empty() {
        "expected an upstream that `upstreams` defines; it defines none".to_owned()
    } else {
        format!("expected one of: {}", shown.join(", "))
    };
    match meant.literal() {
        Some(name) => {
            let message = format!("no upstream is called `{}`", crate::config::tree::shown_name(name));
            findings.refuse_name(written.place, name, upstreams.iter(), message, known);
        }
        None => findings.refuse(written.place, "no upstream has a name of this form", known),
    }
}

fn rewrite(written: &At<String>, path: &PathPattern, findings: &mut Findings) -> Option<Template> {
    let known: Vec<&str> = path.parameters().collect();
    let template = match Template::parse(&written.value, &known) {
        Ok(template) => template,
        Err(invalid) => {
            findings.refuse(written.place, "not a path to rewrite to", invalid.0);
            return None;
        }
    };
    if let Err(expected) = check_rewritten(&written.value, &template) {
        findings.refuse(written.place, "not a path to rewrite to", expected);
        return None;
    }
    Some(template)
}

/// That what is sent to the upstream is a path in its one normal form.
fn check_rewritten(text: &str, template: &Template) -> Result<(), &'static str> {
    if !text.starts_with('/') {
        return Err("expected a path that begins with `/`");
    }
    let inner = text.strip_suffix('/').unwrap_or(text).split('/').skip(1);
    if text != "/" && inner.clone().any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("expected neither empty segments (`//`) nor dot segments");
    }
    let literals = template.0.iter().filter_map(|part| match part {
        TemplatePart::Literal(text) => Some(text),
        TemplatePart::Parameter(_) => None,
    });
    for literal in literals {
        if !literal.bytes().all(|b| b == b'/' || is_segment_byte(b)) {
            return Err("expected a path of letters, digits and `-._~!$&'()*+,;=:@`, without a query");
        }
    }
    Ok(())
}

fn host_text(host: &HostPattern) -> String {
    match host {
        HostPattern::Any => String::new(),
        HostPattern::Suffix(suffix) => format!("*{suffix}"),
        HostPattern::Exact(host) => host.clone(),
    }
}
