//! Phase 2: which route a request takes. The most specific one wins, whatever the order they were written in.
//!
//! Owns the compiled routes. An exact host is more specific than a suffix, a longer suffix than a shorter one, any
//! host comes last; within a host, segment by segment, a literal beats a parameter beats the rest. Never looks at keys.

use std::collections::HashMap;

use crate::domain::route::{AgentSource, HostPattern, Route, RouteAccess, Segment, Template, TemplatePart};

/// All routes, compiled for matching.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<CompiledRoute>,
    exact: HashMap<String, Node>,
    /// Longest first.
    suffixes: Vec<(String, Node)>,
    any: Node,
}

/// A route with its parameters turned into places.
#[derive(Debug)]
pub struct CompiledRoute {
    pub(crate) route: Route,
    pub(crate) upstream: Parts,
    pub(crate) rewrite: Option<Parts>,
    parameter_names: Vec<String>,
}

/// A template with parameters by place.
#[derive(Debug, Clone)]
pub(crate) struct Parts(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    /// The place of a path parameter.
    Parameter(usize),
    Agent,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    parameter: Option<Box<Node>>,
    /// Routes that end here.
    here: Vec<usize>,
    /// Routes whose rest begins here.
    rest: Vec<usize>,
}

/// What matching found.
#[derive(Debug)]
pub enum Found<'r, 'p> {
    /// A route, its place, and the values of its parameters in order.
    Route(&'r CompiledRoute, usize, Vec<&'p str>),
    /// Routes for the path but not for the method: what they allow, as `Allow` says it.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

impl Routes {
    /// Compiles routes; a route's place among them is how it is called from then on.
    pub fn compile(routes: &[Route]) -> Routes {
        let mut compiled = Routes::default();
        for (place, route) in routes.iter().enumerate() {
            let node = match &route.host {
                HostPattern::Any => &mut compiled.any,
                HostPattern::Exact(host) => compiled.exact.entry(host.clone()).or_default(),
                HostPattern::Suffix(suffix) => compiled.suffix_node(suffix),
            };
            node.insert(route.path.segments(), place);
            compiled.routes.push(CompiledRoute::new(route));
        }
        compiled.suffixes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        compiled
    }

    fn suffix_node(&mut self, suffix: &str) -> &mut Node {
        let place = match self.suffixes.iter().position(|(known, _)| known == suffix) {
            Some(place) => place,
            None => {
                self.suffixes.push((suffix.to_owned(), Node::default()));
                self.suffixes.len() - 1
            }
        };
        match self.suffixes.get_mut(place) {
            Some((_, node)) => node,
            None => &mut self.any,
        }
    }

    /// Finds the route for a host (without port), a canonical path and a method.
    pub fn find<'p>(&self, host: &str, path: &'p str, method: &str) -> Found<'_, 'p> {
        let lower = host.to_ascii_lowercase();
        let exact = self.exact.get(lower.as_str());
        let suffixes = self.suffixes.iter().filter(|(suffix, _)| lower.ends_with(suffix.as_str()));
        let trees = exact.into_iter().chain(suffixes.map(|(_, node)| node)).chain(Some(&self.any));
        let mut search = Search { routes: &self.routes, method, values: Vec::new(), allowed: Vec::new() };
        let rest = path.get(1..).unwrap_or_default();
        for tree in trees {
            if let Some(place) = search.descend(tree, Some(rest))
                && let Some(route) = self.routes.get(place)
            {
                return Found::Route(route, place, search.values);
            }
        }
        if search.allowed.is_empty() {
            Found::Nothing
        } else {
            Found::OtherMethods(search.allowed.join(", "))
        }
    }
}

impl Node {
    fn insert(&mut self, segments: &[Segment], place: usize) {
        match segments.split_first() {
            None => self.here.push(place),
            Some((Segment::Rest(_), _)) => self.rest.push(place),
            Some((Segment::Literal(text), after)) => {
                self.literals.entry(text.clone()).or_default().insert(after, place);
            }
            Some((Segment::Parameter(_), after)) => {
                self.parameter.get_or_insert_default().insert(after, place)
            }
        }
    }
}

struct Search<'r, 'p, 'm> {
    routes: &'r [CompiledRoute],
    method: &'m str,
    values: Vec<&'p str>,
    allowed: Vec<&'r str>,
}

impl<'p> Search<'_, 'p, '_> {
    /// `rest`: what follows the last slash that was used; `None` where the path has ended. Bounded by the number of
    /// segments of the longest pattern, times the two ways that each may go.
    fn descend(&mut self, node: &Node, rest: Option<&'p str>) -> Option<usize> {
        let Some(text) = rest else {
            return self.choose(&node.here).or_else(|| self.choose_rest(node, ""));
        };
        let (segment, after) = match text.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (text, None),
        };
        if let Some(found) = node.literals.get(segment).and_then(|next| self.descend(next, after)) {
            return Some(found);
        }
        if let Some(next) = node.parameter.as_deref().filter(|_| !segment.is_empty()) {
            self.values.push(segment);
            if let Some(found) = self.descend(next, after) {
                return Some(found);
            }
            self.values.pop();
        }
        self.choose_rest(node, text)
    }

    fn choose_rest(&mut self, node: &Node, text: &'p str) -> Option<usize> {
        let found = self.choose(&node.rest)?;
        self.values.push(text);
        Some(found)
    }

    fn choose(&mut self, places: &[usize]) -> Option<usize> {
        for place in places {
            let Some(compiled) = self.routes.get(*place) else { continue };
            let methods = &compiled.route.methods;
            if methods.is_empty() || methods.iter().any(|method| method == self.method) {
                return Some(*place);
            }
            self.allowed.extend(methods.iter().map(String::as_str).filter(|method| !method.is_empty()));
        }
        None
    }
}

