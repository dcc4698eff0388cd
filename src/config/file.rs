//! The configuration as it is written: every section, every field, its kind and its description.
//!
//! Owns the names of settings. Promises that what is read and what the schema says are one declaration. Fills in
//! no default: that is `resolve`'s.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::address::{EmailDomain, Issuer, PublicUrl};
use super::fleet::Fleet;
use super::leaf::{
    Auto, Bytes, CredentialPlace, EncodedSlash, Method, Off, OneOf, OutputFile, RouteName, Time, Unlimited,
    Whole,
};
use super::problem::At;
use super::resolved::{AccessLog, DatabaseUrl};
use super::secret::{SecretFile, SecretText};
use super::setting::{Listing, Named, Or, Reader, Setting, section};
use super::tree::{Kind, Node};
use super::units;
use crate::domain::limit::{Period, REQUESTS_MAX, Window};
use crate::domain::network::Network;
use crate::domain::route::{HostPattern, PathPattern, RouteAccess};
use crate::domain::secret::SecretFormat;
use crate::domain::upstream::Endpoint;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;
/// A petabyte: above every body, and far from any overflow.
const BODY_BYTES_MAX: u64 = 1 << 50;

section! {
    /// The configuration of Keystile.
    File {
        /// The data plane: what serves requests.
        gateway: Gateway;
        /// The control plane: management API and pages.
        console: Console;
        /// The listener of `/metrics`, `/healthz` and `/readyz`.
        ops: Ops;
        /// Where records are kept: `sqlite:PATH`, relative to the current directory, or `postgres://USER@HOST:PORT/DATABASE`. Default `sqlite:keystile-data/keystile.db`.
        database: DatabaseUrl;
        /// The password for a `postgres://` database. Either this or `database_password_file`.
        database_password: SecretText;
        /// The path of a file that holds the password. It is read when the configuration is.
        database_password_file: SecretFile;
        /// The Redis that gateways and consoles of a fleet share. Default none: one process.
        fleet: Fleet;
        /// What keys look like.
        keys: Keys;
        /// What organizations and their keys may use.
        limits: Limits;
        /// The guard against guessing keys.
        guard: Guard;
        /// Bounds of the metrics.
        metrics: Metrics;
        /// Where each request is written down as a line of JSON: `off`, `stdout` or `{ file: PATH }`. Default `off`.
        access_log: AccessLog;
        /// Pools of backends by name.
        upstreams: Named<Upstream>;
        /// Which requests go where. The most specific route wins, whatever the order.
        routes: Listing<Route, 0>;
    }
}

section! {
    /// The data plane: what serves requests.
    Gateway {
        /// Addresses that serve requests. Default 127.0.0.1:8080.
        listen: Listing<Listener, 1>;
        /// Under which URL programs reach it, without a path. Default `http://` and its first address.
        public_url: PublicUrl;
        /// Threads that serve requests: `auto` (one per processor) or a number. Default `auto`.
        workers: Or<Auto, Whole<1, 1024>>;
        /// Addresses and networks of proxies whose `x-forwarded-*` fields are believed. Default none.
        trusted_proxies: Listing<Network, 0>;
        /// Largest request head, in bytes. Default 32KiB.
        head_bytes_max: Bytes<KIB, MIB>;
        /// Most fields in a request head. Default 100.
        head_fields_max: Whole<1, 1000>;
        /// Largest request body, in bytes, unless a route says otherwise. Default 100MiB.
        body_bytes_max: Bytes<0, BODY_BYTES_MAX>;
        /// Longest request target, in bytes; not above `head_bytes_max`. Default 8KiB.
        target_bytes_max: Bytes<64, MIB>;
        /// Time for a whole request head to arrive. Default 10s.
        head_timeout: Time<10, HOUR_MS>;
        /// How long a connection may wait for its next request. Default 75s.
        idle_timeout: Time<10, DAY_MS>;
        /// Most connections open at once in this process. Default 10000.
        connections_max: Whole<1, 10_000_000>;
        /// How long new requests are still served after SIGTERM, while `/readyz` already says no. Default 0s.
        leave_delay: Time<0, HOUR_MS>;
        /// How long running requests may go on after that. Default 30s.
        grace: Time<0, DAY_MS>;
    }
}

