//! Routes as operators write them: host, path and methods to an agent and an upstream.
//!
//! Owns the grammar of path patterns, templates and agent sources. Matching compiled routes is the gateway's.

use super::name::Slug;

/// A piece of a path pattern, between slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Matches itself, byte for byte.
    Literal(String),
    /// `{name}`: matches one segment that is not empty.
    Parameter(String),
    /// `{*name}`: matches all that is left, even nothing; only at the end.
    Rest(String),
}

/// A path pattern such as `/agents/{agent}/{*rest}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
}

/// Why a text is not a path pattern, template, agent source or host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(pub String);

fn invalid<T>(message: impl Into<String>) -> Result<T, InvalidPattern> {
    Err(InvalidPattern(message.into()))
}

fn is_parameter_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Bytes that a canonical path segment may hold as they are (RFC 3986 section 3.3), `%` apart.
pub fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong: no leading slash, empty or unclosed parameter, `{*rest}` not at the end, a parameter
    /// named twice, a literal that no canonical path can contain.
    pub fn parse(text: &str) -> Result<PathPattern, InvalidPattern> {
        let Some(rest) = text.strip_prefix('/') else {
            return invalid("expected a path that begins with `/`");
        };
        let mut segments = Vec::new();
        let pieces: Vec<&str> = rest.split('/').collect();
        for (at, piece) in pieces.iter().enumerate() {
            let last = at + 1 == pieces.len();
            segments.push(Self::segment(piece, last)?);
        }
        let names: Vec<&str> = segments.iter().filter_map(Segment::parameter_name).collect();
        let twice = names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|n| n == *name));
        if let Some((_, name)) = twice {
            return invalid(format!("the parameter `{{{name}}}` is named twice"));
        }
        Ok(PathPattern { text: text.to_owned(), segments })
    }

    fn segment(piece: &str, last: bool) -> Result<Segment, InvalidPattern> {
        if let Some(name) = piece.strip_prefix("{*").and_then(|name| name.strip_suffix('}')) {
            if !is_parameter_name(name) {
                return invalid(format!("`{piece}` needs a name of letters, digits and underscores"));
            }
            if !last {
                return invalid(format!("`{piece}` matches all that is left, so it must come last"));
            }
            return Ok(Segment::Rest(name.to_owned()));
        }
        if let Some(name) = piece.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            if !is_parameter_name(name) {
                return invalid(format!("`{piece}` needs a name of letters, digits and underscores"));
            }
            return Ok(Segment::Parameter(name.to_owned()));
        }
        if piece.contains(['{', '}']) {
            return invalid(format!("`{piece}`: a parameter takes a whole segment, as in `/{{agent}}/`"));
        }
        if piece.is_empty() && !last {
            return invalid("expected no empty segment (`//`)");
        }
        if piece == "." || piece == ".." {
            return invalid("dot segments are resolved before routing, so this pattern would never match");
        }
        if !piece.bytes().all(is_segment_byte) {
            return invalid(format!("`{piece}` holds a character that a path carries only percent-encoded"));
        }
        Ok(Segment::Literal(piece.to_owned()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments. A pattern that ends in `/` has an empty literal last.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The names of its parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::parameter_name)
    }

    /// Whether both match the same paths: parameters' names do not matter.
    pub fn matches_the_same_as(&self, other: &PathPattern) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(own), Segment::Literal(others)) => own == others,
                (Segment::Parameter(_), Segment::Parameter(_)) | (Segment::Rest(_), Segment::Rest(_)) => true,
                _ => false,
            })
    }
}

impl Segment {
    /// The parameter's name, where it is one.
    pub fn parameter_name(&self) -> Option<&str> {
        match self {
            Segment::Literal(_) => None,
            Segment::Parameter(name) | Segment::Rest(name) => Some(name),
        }
    }
}

/// A text with `{parameter}`s in it: `rewrite`, or an upstream's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub Vec<TemplatePart>);

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// Stands for itself.
    Literal(String),
    /// Stands for the parameter's value.
    Parameter(String),
}

impl Template {
    /// Reads a template; `known` are the parameters that may occur.
    ///
    /// # Errors
    /// An unclosed brace, or a parameter that is not known.
    pub fn parse(text: &str, known: &[&str]) -> Result<Template, InvalidPattern> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (literal, from_brace) = rest.split_at(open);
            if !literal.is_empty() {
                parts.push(TemplatePart::Literal(literal.to_owned()));
            }
            let Some((name, after)) = from_brace.strip_prefix('{').and_then(|rest| rest.split_once('}'))
            else {
                return invalid("expected every `{` to have its `}`");
            };
            if !known.contains(&name) {
                let names = known.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ");
                let known = if names.is_empty() { "no parameter is defined here".to_owned() } else { names };
                return invalid(format!("`{{{name}}}` is not defined; known: {known}"));
            }
            parts.push(TemplatePart::Parameter(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(TemplatePart::Literal(rest.to_owned()));
        }
        Ok(Template(parts))
    }

