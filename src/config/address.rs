//! Where things are: sockets to listen on, endpoints, networks, the console's URL, the database.
//!
//! Promises that an address is read by one strict grammar; nothing is looked up, and no name is resolved here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::Value;

use super::leaf::{pattern_schema, text_schema};
use super::postgres::PostgresUrl;
use super::resolved::DatabaseUrl;
use super::setting::{Leaf, Mistake};
use crate::domain::network::Network;
use crate::domain::upstream::Endpoint;

impl Leaf for SocketAddr {
    fn expected() -> String {
        "an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`".into()
    }

    fn parse(text: &str) -> Result<SocketAddr, Mistake> {
        text.parse().map_err(|_| {
            let named = text.rsplit_once(':').is_some_and(|(host, port)| {
                host.bytes().any(|b| b.is_ascii_alphabetic())
                    && !host.contains(':')
                    && port.parse::<u16>().is_ok()
            });
            Mistake::new(if named {
                "a name where an IP address belongs"
            } else {
                "not an address to listen on"
            })
        })
    }

    fn schema() -> Value {
        text_schema()
    }
}

impl Leaf for Endpoint {
    fn expected() -> String {
        "an address such as `http://127.0.0.1:9000` or `http://backend:9000`, without a path".into()
    }

    fn parse(text: &str) -> Result<Endpoint, Mistake> {
        if text.starts_with("https://") {
            let instead = "expected `http://`: connections to upstreams are not encrypted in this version";
            return Err(Mistake::with("an `https` endpoint", instead));
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(Mistake::new("not an endpoint"));
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            let instead = "expected no user or password: an endpoint is given none";
            return Err(Mistake::with("an endpoint with a user", instead));
        }
        if authority.contains(['/', '?', '#']) {
            let instead = "expected no path here: a route's `rewrite` says which path the upstream sees";
            return Err(Mistake::with("an endpoint with a path", instead));
        }
        let (host, port) = host_and_port(authority).ok_or_else(|| Mistake::new("not an endpoint"))?;
        Ok(Endpoint { host, port: port.unwrap_or(80) })
    }

    fn schema() -> Value {
        pattern_schema("^http://[^/?#@]+/?$")
    }
}

/// Reads `host`, `host:port`, `[v6]:port`. The host comes lower case and without brackets.
pub(crate) fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (is_host(host).then_some(host)?, Some(port)),
            None => (is_host(authority).then_some(authority)?, None),
        },
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port > 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// An IPv4 address or a name. Underscores are allowed: container networks name services so.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last_is_number = text
        .rsplit('.')
        .next()
        .is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    if last_is_number {
        return text.parse::<Ipv4Addr>().is_ok();
    }
    text.len() <= 253 && text.split('.').all(label)
}

/// The URL under which something is reached from outside: scheme, host and port, no slash at its end.
#[derive(Debug)]
pub(crate) struct PublicUrl(pub(crate) String);

impl Leaf for PublicUrl {
    fn expected() -> String {
        "a URL such as `https://keys.example.com`, without a path".into()
    }

    fn parse(text: &str) -> Result<PublicUrl, Mistake> {
        let mistake = || Mistake::new("not the URL of a host");
        let (scheme, rest) = text.split_once("://").ok_or_else(mistake)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if !matches!(scheme, "http" | "https") || host_and_port(authority).is_none() {
            return Err(mistake());
        }
        Ok(PublicUrl(format!("{scheme}://{authority}")))
    }

    fn schema() -> Value {
        pattern_schema("^https?://[^/?#@]+/?$")
    }
}

/// The URL that names a provider of OpenID Connect. Kept letter by letter: it is compared with what the provider says.
#[derive(Debug)]
pub(crate) struct Issuer(pub(crate) String);

impl Leaf for Issuer {
    fn expected() -> String {
        "the provider's URL, such as `https://accounts.example.com`, without a query".into()
    }

    fn parse(text: &str) -> Result<Issuer, Mistake> {
        let mistake = || Mistake::new("not the URL of a provider");
        let (scheme, rest) = text.split_once("://").ok_or_else(mistake)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, _) = host_and_port(authority).ok_or_else(mistake)?;
        if !path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&b)) {
            return Err(mistake());
        }
        match scheme {
            "https" => Ok(Issuer(text.to_owned())),
            "http" if is_loopback(&host) => Ok(Issuer(text.to_owned())),
            "http" => {
                let instead = "expected `https://`: who reads or changes the answers on their way can sign in as anybody";
                Err(Mistake::with("a provider without encryption", instead))
            }
            _ => Err(mistake()),
        }
    }

    fn schema() -> Value {
        pattern_schema("^https?://[^?#@]+$")
    }
}

/// Whether the host is this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the URL, as [`PublicUrl`] reads it, names this machine itself.
pub(crate) fn is_loopback_url(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, authority)| authority);
    host_and_port(authority).is_some_and(|(host, _)| is_loopback(&host))
}

/// What stands after the `@` of an e-mail address, in lower case.
#[derive(Debug)]
pub(crate) struct EmailDomain(pub(crate) String);