impl CompiledRoute {
    fn new(route: &Route) -> CompiledRoute {
        let parameter_names: Vec<String> = route.path.parameters().map(str::to_owned).collect();
        CompiledRoute {
            upstream: Parts::compile(&route.upstream, &parameter_names),
            rewrite: route.rewrite.as_ref().map(|template| Parts::compile(template, &parameter_names)),
            parameter_names,
            route: route.clone(),
        }
    }

    /// Whether a key is needed.
    pub(crate) fn needs_key(&self) -> bool {
        self.route.access == RouteAccess::Key
    }

    /// The value of the path parameter that names the agent.
    pub(crate) fn agent_parameter<'p>(&self, values: &[&'p str]) -> Option<&'p str> {
        let Some(AgentSource::PathParameter(name)) = &self.route.agent else { return None };
        let place = self.parameter_names.iter().position(|known| known == name)?;
        values.get(place).copied()
    }
}

impl Parts {
    fn compile(template: &Template, names: &[String]) -> Parts {
        let part = |part: &TemplatePart| match part {
            TemplatePart::Literal(text) => Part::Literal(text.clone()),
            TemplatePart::Parameter(name) => {
                names.iter().position(|known| known == name).map_or(Part::Agent, Part::Parameter)
            }
        };
        Parts(template.0.iter().map(part).collect())
    }

    /// The text, where it depends on nothing.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for these parameters and this agent.
    pub(crate) fn expand(&self, values: &[&str], agent: Option<&str>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Parameter(place) => values.get(*place).copied().unwrap_or_default(),
                Part::Agent => agent.unwrap_or_default(),
            });
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::route::PathPattern;

    fn route(host: &str, path: &str, methods: &[&str]) -> Route {
        let path = PathPattern::parse(path).unwrap();
        Route {
            label: format!("{host}{}", path.as_str()),
            host: if host.is_empty() { HostPattern::Any } else { HostPattern::parse(host).unwrap() },
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            access: RouteAccess::Key,
            agent: None,
            upstream: Template::parse("u", &[]).unwrap(),
            rewrite: Template::parse("/{rest}", &["rest"]).ok().filter(|_| path.as_str().contains("{*rest}")),
            encoded_slash: false,
            query_credentials: Vec::new(),
            body_bytes_max: 1,
            path,
        }
    }

    fn found(routes: &Routes, host: &str, path: &str, method: &str) -> String {
        match routes.find(host, path, method) {
            Found::Route(compiled, _, values) => format!("{} {values:?}", compiled.route.label),
            Found::OtherMethods(allowed) => format!("allow {allowed}"),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_most_specific_route_wins_whatever_the_order() {
        let mut written = vec![
            route("", "/{*rest}", &[]),
            route("", "/agents/{agent}/{*rest}", &[]),
            route("", "/agents/{agent}/runs", &["GET"]),
            route("", "/agents/echo/{*rest}", &[]),
            route("*.example.com", "/agents/{agent}/{*rest}", &[]),
            route("a.example.com", "/only", &[]),
        ];
        for _ in 0..written.len() {
            written.rotate_left(1);
            let routes = Routes::compile(&written);
            assert_eq!(found(&routes, "h", "/agents/x/runs", "GET"), r#"/agents/{agent}/runs ["x"]"#);
            assert_eq!(
                found(&routes, "h", "/agents/x/runs", "POST"),
                r#"/agents/{agent}/{*rest} ["x", "runs"]"#
            );
            assert_eq!(found(&routes, "h", "/agents/echo/a/b", "GET"), r#"/agents/echo/{*rest} ["a/b"]"#);
            assert_eq!(found(&routes, "h", "/agents/x", "GET"), r#"/agents/{agent}/{*rest} ["x", ""]"#);
            assert_eq!(found(&routes, "h", "/", "GET"), r#"/{*rest} [""]"#);
            assert_eq!(found(&routes, "A.Example.com", "/only", "GET"), "a.example.com/only []");
            assert_eq!(
                found(&routes, "a.example.com", "/agents/x/y", "GET"),
                r#"*.example.com/agents/{agent}/{*rest} ["x", "y"]"#
            );
        }
    }

    #[test]
    fn a_path_with_other_methods_says_which() {
        let routes = Routes::compile(&[route("", "/a", &["GET", "PUT"]), route("", "/a", &["POST"])]);
        assert_eq!(found(&routes, "h", "/a", "DELETE"), "allow GET, PUT, POST");
        assert_eq!(found(&routes, "h", "/a/", "GET"), "nothing");
        assert_eq!(found(&routes, "h", "/b", "GET"), "nothing");
    }

    #[test]
    fn a_template_takes_the_values_of_its_parameters() {
        let routes = Routes::compile(&[route("", "/x/{*rest}", &[])]);
        let Found::Route(compiled, 0, values) = routes.find("h", "/x/a/b", "GET") else { panic!("no route") };
        assert_eq!(compiled.rewrite.as_ref().unwrap().expand(&values, None), "/a/b");
        assert_eq!(compiled.upstream.literal(), Some("u"));
    }
}
