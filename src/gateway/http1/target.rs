//! The request target and the Host: parsed once, strictly (RFC 9112 section 3.2, RFC 3986).

use crate::domain::route::is_segment_byte;

/// The target in origin form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'b> {
    /// Begins with a slash; only bytes that a path may hold, percent signs included.
    pub(crate) path: &'b str,
    /// What follows the question mark.
    pub(crate) query: Option<&'b str>,
    /// The authority of an absolute-form target.
    pub(crate) authority: Option<&'b str>,
}

/// Reads a target in origin or absolute form. `None` for every other form and for bytes that have no place in it.
pub(crate) fn parse(text: &str) -> Option<Target<'_>> {
    let (authority, rest) = if text.starts_with('/') {
        (None, text)
    } else {
        let scheme_end = text.find("://")?;
        let (scheme, rest) = text.split_at(scheme_end);
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let rest = rest.get(3..)?;
        let path_start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(path_start);
        (Some(host(authority)?), rest)
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    let path_ok = path.bytes().all(|b| is_segment_byte(b) || b == b'/' || b == b'%');
    let query_ok = query.is_none_or(|query| query.bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
    (path_ok && query_ok).then_some(Target { path, query, authority })
}

/// Checks `host [":" port]` and gives it back as it came. `None` where it is empty or malformed.
pub(crate) fn host(text: &str) -> Option<&str> {
    let (name, port) = split_port(text)?;
    let port_ok = port.is_none_or(|port| {
        !port.is_empty()
            && port.len() <= 5
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok()
    });
    let name_ok = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.len() <= 253
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        }
    };
    (port_ok && name_ok).then_some(text)
}

/// The host without its port.
pub(crate) fn host_name(authority: &str) -> &str {
    split_port(authority).map_or(authority, |(name, _)| name)
}

fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let end = text.find(']')? + 1;
        let (name, rest) = text.split_at(end);
        return match rest.strip_prefix(':') {
            Some(port) => Some((name, Some(port))),
            None => rest.is_empty().then_some((name, None)),
        };
    }
    match text.split_once(':') {
        Some((name, port)) => Some((name, Some(port))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_and_absolute_form_are_read_and_nothing_else() {
        let origin = parse("/a/b?c=d&e=[1]").unwrap();
        assert_eq!((origin.path, origin.query, origin.authority), ("/a/b", Some("c=d&e=[1]"), None));
        let absolute = parse("http://Host.example:80?x").unwrap();
        assert_eq!(
            (absolute.path, absolute.query, absolute.authority),
            ("/", Some("x"), Some("Host.example:80"))
        );
        for bad in [
            "*",
            "host:80",
            "a/b",
            "ftp://h/",
            "/a b",
            "/a#b",
            "/a\\b",
            "/\u{e4}",
            "/a\"",
            "http:///x",
            "/?#",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for good in ["a", "a.b:80", "127.0.0.1:8080", "[::1]", "[::1]:443", "xn--a_b"] {
            assert!(host(good).is_some(), "{good}");
        }
        for bad in [
            "", ":80", "a:", "a:b", "a:99999", "a b", "a/b", "a@b", "[::1", "[zz]", "a,b", "[::1]x",
            "a:80:80",
        ] {
            assert!(host(bad).is_none(), "{bad}");
        }
        assert_eq!(host_name("[::1]:443"), "[::1]");
    }
}