section! {
    /// The control plane: management API and pages.
    Console {
        /// Its address. Default 127.0.0.1:8081.
        listen: Listener;
        /// Under which URL people open it, without a path. Default `http://` and the address.
        public_url: PublicUrl;
        /// How long people stay signed in.
        sessions: Sessions;
        /// Addresses and networks of proxies whose `x-forwarded-for` is believed. Default none.
        trusted_proxies: Listing<Network, 0>;
        /// Sign-in with a company account, by OpenID Connect. Default none: passwords only.
        openid: OpenId;
    }
}

section! {
    /// How long people stay signed in.
    Sessions {
        /// After how long without a request a session ends. Default 12h.
        idle_timeout: Time<MINUTE_MS, { 365 * DAY_MS }>;
        /// After how long every session ends, however busy; not below `idle_timeout`. Default 7d.
        lifetime: Time<MINUTE_MS, { 365 * DAY_MS }>;
    }
}

section! {
    /// Sign-in with a company account, by OpenID Connect.
    OpenId {
        /// The provider: the URL that its discovery document stands under, exactly as the provider writes it.
        issuer: Issuer, required;
        /// What the provider calls this console.
        client_id: String, required;
        /// The secret that the provider gave out for it. Either this or `client_secret_file`.
        client_secret: SecretText;
        /// The path of a file that holds the secret. It is read when the configuration is.
        client_secret_file: SecretFile;
        /// Domains of e-mail addresses that may sign in so. Default every domain that the provider vouches for.
        allowed_domains: Listing<EmailDomain, 0>;
    }
}

section! {
    /// The listener of `/metrics`, `/healthz` and `/readyz`.
    Ops {
        /// Its address. Default 127.0.0.1:8082.
        listen: Listener;
    }
}

section! {
    /// Something that listens.
    Listener {
        /// IP address and port, such as `127.0.0.1:8080` or `[::]:8080`.
        address: SocketAddr, required;
    }
}

section! {
    /// What keys look like.
    Keys {
        /// What every key begins with, before an underscore: 1 to 16 letters and digits. Default `ks`.
        prefix: SecretFormat;
    }
}

section! {
    /// What organizations and their keys may use.
    Limits {
        /// Most keys an organization may have. Default 10.
        keys_per_organization: Whole<1, 1_000_000>;
        /// The limits of keys for which neither the key nor its organization says otherwise.
        key: KeyLimits;
    }
}

section! {
    /// The limits of keys for which neither the key nor its organization says otherwise.
    KeyLimits {
        /// Requests per time: `100/s`, or `{ requests, per, burst }`, or `none`. Default 100 per second, 200 at once.
        rate: Or<Unlimited, Rate>;
        /// Requests in flight at once, or `none`. Default 100.
        concurrency: Or<Unlimited, Whole<1, { u32::MAX as u64 }>>;
        /// Requests per calendar window, one entry for each window, or `none`. Default 100000 a day and 2000000 a month.
        quotas: Or<Unlimited, Listing<Quota, 0>>;
    }
}

section! {
    /// Requests per time.
    RateFields {
        /// Requests per `per`, 1 or more.
        requests: Whole<1, REQUESTS_MAX>, required;
        /// The time they are counted per.
        per: OneOf<Period>, required;
        /// How many may come at once, 1 or more. Default `requests`.
        burst: Whole<1, REQUESTS_MAX>;
    }
}

section! {
    /// Requests per calendar window.
    Quota {
        /// Requests per window; 0 refuses every request.
        requests: Whole<0, REQUESTS_MAX>, required;
        /// The window, in the organization's time zone.
        per: OneOf<Window>, required;
    }
}

section! {
    /// The guard against guessing keys.
    Guard {
        /// Failed attempts that a client address (IPv6: its /64) has in a minute, or `off`. Default 60.
        failures_per_minute: Or<Off, Whole<1, 1_000_000>>;
    }
}

section! {
    /// Bounds of the metrics.
    Metrics {
        /// Keys that have counters of their own; the rest counts as `other`. Default 1000.
        keys_max: Whole<0, 1_000_000>;
    }
}

section! {
    /// A file to write to.
    LogFile {
        /// Its path, relative to the current directory. It is made if need be, and appended to.
        file: OutputFile, required;
    }
}

section! {
    /// A pool of backends.
    Upstream {
        /// Addresses of its backends, `http://HOST:PORT`, taken in turn.
        endpoints: Listing<Endpoint, 1>, required;
        /// The time it is given.
        timeouts: Timeouts;
        /// Idle connections kept per endpoint and worker; 0 keeps none. Default 64.
        idle_connections_max: Whole<0, 65_536>;
        /// How long an idle connection is kept. Default 60s.
        idle_connection_timeout: Time<1, DAY_MS>;
    }
}