impl Leaf for EmailDomain {
    fn expected() -> String {
        "a domain such as `example.com`: what stands after the `@`".into()
    }

    fn parse(text: &str) -> Result<EmailDomain, Mistake> {
        if !is_host(text) || text.parse::<Ipv4Addr>().is_ok() {
            return Err(Mistake::new("not a domain of e-mail addresses"));
        }
        Ok(EmailDomain(text.to_ascii_lowercase()))
    }

    fn schema() -> Value {
        text_schema()
    }
}

impl Leaf for Network {
    fn expected() -> String {
        "an IP address or a network such as `10.0.0.0/8` or `fd00::/8`".into()
    }

    fn parse(text: &str) -> Result<Network, Mistake> {
        let mistake = || Mistake::new("not a network");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let addr: IpAddr = address.parse().map_err(|_| mistake())?;
        if addr != addr.to_canonical() {
            let instead = format!("expected it as IPv4: `{}`", addr.to_canonical());
            return Err(Mistake::with("an IPv4 address in IPv6 notation", instead));
        }
        let length_max = if addr.is_ipv4() { 32 } else { 128 };
        let prefix_len = match length {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<u8>().ok().filter(|length| *length <= length_max).ok_or_else(mistake)?
            }
            Some(_) => return Err(mistake()),
            None => length_max,
        };
        let network = Network::new(addr, prefix_len).ok_or_else(mistake)?;
        let first = network.first();
        if first != addr {
            let instead = format!("expected the network's first address: `{first}/{prefix_len}`");
            return Err(Mistake::with("an address inside a network", instead));
        }
        Ok(network)
    }

    fn schema() -> Value {
        text_schema()
    }
}

impl Leaf for DatabaseUrl {
    fn expected() -> String {
        "`sqlite:` and the path of a file, such as `sqlite:keystile-data/keystile.db`, or \
         `postgres://keystile@127.0.0.1/keystile`"
            .into()
    }

    fn parse(text: &str) -> Result<DatabaseUrl, Mistake> {
        if PostgresUrl::is_meant(text) {
            return PostgresUrl::parse(text).map(DatabaseUrl::Postgres);
        }
        let path = text.strip_prefix("sqlite:").ok_or_else(|| Mistake::new("not a database"))?;
        // `sqlite:///var/x` is how others write an absolute path; `sqlite://var/x` would name a host.
        let path = match path.strip_prefix("//") {
            Some(absolute) if absolute.starts_with('/') => absolute,
            Some(_) => return Err(Mistake::new("a database on a host")),
            None => path,
        };
        if path == ":memory:" {
            let instead = "expected the path of a file: records in memory would be lost with the process";
            return Err(Mistake::with("a database in memory", instead));
        }
        if path.is_empty() || path.ends_with('/') || path.contains(['?', '\0']) {
            return Err(Mistake::new("not the path of a file"));
        }
        Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
    }

    fn schema() -> Value {
        pattern_schema("^(sqlite:|postgres(ql)?://)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        let read = |text| <Endpoint as Leaf>::parse(text).map(|endpoint| endpoint.authority()).ok();
        assert_eq!(read("http://127.0.0.1:9000").as_deref(), Some("127.0.0.1:9000"));
        assert_eq!(read("http://[::1]:9000/").as_deref(), Some("[::1]:9000"));
        assert_eq!(read("http://My_Service").as_deref(), Some("my_service:80"));
        for bad in [
            "127.0.0.1:9000",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:65536",
            "http://a:+1",
            "http://[::1",
            "http://1.2.3",
            "http://256.1.1.1",
            "http://a/b",
            "http://u@a",
            "http://a b",
            "https://a",
            "http://::1:80",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_database_is_a_file() {
        let read = |text| <DatabaseUrl as Leaf>::parse(text).ok();
        assert_eq!(read("sqlite:a/b.db"), Some(DatabaseUrl::Sqlite("a/b.db".into())));
        assert_eq!(read("sqlite:///a/b.db"), Some(DatabaseUrl::Sqlite("/a/b.db".into())));
        for bad in ["sqlite:", "sqlite:a/", "sqlite://a/b", "sqlite::memory:", "a.db", "sqlite:a?b"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses_in_either_notation() {
        let network = <Network as Leaf>::parse("10.1.0.0/16").unwrap();
        assert!(network.contains("10.1.255.255".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("10.2.0.0".parse().unwrap()));
        assert!(!network.contains("fd00::1".parse().unwrap()));
        let all = <Network as Leaf>::parse("::/0").unwrap();
        assert!(all.contains("fd00::1".parse().unwrap()));
        let one = <Network as Leaf>::parse("192.0.2.7").unwrap();
        assert!(one.contains("192.0.2.7".parse().unwrap()) && !one.contains("192.0.2.6".parse().unwrap()));
        for bad in ["10.1.0.1/16", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "::/129", ""] {
            assert!(<Network as Leaf>::parse(bad).is_err(), "{bad}");
        }
    }
}
