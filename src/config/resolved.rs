//! The configuration as the program uses it: typed, complete, every reference known to hold.
//!
//! Owns the shapes and nothing else. Promises that a `Config` in hand is one that was found without problems.
//! Never reaches the phases of a request: those get what the composition root makes of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use super::postgres::{PostgresTls, PostgresUrl};
pub use super::secret::SecretText;
use super::setting::{Leaf, Mistake};
use crate::domain::limit::Limits;
use crate::domain::network::Network;
use crate::domain::route::Route;
use crate::domain::secret::SecretFormat;
use crate::domain::upstream::Upstream;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The data plane.
    pub gateway: Gateway,
    /// The control plane.
    pub console: Console,
    /// Metrics and health.
    pub ops: Ops,
    /// Where records are kept.
    pub database: DatabaseUrl,
    /// What gateways and consoles share; none: one process.
    pub fleet: Option<Fleet>,
    /// What keys look like.
    pub key_format: SecretFormat,
    /// Most keys an organization may have.
    pub keys_per_organization: u32,
    /// The limits of keys for which neither the key nor its organization says otherwise.
    pub key_limits: Limits,
    /// The guard against guessing.
    pub guard: Guard,
    /// Bounds of the metrics.
    pub metrics: Metrics,
    /// Where each request is written down.
    pub access_log: AccessLog,
    /// In the order of the file; names are distinct.
    pub upstreams: Vec<Upstream>,
    /// In the order of the file; no two are equal.
    pub routes: Vec<Route>,
}

/// The data plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Addresses that serve requests; at least one, no two in each other's way.
    pub listen: Vec<SocketAddr>,
    /// Under which URL programs reach it: scheme, host and port, no slash at its end.
    pub public_url: String,
    /// Threads that serve requests, at least 1.
    pub workers: usize,
    /// Whose `x-forwarded-*` fields are believed.
    pub trusted_proxies: Vec<Network>,
    /// Largest request head, in bytes.
    pub head_bytes_max: usize,
    /// Most fields in a request head.
    pub head_fields_max: usize,
    /// Largest request body, in bytes, unless a route says otherwise.
    pub body_bytes_max: u64,
    /// Largest request target, in bytes; not above `head_bytes_max`.
    pub target_bytes_max: usize,
    /// Time for a whole request head to arrive.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Duration,
    /// Most connections that this process holds open at once.
    pub connections_max: usize,
    /// How long new requests are still served after SIGTERM, so that balancers see readiness fail first.
    pub leave_delay: Duration,
    /// How long running requests may go on after that.
    pub grace: Duration,
}

/// The control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// The address of API and pages.
    pub listen: SocketAddr,
    /// Under which URL clients reach it: scheme, host and port, no slash at its end.
    pub public_url: String,
    /// How long people stay signed in.
    pub sessions: Sessions,
    /// Whose word is believed for the address of a client.
    pub trusted_proxies: Vec<Network>,
    /// Sign-in with a company account; none: passwords only.
    pub openid: Option<OpenId>,
}

/// How long people stay signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    /// After how long without a request a session ends.
    pub idle_timeout: Duration,
    /// After how long every session ends; not below `idle_timeout`.
    pub lifetime: Duration,
}

/// Sign-in by OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenId {
    /// The provider's URL, exactly as it was written: `https`, or `http` on this machine.
    pub issuer: String,
    /// What the provider calls this console.
    pub client_id: String,
    /// By which the provider knows it is this console that asks.
    pub client_secret: SecretText,
    /// Domains of e-mail addresses that may sign in so, in lower case; empty: every one.
    pub allowed_domains: Vec<String>,
}

/// Metrics and health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ops {
    /// The address of `/metrics`, `/healthz` and `/readyz`.
    pub listen: SocketAddr,
}

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file; a relative path begins at the current directory.
    Sqlite(PathBuf),
    /// On a server.
    Postgres(PostgresUrl),
}

impl DatabaseUrl {
    /// Whether both name the same database in the same way, whatever the password.
    pub(crate) fn is_same_place(&self, other: &DatabaseUrl) -> bool {
        let without_password = |url: &DatabaseUrl| match url {
            DatabaseUrl::Sqlite(path) => DatabaseUrl::Sqlite(path.clone()),
            DatabaseUrl::Postgres(url) => {
                DatabaseUrl::Postgres(PostgresUrl { password: None, ..url.clone() })
            }
        };
        without_password(self) == without_password(other)
    }
}

/// Reads what `database` may be in a configuration. The error says what is wrong and what was expected.
impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<DatabaseUrl, String> {
        Leaf::parse(text).map_err(|mistake: Mistake| {
            let expected = || format!("expected {}", <DatabaseUrl as Leaf>::expected());
            format!("{}: {}", mistake.message, mistake.instead.unwrap_or_else(expected))
        })
    }
}

/// What gateways and consoles of a fleet share, and what a gateway does without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Where Redis is.
    pub redis: RedisUrl,
    /// Of the user in `redis`, or of Redis' default user.
    pub password: Option<SecretText>,
    /// Of the Sentinels; only with those.
    pub sentinel_password: Option<SecretText>,
    /// Certificates, in PEM, that TLS trusts instead of the system's; only with TLS.
    pub ca_file: Option<PathBuf>,
    /// What people call this process.
    pub name: String,
    /// What the name of everything in Redis begins with.
    pub key_prefix: String,
    /// How long a gateway is sure of its table after the start of its last sync.
    pub trust: Duration,
    /// How long it goes on serving after that; none: not at all.
    pub serve_for: Option<Duration>,
    /// How long an old primary that was cut off may still take writes after another one was chosen.
    pub failover_overlap: Duration,
}

/// Where Redis is and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// Which servers there are.
    pub topology: Topology,
    /// The user of Redis' access control; none: its default user.
    pub username: Option<String>,
    /// The number of the database; 0 in a cluster.
    pub database: i64,
    /// Whether connections are encrypted, those to Sentinels too.
    pub tls: bool,
}

/// Which servers a Redis consists of. An address is a host, without brackets, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Single {
        /// Its address.
        address: (String, u16),
    },
    /// Sentinels that know which server is the primary.
    Sentinel {
        /// Their addresses; at least one.
        sentinels: Vec<(String, u16)>,
        /// What they call the primary.
        service: String,
    },
    /// A cluster.
    Cluster {
        /// Some of its nodes, by which the others are found; at least one.
        nodes: Vec<(String, u16)>,
    },
}

/// The guard against guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Failed attempts that a client address has in a minute; none: no guard.
    pub failures_per_minute: Option<u32>,
}

/// Bounds of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Keys that have counters of their own; the rest counts as `other`.
    pub keys_max: usize,
}

/// Where each request is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
    /// To a file; a relative path begins at the current directory.
    File(PathBuf),
}