    /// The text, where it has no parameter.
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [TemplatePart::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

/// Where a route's agent is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentSource {
    /// Always this agent.
    Literal(Slug),
    /// `{name}`: a parameter of the path.
    PathParameter(String),
    /// `{query.NAME}`: a query parameter; must occur exactly once.
    Query(String),
    /// `{header.NAME}`: a header field, lower case; must occur exactly once.
    Header(String),
    /// `{host}`: the first label of the host.
    Host,
}

impl AgentSource {
    /// Reads `agent`; `path` is the route's own pattern.
    ///
    /// # Errors
    /// An unknown parameter, or a literal that is not a slug.
    pub fn parse(text: &str, path: &PathPattern) -> Result<AgentSource, InvalidPattern> {
        let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return match text.parse() {
                Ok(slug) => Ok(AgentSource::Literal(slug)),
                Err(_) => invalid(
                    "expected an agent's slug, a path parameter such as `{agent}`, `{query.NAME}`, `{header.NAME}` or `{host}`",
                ),
            };
        };
        if let Some(name) = inner.strip_prefix("query.") {
            let fits =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
            return if fits {
                Ok(AgentSource::Query(name.to_owned()))
            } else {
                invalid("expected a query parameter's name after `query.`")
            };
        }
        if let Some(name) = inner.strip_prefix("header.") {
            let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            return if fits {
                Ok(AgentSource::Header(name.to_ascii_lowercase()))
            } else {
                invalid("expected a header field's name after `header.`")
            };
        }
        // A path parameter of that name wins over the host's label.
        if path.segments.iter().any(|s| matches!(s, Segment::Parameter(name) if name == inner)) {
            return Ok(AgentSource::PathParameter(inner.to_owned()));
        }
        if inner == "host" {
            return Ok(AgentSource::Host);
        }
        invalid(format!("`{text}` is not a parameter of `{}`", path.as_str()))
    }
}

/// Which hosts a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Whatever the host.
    Any,
    /// `*.example.com`: one label or more in front of this suffix (kept with its leading dot, lower case).
    Suffix(String),
    /// This host, lower case, without port.
    Exact(String),
}

impl HostPattern {
    /// Reads `host`.
    ///
    /// # Errors
    /// Not a host name, or a star anywhere but as the first label.
    pub fn parse(text: &str) -> Result<HostPattern, InvalidPattern> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("*.").unwrap_or(&lower);
        let label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if name.is_empty() || name.len() > 253 || !name.split('.').all(label) {
            return invalid(
                "expected a host name such as `api.example.com` or `*.example.com`, without a port",
            );
        }
        if lower.starts_with("*.") {
            return Ok(HostPattern::Suffix(format!(".{name}")));
        }
        Ok(HostPattern::Exact(lower))
    }
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteAccess {
    /// A good key is needed.
    Key,
    /// Anybody; no key is read, no limit counted, nothing of a client's credential cut but the `x-api-key` field.
    Public,
}

/// A route, resolved: every reference is known to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// How metrics and logs call it: `name`, else host and path as written.
    pub label: String,
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
    /// Which methods (upper case); every one that the gateway serves where empty.
    pub methods: Vec<String>,
    /// Who.
    pub access: RouteAccess,
    /// Where the agent is named; none: the route belongs to the organization.
    pub agent: Option<AgentSource>,
    /// The upstream's name; `{agent}` stands for the agent's slug.
    pub upstream: Template,
    /// The path that the upstream sees; as it came where absent. The query is kept.
    pub rewrite: Option<Template>,
    /// `%2F` and `%5C` in the path are passed on undecoded rather than refused.
    pub encoded_slash: bool,
    /// Query parameters that may carry the key; cut from what is forwarded.
    pub query_credentials: Vec<String>,
    /// Largest request body, in bytes.
    pub body_bytes_max: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_says_what_is_wrong_with_it() {
        let parsed = PathPattern::parse("/agents/{agent}/{*rest}").unwrap();
        assert_eq!(parsed.parameters().collect::<Vec<_>>(), ["agent", "rest"]);
        for bad in ["agents", "/a//b", "/{*rest}/x", "/{a}/{a}", "/x{a}", "/{}", "/ä", "/..", "/{a"] {
            assert!(PathPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_agent_is_named_by_a_literal_a_parameter_the_query_a_header_or_the_host() {
        let path = PathPattern::parse("/agents/{agent}/x").unwrap();
        assert_eq!(AgentSource::parse("{agent}", &path), Ok(AgentSource::PathParameter("agent".into())));
        assert_eq!(AgentSource::parse("{query.agent_id}", &path), Ok(AgentSource::Query("agent_id".into())));
        assert_eq!(AgentSource::parse("{header.X-Agent}", &path), Ok(AgentSource::Header("x-agent".into())));
        assert_eq!(AgentSource::parse("{host}", &path), Ok(AgentSource::Host));
        assert_eq!(AgentSource::parse("echo", &path), Ok(AgentSource::Literal("echo".parse().unwrap())));
        assert!(AgentSource::parse("{other}", &path).is_err());
        assert!(AgentSource::parse("Not A Slug", &path).is_err());
    }

    #[test]
    fn a_template_knows_its_parameters() {
        assert!(Template::parse("/v1/{rest}", &["rest"]).is_ok());
        assert!(Template::parse("/v1/{other}", &["rest"]).is_err());
        assert!(Template::parse("/v1/{rest", &["rest"]).is_err());
        assert_eq!(Template::parse("echo", &[]).unwrap().literal(), Some("echo"));
    }

    #[test]
    fn a_host_is_exact_or_a_suffix() {
        assert_eq!(HostPattern::parse("API.example.com"), Ok(HostPattern::Exact("api.example.com".into())));
        assert_eq!(HostPattern::parse("*.example.com"), Ok(HostPattern::Suffix(".example.com".into())));
        for bad in ["", "a:80", "a.*.b", "*", "a..b"] {
            assert!(HostPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
