//! The address of a Redis in each of its topologies, as one URL.
//!
//! Promises that whatever is wrong is named, and that a password is never taken from a URL, which ends up in process
//! lists and tickets. Looks nothing up.

use serde_json::Value;

use super::address::host_and_port;
use super::leaf::pattern_schema;
use super::resolved::{RedisUrl, Topology};
use super::setting::{Leaf, Mistake};

/// Where a Redis listens unless its address says otherwise.
const REDIS_PORT: u16 = 6379;
/// Where a Sentinel listens unless its address says otherwise.
const SENTINEL_PORT: u16 = 26379;
/// Most addresses in one URL.
const ADDRESSES_MAX: usize = 64;
/// Largest number of a database. Servers have 16 unless configured, and refuse a number that they do not have.
const DATABASE_MAX: i64 = 65_535;

const SCHEMES: &str = "`redis://`, `rediss://` (TLS), `redis+sentinel://`, `rediss+sentinel://`, `redis+cluster://` or `rediss+cluster://`";

/// What the scheme says of the topology.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Sentinel,
    Cluster,
}

impl Leaf for RedisUrl {
    fn expected() -> String {
        "an address such as `redis://127.0.0.1:6379`, `rediss://redis.example.com:6379` (TLS), `redis+sentinel://a:26379,b:26379/mymaster` or `redis+cluster://a:7000,b:7001`".into()
    }

    fn parse(text: &str) -> Result<RedisUrl, Mistake> {
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| Mistake::new("not the address of a Redis"))?;
        let (kind, tls) = scheme_of(scheme)?;
        if rest.contains(['?', '#']) {
            let instead =
                "expected no `?` and no `#`: everything else has a setting of its own under `fleet`";
            return Err(Mistake::with("an address of Redis with parameters", instead));
        }
        // A password may hold anything: only the last `@` ends it.
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let username = user.map(username).transpose()?;
        let (hosts, path) = rest.split_once('/').map_or((rest, None), |(hosts, path)| (hosts, Some(path)));
        let path = path.filter(|path| !path.is_empty());
        let (topology, database) = match kind {
            Kind::Single => (single(hosts)?, path.map_or(Ok(0), database)?),
            Kind::Sentinel => sentinel(hosts, path)?,
            Kind::Cluster => (cluster(hosts, path)?, 0),
        };
        Ok(RedisUrl { topology, username, database, tls })
    }

    fn schema() -> Value {
        pattern_schema("^rediss?(\\+sentinel|\\+cluster)?://[^/?#]+(/[^?#]*)?$")
    }
}

fn scheme_of(scheme: &str) -> Result<(Kind, bool), Mistake> {
    let (base, kind) = match scheme.split_once('+') {
        None => (scheme, Kind::Single),
        Some((base, "sentinel")) => (base, Kind::Sentinel),
        Some((base, "cluster")) => (base, Kind::Cluster),
        Some(_) => ("", Kind::Single),
    };
    match base {
        "redis" => Ok((kind, false)),
        "rediss" => Ok((kind, true)),
        _ => Err(Mistake::with("not a scheme of Redis addresses", format!("expected {SCHEMES}"))),
    }
}

fn username(user: &str) -> Result<String, Mistake> {
    if user.contains(':') {
        let instead = "expected it elsewhere: set fleet.password_file (the path of a file) or fleet.password";
        return Err(Mistake::with("a password in the address of Redis", instead));
    }
    let fits = |b: u8| b.is_ascii_graphic() && !b"/,%\"'".contains(&b);
    if user.is_empty() || !user.bytes().all(fits) {
        let instead = "expected the name of a Redis user before the `@`, in letters, digits and punctuation";
        return Err(Mistake::with("not a user of Redis", instead));
    }
    Ok(user.to_owned())
}

fn addresses(hosts: &str, default_port: u16) -> Result<Vec<(String, u16)>, Mistake> {
    let wrong = || Mistake::new("not the address of a Redis");
    let read = |one: &str| host_and_port(one).map(|(host, port)| (host, port.unwrap_or(default_port)));
    let all = hosts.split(',').map(read).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    if all.len() > ADDRESSES_MAX {
        let instead = format!("expected at most {ADDRESSES_MAX}: the others are found by themselves");
        return Err(Mistake::with("too many addresses of Redis", instead));
    }
    Ok(all)
}

fn single(hosts: &str) -> Result<Topology, Mistake> {
    let mut all = addresses(hosts, REDIS_PORT)?;
    match (all.pop(), all.is_empty()) {
        (Some(address), true) => Ok(Topology::Single { address }),
        _ => {
            let instead = "expected one address, or `redis+sentinel://…/NAME` for Sentinels, or `redis+cluster://…` for a cluster";
            Err(Mistake::with("several addresses of one Redis", instead))
        }
    }
}