section! {
    /// The time that an upstream is given.
    Timeouts {
        /// Until a connection stands. Default 5s.
        connect: Time<1, HOUR_MS>;
        /// From the whole request sent until the head of the response. Default 60s.
        response_head: Time<1, DAY_MS>;
        /// Between two reads or writes that make progress, on bodies and tunnels. Default 5m.
        idle: Time<1, DAY_MS>;
        /// From the head of the request to the end of the response, or `none`. Default `none`.
        total: Or<Unlimited, Time<SECOND_MS, { 365 * DAY_MS }>>;
    }
}

section! {
    /// Which requests go where.
    Route {
        /// What metrics and logs call it. Default host and path as written.
        name: RouteName;
        /// `api.example.com`, or `*.example.com` for every name below. Default every host.
        host: HostPattern;
        /// Which paths: `{name}` matches one segment, `{*name}` at the end all that is left.
        path: PathPattern, required;
        /// Methods, in capitals. Default every method.
        methods: Listing<Method, 1>;
        /// `key`: a good key is needed. `public`: anybody passes. Default `key`.
        access: OneOf<RouteAccess>;
        /// The agent: a slug, `{a path parameter}`, `{query.NAME}`, `{header.NAME}` or `{host}`. Default none: only keys of the whole organization pass.
        agent: String;
        /// The name of the upstream; may hold `{agent}`.
        upstream: String, required;
        /// The path that the upstream sees; may hold the path's parameters. Default the path as it came.
        rewrite: String;
        /// Whether `%2F` and `%5C` in the path are refused or passed on as they are. Default `refuse`.
        encoded_slash: OneOf<EncodedSlash>;
        /// Where else a key may stand: `query.NAME`. It is cut from what is forwarded. Default nowhere.
        credentials: Listing<CredentialPlace, 0>;
        /// Largest request body, in bytes. Default the gateway's.
        body_bytes_max: Bytes<0, BODY_BYTES_MAX>;
    }
}

/// A rate in either notation.
#[derive(Debug)]
pub(crate) struct Rate(pub(crate) RateFields);

const RATE: &str =
    "a rate such as `100/s` (or `/m`, `/h`, `/d`), or a mapping with `requests`, `per` and `burst`";

impl Setting for Rate {
    fn read(node: &Node, reader: &mut Reader) -> Option<Rate> {
        let Kind::Scalar(scalar) = &node.kind else {
            if matches!(node.kind, Kind::Mapping(_)) {
                return RateFields::read(node, reader).map(Rate);
            }
            reader.refuse_shape(node, RATE);
            return None;
        };
        let place = node.place;
        match units::rate(&scalar.text) {
            Some((requests, per)) if (1..=REQUESTS_MAX).contains(&requests) => Some(Rate(RateFields {
                requests: Some(At { value: Whole(requests), place }),
                per: Some(At { value: OneOf(per), place }),
                burst: None,
                incomplete: false,
            })),
            Some(_) => {
                let expected = format!("expected 1 to {REQUESTS_MAX} requests");
                reader.findings.refuse(place, "out of range", expected);
                None
            }
            None => {
                reader.findings.refuse(place, "not a rate", format!("expected {RATE}"));
                None
            }
        }
    }

    fn schema() -> Value {
        let shorthand = "^[0-9]+ ?/ ?(s|m|h|d|second|minute|hour|day)$|\\$\\{";
        json!({ "anyOf": [{ "type": "string", "pattern": shorthand }, RateFields::schema()] })
    }
}

impl Setting for AccessLog {
    fn read(node: &Node, reader: &mut Reader) -> Option<AccessLog> {
        let expected = "`off`, `stdout` or `{ file: PATH }`";
        match &node.kind {
            Kind::Scalar(scalar) if scalar.text == "off" => Some(AccessLog::Off),
            Kind::Scalar(scalar) if scalar.text == "stdout" => Some(AccessLog::Stdout),
            Kind::Scalar(_) => {
                let message = "not a place for the access log";
                reader.findings.refuse(node.place, message, format!("expected {expected}"));
                None
            }
            Kind::Mapping(_) => Some(AccessLog::File(LogFile::read(node, reader)?.file?.value.0)),
            Kind::Null | Kind::Sequence(_) | Kind::Broken => {
                reader.refuse_shape(node, expected);
                None
            }
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [{ "enum": ["off", "stdout"] }, LogFile::schema()] })
    }
}