fn sentinel(hosts: &str, path: Option<&str>) -> Result<(Topology, i64), Mistake> {
    let Some(path) = path else {
        let instead = "expected it after the addresses, as in `redis+sentinel://a:26379,b:26379/mymaster`";
        return Err(Mistake::with("Sentinels without the name of their service", instead));
    };
    let (service, number) = path.split_once('/').map_or((path, None), |(name, n)| (name, Some(n)));
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if service.is_empty() || service.len() > 128 || !service.bytes().all(fits) {
        let instead = "expected the name that follows `sentinel monitor` in the Sentinels' configuration: letters, digits, `.`, `_` and `-`";
        return Err(Mistake::with("not the name of a service of Sentinels", instead));
    }
    let number = number.filter(|number| !number.is_empty()).map_or(Ok(0), database)?;
    let sentinels = addresses(hosts, SENTINEL_PORT)?;
    Ok((Topology::Sentinel { sentinels, service: service.to_owned() }, number))
}

fn cluster(hosts: &str, path: Option<&str>) -> Result<Topology, Mistake> {
    if path.is_some() {
        let instead = "expected nothing after the addresses: a cluster has database 0 only";
        return Err(Mistake::with("a database of a cluster", instead));
    }
    Ok(Topology::Cluster { nodes: addresses(hosts, REDIS_PORT)? })
}

fn database(digits: &str) -> Result<i64, Mistake> {
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok()).flatten();
    number.filter(|number| *number <= DATABASE_MAX).ok_or_else(|| {
        let instead = format!(
            "expected a number from 0 to {DATABASE_MAX} after the address, as in `redis://127.0.0.1:6379/1`"
        );
        Mistake::with("not the number of a database", instead)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RedisUrl, String> {
        <RedisUrl as Leaf>::parse(text).map_err(|mistake| mistake.message)
    }

    fn at(host: &str, port: u16) -> (String, u16) {
        (host.into(), port)
    }

    #[test]
    fn an_address_of_redis_names_topology_user_database_and_encryption() {
        let single = read("redis://127.0.0.1").unwrap();
        assert_eq!(single.topology, Topology::Single { address: at("127.0.0.1", 6379) });
        assert_eq!((single.username, single.database, single.tls), (None, 0, false));
        let user = read("rediss://key-stile@[::1]:7/3").unwrap();
        assert_eq!(user.topology, Topology::Single { address: at("::1", 7) });
        assert_eq!((user.username.as_deref(), user.database, user.tls), (Some("key-stile"), 3, true));
        let sentinels = vec![at("a", 26379), at("b", 1)];
        let service = "my.master".to_owned();
        let sentinel = read("redis+sentinel://a,b:1/my.master/2").unwrap();
        assert_eq!(sentinel.topology, Topology::Sentinel { sentinels, service });
        assert_eq!((sentinel.database, sentinel.tls), (2, false));
        let cluster = read("rediss+cluster://A:7000,b:7001/").unwrap();
        assert_eq!(cluster.topology, Topology::Cluster { nodes: vec![at("a", 7000), at("b", 7001)] });
        assert!(cluster.tls);
    }

    #[test]
    fn whatever_is_wrong_with_an_address_of_redis_is_named() {
        for (text, why) in [
            ("127.0.0.1:6379", "not the address of a Redis"),
            ("http://a", "not a scheme of Redis addresses"),
            ("redis+ring://a", "not a scheme of Redis addresses"),
            ("redis://u:p@ss@a", "a password in the address of Redis"),
            ("redis://:p@a", "a password in the address of Redis"),
            ("redis://@a", "not a user of Redis"),
            ("redis://a,b", "several addresses of one Redis"),
            ("redis://a,", "not the address of a Redis"),
            ("redis://", "not the address of a Redis"),
            ("redis://a/x", "not the number of a database"),
            ("redis://a/99999999999999999999", "not the number of a database"),
            ("redis://a?protocol=3", "an address of Redis with parameters"),
            ("redis+sentinel://a:1", "Sentinels without the name of their service"),
            ("redis+sentinel://a:1/", "Sentinels without the name of their service"),
            ("redis+sentinel://a:1/m m", "not the name of a service of Sentinels"),
            ("redis+cluster://a/1", "a database of a cluster"),
        ] {
            assert_eq!(read(text).unwrap_err(), why, "{text}");
        }
    }
}
